//! Compatibility, asked for by registration or on its own.

use avouch_registry_api::rest::{ConfigBody, RegisterRequest};
use avouch_registry_api::types::VersionSelector;

use crate::decide::compatibility::{Earlier, Objections, objections, versions_to_read};
use crate::decide::content::Resolved;
use crate::decide::draft::{Draft, invalid_schema};
use crate::decide::register::next_version;
use crate::decide::subject::Subject;
use crate::error::RegistryError;
use crate::service::settings::InForce;
use crate::service::{Prepared, Service, compute, refused};
use crate::store::Connection;
use crate::store::edges;
use crate::store::versions::{self, Entry};

impl Service {
    /// Why the schema could not be registered under the subject, as far as earlier versions go.
    pub(crate) async fn check_subject(
        &self,
        subject: &Subject,
        request: RegisterRequest,
        normalize: bool,
    ) -> Result<Objections, RegistryError> {
        let draft = Draft::of(request, normalize)?;
        let mut snapshot = self.store.read().await?;
        let in_force = self.in_force(&mut snapshot, subject).await?;
        let prepared = self.complete(&mut snapshot, subject, draft, &in_force);
        let prepared = prepared.await?;
        self.objections(&mut snapshot, subject, &prepared, &in_force.config)
            .await
    }

    /// Why the schema does not agree with one version, at the level in force. The latest version of
    /// a subject that has none agrees with everything.
    pub(crate) async fn check_version(
        &self,
        subject: &Subject,
        spec: VersionSelector,
        request: RegisterRequest,
        normalize: bool,
    ) -> Result<Objections, RegistryError> {
        let mut snapshot = self.store.read().await?;
        let entry = match spec {
            VersionSelector::Latest => versions::newest(&mut snapshot, subject, 1).await?.pop(),
            VersionSelector::Number(number) => {
                let entry = versions::entry(&mut snapshot, subject, number).await?;
                let live = entry.filter(|entry| !entry.row.deleted);
                Some(live.ok_or(RegistryError::VersionNotFound(spec))?)
            }
        };
        let draft = Draft::of(request, normalize)?;
        let in_force = self.in_force(&mut snapshot, subject).await?;
        let prepared = self.complete(&mut snapshot, subject, draft, &in_force);
        let prepared = prepared.await?;
        let entries = entry.into_iter().collect();
        self.compare(&mut snapshot, subject, &prepared, &in_force.config, entries)
            .await
    }

    /// The schema as a registration would see it.
    async fn complete(
        &self,
        connection: &mut Connection,
        subject: &Subject,
        mut draft: Draft,
        in_force: &InForce,
    ) -> Result<Prepared, RegistryError> {
        let rows = versions::rows(connection, subject).await?;
        let latest = versions::newest(connection, subject, 1).await?.pop();
        let latest = latest.map(|entry| entry.content);
        let next = next_version(&rows)?;
        draft.complete(latest.as_ref(), &in_force.config.properties, Some(next));
        self.prepare(connection, subject, draft, in_force, in_force.strictness())
            .await
    }

    /// What a registration of the schema now would be refused for.
    pub(super) async fn objections(
        &self,
        connection: &mut Connection,
        subject: &Subject,
        prepared: &Prepared,
        config: &ConfigBody,
    ) -> Result<Objections, RegistryError> {
        let limit = versions_to_read(config);
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
    ) -> Result<Objections, RegistryError> {
        let mut earlier = Vec::with_capacity(entries.len());
        for entry in entries {
            earlier.push(resolve(connection, subject, entry).await?);
        }
        let content = prepared.resolved.content.clone();
        let old_bytes = earlier.iter().map(|earlier| earlier.resolved.text_bytes());
        let text_bytes = prepared.resolved.text_bytes() + old_bytes.sum::<usize>();
        let config = config.clone();
        let parsed = prepared.parsed.clone();
        let found = compute(text_bytes, move || {
            objections(&config, &parsed, &content, earlier)
        });
        found.await?.map_err(|unreadable| {
            let reason = format!("in version {}: {}", unreadable.version, unreadable.reason);
            invalid_schema(&subject.name, &unreadable.content, &reason)
        })
    }
}

/// A version with everything that is needed to read its text.
///
/// # Errors
/// [`RegistryError::InvalidSchema`] when it refers to what is not there: an import may leave that.
pub(super) async fn resolve(
    connection: &mut Connection,
    subject: &Subject,
    entry: Entry,
) -> Result<Earlier, RegistryError> {
    let references = &entry.content.references;
    let dependencies = edges::dependencies(connection, &subject.context, references)
        .await
        .map_err(|error| refused(error, |reason| unreadable(&entry, reason)))?;
    let resolved = Resolved {
        content: entry.content,
        dependencies,
    };
    Ok(Earlier {
        version: entry.row.version,
        resolved,
    })
}

/// The refusal of a call that needs a stored version which nobody can read.
pub(super) fn unreadable(entry: &Entry, reason: &str) -> RegistryError {
    let reason = format!("in version {}: {reason}", entry.row.version);
    invalid_schema(&entry.subject, &entry.content, &reason)
}
