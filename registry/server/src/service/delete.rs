//! Soft and permanent deletion of versions and subjects, and undelete.

use avouch_registry_api::rest::SchemaBody;
use avouch_registry_api::types::{Version, VersionSelector};

use crate::decide::delete::{Depth, find_subject, find_version, permit_subject, permit_version};
use crate::decide::register::VersionRow;
use crate::decide::settings::permit_change;
use crate::decide::subject::{Scope, Subject};
use crate::error::RegistryError;
use crate::service::check::{resolve, unreadable};
use crate::service::{Checks, Prepared, Service, body_of};
use crate::store::versions::Entry;
use crate::store::{Connection, counters, edges, schemas, settings, versions};

impl Service {
    /// Deletes one version and returns its number.
    pub(crate) async fn delete_version(
        &self,
        subject: &Subject,
        spec: VersionSelector,
        depth: Depth,
    ) -> Result<Version, RegistryError> {
        let mut transaction = self.store.write().await?;
        let name = &subject.name;
        let rows = versions::rows(&mut transaction, subject).await?;
        let row = find_version(name, spec, &rows, depth)?;
        self.permit_delete(&mut transaction, subject).await?;
        let version = row.version;
        // As in Confluent's registry, a soft-deleted schema does not protect its references.
        let referrers = edges::referrers(&mut transaction, name, version, false).await?;
        if !referrers.is_empty() {
            return Err(RegistryError::ReferenceExists {
                subject: name.clone(),
                version,
            });
        }
        // After the check of references: this is the order of Confluent's errors.
        permit_version(name, row, depth)?;
        delete(&mut transaction, subject, &[row], depth).await?;
        // The subject ends with its last version, and a later one of the same name starts without
        // settings.
        if depth == Depth::Permanent && rows.len() == 1 {
            delete_settings(&mut transaction, subject).await?;
        }
        self.commit(transaction).await?;
        Ok(version)
    }

    /// Restores a soft-deleted version under its number if it is compatible with the live versions.
    /// A live version is returned unchanged.
    pub(crate) async fn undelete_version(
        &self,
        subject: &Subject,
        version: Version,
        checks: Checks,
    ) -> Result<SchemaBody, RegistryError> {
        let mut transaction = self.store.write().await?;
        let name = &subject.name;
        let rows = versions::rows(&mut transaction, subject).await?;
        if rows.is_empty() {
            return Err(RegistryError::SubjectNotFound(name.clone()));
        }
        let entry = versions::entry(&mut transaction, subject, version).await?;
        let entry = entry.ok_or(RegistryError::VersionNotFound(version.into()))?;
        // Repeating the request after a lost response is no error.
        if !entry.row.deleted {
            return Ok(body_of(entry));
        }
        self.permit_delete(&mut transaction, subject).await?;
        if checks == Checks::Compatibility {
            let resolved = resolve(&mut transaction, subject, entry.clone())
                .await?
                .resolved;
            let parsed = resolved.parse();
            let parsed = parsed.map_err(|error| unreadable(&entry, &error.to_string()))?;
            let prepared = Prepared { resolved, parsed };
            let settings = self.effective_settings(&mut transaction, subject).await?;
            self.require_compatibility(&mut transaction, subject, &prepared, &settings.config)
                .await?;
        }
        let row = VersionRow {
            deleted: false,
            ..entry.row
        };
        versions::put(&mut transaction, subject, row, entry.created_at_ms).await?;
        self.commit(transaction).await?;
        Ok(body_of(Entry { row, ..entry }))
    }

    /// Deletes all versions of a subject and returns their numbers, ascending.
    pub(crate) async fn delete_subject(
        &self,
        subject: &Subject,
        depth: Depth,
    ) -> Result<Vec<Version>, RegistryError> {
        let mut transaction = self.store.write().await?;
        let name = &subject.name;
        let rows = versions::rows(&mut transaction, subject).await?;
        let selected = find_subject(name, &rows, depth)?;
        self.permit_delete(&mut transaction, subject).await?;
        for row in &selected {
            let version = row.version;
            if edges::is_referenced_elsewhere(&mut transaction, name, version).await? {
                return Err(RegistryError::ReferenceExists {
                    subject: name.clone(),
                    version,
                });
            }
        }
        permit_subject(name, &selected, depth)?;
        delete(&mut transaction, subject, &selected, depth).await?;
        if depth == Depth::Permanent {
            delete_settings(&mut transaction, subject).await?;
        }
        self.commit(transaction).await?;
        Ok(selected.iter().map(|row| row.version).collect())
    }

    /// Deletes the settings of a context without versions. Its ID counter remains.
    pub(crate) async fn delete_context(&self, context: &str) -> Result<(), RegistryError> {
        let mut transaction = self.store.write().await?;
        if counters::contexts(&mut transaction)
            .await?
            .iter()
            .any(|known| known == context)
        {
            return Err(RegistryError::ContextNotEmpty(context.to_owned()));
        }
        // The counter of IDs stays, or a later context of the same name would reuse them.
        settings::remove_configs(&mut transaction, context).await?;
        settings::remove_modes(&mut transaction, context).await?;
        self.commit(transaction).await
    }

    async fn permit_delete(
        &self,
        connection: &mut Connection,
        subject: &Subject,
    ) -> Result<(), RegistryError> {
        let mode = self.effective_settings(connection, subject).await?.mode;
        permit_change(mode, Some(&subject.name))
    }
}

/// Deletes versions. All checks have been made.
pub(super) async fn delete(
    connection: &mut Connection,
    subject: &Subject,
    rows: &[VersionRow],
    depth: Depth,
) -> Result<(), RegistryError> {
    for row in rows {
        match depth {
            Depth::Soft => versions::soft_delete(connection, subject, row.version).await?,
            Depth::Permanent => {
                versions::remove(connection, subject, row.version).await?;
                schemas::remove_unused(connection, &subject.context, row.id).await?;
            }
        }
    }
    Ok(())
}

/// Deletes the settings of a subject that has no versions any more.
async fn delete_settings(
    connection: &mut Connection,
    subject: &Subject,
) -> Result<(), RegistryError> {
    settings::remove_config(connection, Scope::of(subject)).await?;
    settings::remove_mode(connection, Scope::of(subject)).await?;
    Ok(())
}
