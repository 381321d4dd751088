//! Compatibility checks, for registrations and on their own.

use avouch_registry_api::rest::{ConfigBody, RegisterRequest};
use avouch_registry_api::types::VersionSelector;

use crate::decide::compatibility::{
    Earlier, Incompatibilities, incompatibilities, versions_to_read,
};
use crate::decide::content::Resolved;
use crate::decide::draft::{Draft, invalid_schema};
use crate::decide::register::next_version;
use crate::decide::subject::Subject;
use crate::error::RegistryError;
use crate::service::settings::EffectiveSettings;
use crate::service::{Prepared, Service, compute, reference_error};
use crate::store::Connection;
use crate::store::edges;
use crate::store::versions::{self, Entry};

impl Service {
    /// Returns why the schema is incompatible with the versions of a subject at its compatibility
    /// level.
    pub(crate) async fn check_subject(
        &self,
        subject: &Subject,
        request: RegisterRequest,
        normalize: bool,
    ) -> Result<Incompatibilities, RegistryError> {
        let draft = Draft::of(request, normalize)?;
        let mut snapshot = self.store.read().await?;
        let settings = self.effective_settings(&mut snapshot, subject).await?;
        let prepared = self.complete(&mut snapshot, subject, draft, &settings);
        let prepared = prepared.await?;
        self.incompatibilities(&mut snapshot, subject, &prepared, &settings.config)
            .await
    }

    /// Returns why the schema is incompatible with one version at the subject's compatibility
    /// level. Everything is compatible with the latest version of a subject without versions.
    pub(crate) async fn check_version(
        &self,
        subject: &Subject,
        spec: VersionSelector,
        request: RegisterRequest,
        normalize: bool,
    ) -> Result<Incompatibilities, RegistryError> {
        let mut snapshot = self.store.read().await?;
        let entry = match spec {
            VersionSelector::Latest => versions::newest(&mut snapshot, subject, 1).await?.pop(),
            VersionSelector::Number(number) => {
                let entry = versions::entry(&mut snapshot, subject, number).await?;
                let live = entry.filter(|entry| !entry.row.deleted);
                // Before the schema is parsed, as in Confluent's registry: the version decides
                // which error is returned.
                Some(live.ok_or(RegistryError::VersionNotFound(spec))?)
            }
        };
        let draft = Draft::of(request, normalize)?;
        let settings = self.effective_settings(&mut snapshot, subject).await?;
        let prepared = self.complete(&mut snapshot, subject, draft, &settings);
        let prepared = prepared.await?;
        let entries = entry.into_iter().collect();
        self.compare(&mut snapshot, subject, &prepared, &settings.config, entries)
            .await
    }

    /// Completes and parses the schema as a registration does.
    async fn complete(
        &self,
        connection: &mut Connection,
        subject: &Subject,
        mut draft: Draft,
        settings: &EffectiveSettings,
    ) -> Result<Prepared, RegistryError> {
        let rows = versions::rows(connection, subject).await?;
        let latest = versions::newest(connection, subject, 1).await?.pop();
        let latest = latest.map(|entry| entry.content);
        let next = next_version(&rows)?;
        // Metadata take part in the check through compatibility groups and reserved fields.
        draft.complete(latest.as_ref(), &settings.config.properties, Some(next));
        self.prepare(connection, subject, draft, settings, settings.strictness())
            .await
    }

    /// Returns why a registration of the schema would be incompatible.
    pub(super) async fn incompatibilities(
        &self,
        connection: &mut Connection,
        subject: &Subject,
        prepared: &Prepared,
        config: &ConfigBody,
    ) -> Result<Incompatibilities, RegistryError> {
        let limit = versions_to_read(config);
        // The statement has no form without a limit.
        let limit = limit.map_or(i64::MAX, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
        let entries = versions::newest(connection, subject, limit).await?;
        self.compare(connection, subject, prepared, config, entries)
            .await
    }

    async fn compare(
        &self,
        connection: &mut Connection,
        subject: &Subject,
        prepared: &Prepared,
        config: &ConfigBody,
        entries: Vec<Entry>,
    ) -> Result<Incompatibilities, RegistryError> {
        let mut earlier = Vec::with_capacity(entries.len());
        for entry in entries {
            earlier.push(resolve(connection, subject, entry).await?);
        }
        let content = prepared.resolved.content.clone();
        let old_bytes = earlier.iter().map(|earlier| earlier.resolved.text_bytes());
        // All versions are compared in one piece of work, so their total size decides where it
        // runs.
        let text_bytes = prepared.resolved.text_bytes() + old_bytes.sum::<usize>();
        let config = config.clone();
        let parsed = prepared.parsed.clone();
        let found = compute(text_bytes, move || {
            incompatibilities(&config, &parsed, &content, earlier)
        });
        found.await?.map_err(|unreadable| {
            let reason = format!("in version {}: {}", unreadable.version, unreadable.reason);
            invalid_schema(&subject.name, &unreadable.content, &reason)
        })
    }
}

/// Returns a version with its references resolved.
///
/// # Errors
/// [`RegistryError::InvalidSchema`] if a reference does not exist, which an import permits.
pub(super) async fn resolve(
    connection: &mut Connection,
    subject: &Subject,
    entry: Entry,
) -> Result<Earlier, RegistryError> {
    let references = &entry.content.references;
    let dependencies = edges::dependencies(connection, &subject.context, references)
        .await
        .map_err(|error| reference_error(error, |reason| unreadable(&entry, reason)))?;
    let resolved = Resolved {
        content: entry.content,
        dependencies,
    };
    Ok(Earlier {
        version: entry.row.version,
        resolved,
    })
}

/// Returns the error of a request that needs a stored version which cannot be parsed.
pub(super) fn unreadable(entry: &Entry, reason: &str) -> RegistryError {
    let reason = format!("in version {}: {reason}", entry.row.version);
    invalid_schema(&entry.subject, &entry.content, &reason)
}
