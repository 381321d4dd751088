//! Soft and permanent deletes of versions and subjects.

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
        let with_deleted = depth == Depth::Permanent;
        let version = row.version;
        let referrers = edges::referrers(&mut transaction, name, version, with_deleted).await?;
        if !referrers.is_empty() {
            return Err(RegistryError::ReferenceExists {
                subject: name.clone(),
                version,
            });
        }
        permit_version(name, row, depth)?;
        delete(&mut transaction, subject, &[row], depth).await?;
        if depth == Depth::Permanent && rows.len() == 1 {
            forget_settings(&mut transaction, subject).await?;
        }
        self.commit(transaction).await?;
        Ok(version)
    }

    /// Brings a soft-deleted version back under its old number, if it agrees with the live ones.
    /// One that is live stays so.
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
        if !entry.row.deleted {
            return Ok(body_of(entry));
        }
        self.permit_delete(&mut transaction, subject).await?;
        if checks == Checks::Compatibility {
            let resolved = resolve(&mut transaction, subject, entry.clone())
                .await?
                .resolved;
            let parsed = resolved.parse();
            let parsed = parsed.map_err(|reason| unreadable(&entry, &reason))?;
            let prepared = Prepared { resolved, parsed };
            let in_force = self.in_force(&mut transaction, subject).await?;
            self.require_agreement(&mut transaction, subject, &prepared, &in_force.config)
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
        let doomed = find_subject(name, &rows, depth)?;
        self.permit_delete(&mut transaction, subject).await?;
        let with_deleted = depth == Depth::Permanent;
        for row in &doomed {
            let version = row.version;
            let referred_to =
                edges::referred_to_from_elsewhere(&mut transaction, name, version, with_deleted);
            if referred_to.await? {
                return Err(RegistryError::ReferenceExists {
                    subject: name.clone(),
                    version,
                });
            }
        }
        permit_subject(name, &doomed, depth)?;
        delete(&mut transaction, subject, &doomed, depth).await?;
        if depth == Depth::Permanent {
            forget_settings(&mut transaction, subject).await?;
        }
        self.commit(transaction).await?;
        Ok(doomed.iter().map(|row| row.version).collect())
    }

    /// Forgets the settings of a context that has no version. What ids it gave out is remembered.
    pub(crate) async fn delete_context(&self, context: &str) -> Result<(), RegistryError> {
        let mut transaction = self.store.write().await?;
        if counters::contexts(&mut transaction)
            .await?
            .iter()
            .any(|known| known == context)
        {
            return Err(RegistryError::ContextNotEmpty(context.to_owned()));
        }
        settings::remove_configs(&mut transaction, context).await?;
        settings::remove_modes(&mut transaction, context).await?;
        self.commit(transaction).await
    }

    async fn permit_delete(
        &self,
        connection: &mut Connection,
        subject: &Subject,
    ) -> Result<(), RegistryError> {
        let mode = self.in_force(connection, subject).await?.mode;
        permit_change(mode, Some(&subject.name))
    }
}

/// Takes versions away, after everything that could refuse it.
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

/// A subject without versions keeps no settings.
async fn forget_settings(
    connection: &mut Connection,
    subject: &Subject,
) -> Result<(), RegistryError> {
    settings::remove_config(connection, Scope::of(subject)).await?;
    settings::remove_mode(connection, Scope::of(subject)).await?;
    Ok(())
}
