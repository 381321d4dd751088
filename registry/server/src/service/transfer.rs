//! Import of records. IDs, versions, deletion state, creation times and schemas are stored as they
//! are.

use avouch_registry_api::records::{
    ConfigValue, ContextValue, DeleteSubjectValue, ModeValue, Record, RecordKey, SchemaValue,
};
use avouch_registry_api::rest::StoredConfigBody;
use avouch_registry_api::types::{SchemaId, SchemaType, Version};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::decide::content::Content;
use crate::decide::register::VersionRow;
use crate::decide::subject::{Scope, Subject};
use crate::error::RegistryError;
use crate::service::Service;
use crate::service::register::store_content;
use crate::store::{Connection, counters, schemas, settings, versions};

impl Service {
    /// Stores records in order, in one transaction. The registry must be in mode `IMPORT`.
    pub(crate) async fn import(&self, records: Vec<Record>) -> Result<usize, RegistryError> {
        let mut transaction = self.store.write().await?;
        let global = Subject::existing("");
        let mode = self
            .effective_settings(&mut transaction, &global)
            .await?
            .mode;
        if !mode.is_import() {
            let message = "The registry is not in import mode".to_owned();
            return Err(RegistryError::NotPermitted(message));
        }
        let count = records.len();
        for (index, record) in records.into_iter().enumerate() {
            let stored = self.store_record(&mut transaction, record).await;
            // The file may have thousands of records; the number finds the faulty one.
            stored.map_err(|error| match error {
                RegistryError::BadRequest(reason) => {
                    RegistryError::BadRequest(format!("record {}: {reason}", index + 1))
                }
                error => error,
            })?;
        }
        self.commit(transaction).await?;
        Ok(count)
    }

    async fn store_record(
        &self,
        connection: &mut Connection,
        record: Record,
    ) -> Result<(), RegistryError> {
        let Record { key, value } = record;
        match key {
            RecordKey::Schema {
                subject, version, ..
            } => {
                let subject = Subject::existing(&subject);
                if value.is_null() {
                    return remove_version(connection, &subject, version).await;
                }
                let value: SchemaValue = parsed(value)?;
                self.store_version(connection, &subject, version, value)
                    .await
            }
            RecordKey::Config { subject, .. } => store_config(connection, subject, value).await,
            RecordKey::Mode { subject, .. } => store_mode(connection, subject, value).await,
            RecordKey::DeleteSubject { subject, .. } if !value.is_null() => {
                let subject = Subject::existing(&subject);
                let value: DeleteSubjectValue = parsed(value)?;
                delete_up_to(connection, &subject, value.version).await
            }
            RecordKey::Context { context, .. } if !value.is_null() => {
                let value: ContextValue = parsed(value)?;
                reserve_ids(connection, context, value.max_id).await
            }
            RecordKey::DeleteSubject { .. }
            | RecordKey::ClearSubject { .. }
            | RecordKey::Context { .. }
            | RecordKey::Noop { .. } => Ok(()),
        }
    }

    async fn store_version(
        &self,
        connection: &mut Connection,
        subject: &Subject,
        version: Version,
        value: SchemaValue,
    ) -> Result<(), RegistryError> {
        let content = Content {
            schema_type: value.schema_type.unwrap_or(SchemaType::Avro),
            text: value.schema,
            references: value.references.unwrap_or_default(),
            metadata: value.metadata,
            rule_set: value.rule_set,
        };
        // An earlier record may have stored the version with another ID, which may now be unused.
        let before = versions::entry(connection, subject, version).await?;
        store_content(connection, subject, Some(value.id), &content).await?;
        let row = VersionRow {
            version,
            id: value.id,
            deleted: value.deleted,
        };
        // Records of older registries have no time.
        let created_at_ms = value.ts.unwrap_or_else(|| (self.config.clock)());
        versions::put(connection, subject, row, created_at_ms).await?;
        if let Some(before) = before {
            schemas::remove_unused(connection, &subject.context, before.row.id).await?;
        }
        Ok(())
    }
}

/// Excludes the IDs that a context has assigned elsewhere from assignment.
async fn reserve_ids(
    connection: &mut Connection,
    context: Option<String>,
    max_id: Option<SchemaId>,
) -> Result<(), RegistryError> {
    let Some(max_id) = max_id else {
        return Ok(());
    };
    // The name becomes a part of subject names, whose delimiter is the colon.
    let context = context.filter(|context| context.starts_with('.') && !context.contains(':'));
    match context {
        Some(context) if max_id.get() > 0 => {
            counters::raise_ids(connection, &context, max_id).await?;
            Ok(())
        }
        _ => {
            let reason = format!("no context has the highest id {max_id}");
            Err(RegistryError::BadRequest(reason))
        }
    }
}

async fn remove_version(
    connection: &mut Connection,
    subject: &Subject,
    version: Version,
) -> Result<(), RegistryError> {
    if let Some(entry) = versions::entry(connection, subject, version).await? {
        versions::remove(connection, subject, version).await?;
        schemas::remove_unused(connection, &subject.context, entry.row.id).await?;
    }
    Ok(())
}

async fn delete_up_to(
    connection: &mut Connection,
    subject: &Subject,
    version: Version,
) -> Result<(), RegistryError> {
    let rows = versions::rows(connection, subject).await?;
    let live = rows
        .iter()
        .filter(|row| !row.deleted && row.version <= version);
    for row in live {
        versions::soft_delete(connection, subject, row.version).await?;
    }
    Ok(())
}

async fn store_config(
    connection: &mut Connection,
    subject: Option<String>,
    value: Value,
) -> Result<(), RegistryError> {
    let subject = Subject::existing(&subject.unwrap_or_default());
    let scope = Scope::of(&subject);
    if value.is_null() {
        settings::remove_config(connection, scope).await?;
        return Ok(());
    }
    let value: ConfigValue = parsed(value)?;
    let config = StoredConfigBody {
        compatibility: value.compatibility_level,
        properties: value.properties,
    };
    settings::put_config(connection, scope, &config).await?;
    Ok(())
}

async fn store_mode(
    connection: &mut Connection,
    subject: Option<String>,
    value: Value,
) -> Result<(), RegistryError> {
    let subject = Subject::existing(&subject.unwrap_or_default());
    let scope = Scope::of(&subject);
    if value.is_null() {
        settings::remove_mode(connection, scope).await?;
        return Ok(());
    }
    let value: ModeValue = parsed(value)?;
    settings::put_mode(connection, scope, value.mode).await?;
    Ok(())
}

fn parsed<T: DeserializeOwned>(value: Value) -> Result<T, RegistryError> {
    serde_json::from_value(value).map_err(|error| RegistryError::BadRequest(error.to_string()))
}
