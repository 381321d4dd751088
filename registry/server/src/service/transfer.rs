//! The registry's whole content as records, out and in. What comes in is stored as it comes: ids,
//! versions, deleted ones, times, texts.

use avouch_registry_api::records::{
    ConfigValue, DeleteSubjectValue, ModeValue, Record, RecordKey, SchemaValue,
};
use avouch_registry_api::rest::StoredConfigBody;
use avouch_registry_api::vocabulary::SchemaType;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::decide::content::Content;
use crate::decide::register::VersionRow;
use crate::decide::subject::{DEFAULT_CONTEXT, Prefix, Subject};
use crate::error::RegistryError;
use crate::service::Service;
use crate::service::register::store_content;
use crate::store::settings::GLOBAL;
use crate::store::versions::Entry;
use crate::store::{Connection, Page, counters, schemas, settings, versions};

/// The prefix of every subject of every context.
const ALL_CONTEXTS: &str = ":*:";
/// Versions in one answer of an export.
const MAX_EXPORTED: i64 = 1_000;

impl Service {
    /// A page of the content as records: versions, soft-deleted ones included, by subject and
    /// version, and before the first of them all configurations and modes.
    pub(crate) async fn export(&self, page: Page) -> Result<Vec<Record>, RegistryError> {
        let mut snapshot = self.store.read().await?;
        let mut records = Vec::new();
        if page.offset == 0 {
            for context in contexts_with_settings(&mut snapshot).await? {
                settings_of(&mut snapshot, &context, &mut records).await?;
            }
        }
        let page = Page {
            limit: page.limit.min(MAX_EXPORTED),
            ..page
        };
        let everything = Prefix::parse(ALL_CONTEXTS);
        let entries = versions::list(&mut snapshot, &everything, true, false, page).await?;
        for entry in entries {
            records.push(schema_record(entry)?);
        }
        Ok(records)
    }

    /// Stores records in their order, all of them or none. The registry must be in mode `IMPORT`.
    pub(crate) async fn import(&self, records: Vec<Record>) -> Result<usize, RegistryError> {
        let mut transaction = self.store.write().await?;
        let mode = settings::mode(&mut transaction, DEFAULT_CONTEXT, GLOBAL).await?;
        if !mode.is_some_and(|mode| mode.is_import()) {
            let message = "The registry is not in import mode".to_owned();
            return Err(RegistryError::NotPermitted(message));
        }
        let count = records.len();
        for (index, record) in records.into_iter().enumerate() {
            let stored = self.store_record(&mut transaction, record).await;
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
        version: i32,
        value: SchemaValue,
    ) -> Result<(), RegistryError> {
        if version < 1 || value.id < 0 {
            let reason = format!("version {version} with id {} cannot be", value.id);
            return Err(RegistryError::BadRequest(reason));
        }
        let content = Content {
            schema_type: value.schema_type.unwrap_or(SchemaType::Avro),
            text: value.schema,
            references: value.references.unwrap_or_default(),
            metadata: value.metadata,
            rule_set: value.rule_set,
        };
        let Subject { context, name } = subject;
        let before = versions::entry(connection, context, name, version).await?;
        store_content(connection, subject, Some(value.id), &content).await?;
        let row = VersionRow {
            version,
            id: value.id,
            deleted: value.deleted,
        };
        let created_at_ms = value.ts.unwrap_or_else(|| (self.config.clock)());
        versions::put(connection, context, name, row, created_at_ms).await?;
        if let Some(before) = before {
            schemas::remove_unused(connection, context, before.row.id).await?;
        }
        Ok(())
    }
}

async fn remove_version(
    connection: &mut Connection,
    subject: &Subject,
    version: i32,
) -> Result<(), RegistryError> {
    let Subject { context, name } = subject;
    if let Some(entry) = versions::entry(connection, context, name, version).await? {
        versions::remove(connection, context, name, version).await?;
        schemas::remove_unused(connection, context, entry.row.id).await?;
    }
    Ok(())
}

async fn delete_up_to(
    connection: &mut Connection,
    subject: &Subject,
    version: i32,
) -> Result<(), RegistryError> {
    let Subject { context, name } = subject;
    let rows = versions::rows(connection, context, name).await?;
    let doomed = rows
        .iter()
        .filter(|row| !row.deleted && row.version <= version);
    for row in doomed {
        versions::soft_delete(connection, context, name, row.version).await?;
    }
    Ok(())
}

async fn store_config(
    connection: &mut Connection,
    subject: Option<String>,
    value: Value,
) -> Result<(), RegistryError> {
    let (context, scope) = place(subject);
    if value.is_null() {
        settings::remove_config(connection, &context, &scope).await?;
        return Ok(());
    }
    let value: ConfigValue = parsed(value)?;
    let config = StoredConfigBody {
        compatibility: value.compatibility_level,
        properties: value.properties,
    };
    settings::put_config(connection, &context, &scope, &config).await?;
    Ok(())
}

async fn store_mode(
    connection: &mut Connection,
    subject: Option<String>,
    value: Value,
) -> Result<(), RegistryError> {
    let (context, scope) = place(subject);
    if value.is_null() {
        settings::remove_mode(connection, &context, &scope).await?;
        return Ok(());
    }
    let value: ModeValue = parsed(value)?;
    settings::put_mode(connection, &context, &scope, value.mode).await?;
    Ok(())
}

/// Context and scope of a subject's settings, of a context's, or of everyone's.
fn place(subject: Option<String>) -> (String, String) {
    let subject = Subject::existing(&subject.unwrap_or_default());
    if subject.plain().is_empty() {
        (subject.context, GLOBAL.to_owned())
    } else {
        (subject.context, subject.name)
    }
}

/// The default context first, since it is what the others fall back to.
async fn contexts_with_settings(connection: &mut Connection) -> Result<Vec<String>, RegistryError> {
    let mut contexts = counters::contexts(connection).await?;
    contexts.retain(|context| context != DEFAULT_CONTEXT);
    contexts.insert(0, DEFAULT_CONTEXT.to_owned());
    Ok(contexts)
}

/// The configurations and modes of a context.
async fn settings_of(
    connection: &mut Connection,
    context: &str,
    records: &mut Vec<Record>,
) -> Result<(), RegistryError> {
    for (scope, config) in settings::configs(connection, context).await? {
        records.push(config_record(context, scope, config)?);
    }
    for (scope, mode) in settings::modes(connection, context).await? {
        let subject = subject_of(context, scope);
        let value = ModeValue {
            subject: subject.clone(),
            mode,
        };
        let key = RecordKey::Mode { subject, magic: 0 };
        records.push(record(key, &value)?);
    }
    Ok(())
}

fn schema_record(entry: Entry) -> Result<Record, RegistryError> {
    let Entry {
        subject,
        row,
        created_at_ms,
        content,
    } = entry;
    let key = RecordKey::Schema {
        subject: subject.clone(),
        version: row.version,
        magic: 1,
    };
    let is_avro = content.schema_type == SchemaType::Avro;
    let value = SchemaValue {
        subject,
        version: row.version,
        id: row.id,
        schema_type: (!is_avro).then_some(content.schema_type),
        references: (!content.references.is_empty()).then_some(content.references),
        metadata: content.metadata,
        rule_set: content.rule_set,
        schema: content.text,
        deleted: row.deleted,
        ts: Some(created_at_ms),
    };
    record(key, &value)
}

fn config_record(
    context: &str,
    scope: String,
    config: StoredConfigBody,
) -> Result<Record, RegistryError> {
    let subject = subject_of(context, scope);
    let value = ConfigValue {
        subject: subject.clone(),
        compatibility_level: config.compatibility,
        properties: config.properties,
    };
    record(RecordKey::Config { subject, magic: 0 }, &value)
}

fn subject_of(context: &str, scope: String) -> Option<String> {
    if scope != GLOBAL {
        Some(scope)
    } else if context == DEFAULT_CONTEXT {
        None
    } else {
        Some(format!(":{context}:"))
    }
}

fn record<T: Serialize>(key: RecordKey, value: &T) -> Result<Record, RegistryError> {
    let value = serde_json::to_value(value);
    let value = value.map_err(|error| RegistryError::Store(error.to_string()))?;
    Ok(Record { key, value })
}

fn parsed<T: DeserializeOwned>(value: Value) -> Result<T, RegistryError> {
    serde_json::from_value(value).map_err(|error| RegistryError::BadRequest(error.to_string()))
}
