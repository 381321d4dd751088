//! The registry's whole content as records, out: one snapshot, in parts small enough to be sent on
//! while the next is read.

use std::time::Duration;

use avouch_registry_api::records::{
    ConfigValue, ContextValue, ModeValue, Record, RecordKey, SchemaValue,
};
use avouch_registry_api::rest::StoredConfigBody;
use avouch_registry_api::types::SchemaType;
use serde::Serialize;
use tokio::sync::mpsc::Sender;

use crate::decide::subject::{DEFAULT_CONTEXT, Subject};
use crate::error::RegistryError;
use crate::service::Service;
use crate::store::versions::{Entry, Position};
use crate::store::{Connection, counters, settings, versions};

/// Versions of one part.
const PART_VERSIONS: i64 = 1_000;
/// Characters of their texts together, unless one alone has more.
const PART_CHARS: i64 = 1 << 20;
/// How long a part waits for whoever reads it, before the export is given up: it holds a
/// connection, and PostgreSQL ends a transaction that does nothing for longer.
const READER_PATIENCE: Duration = Duration::from_secs(8);
/// The tenant of all contexts, in Confluent's words.
const TENANT: &str = "default";

/// Some of the records, in order.
type Part = Result<Vec<Record>, RegistryError>;

impl Service {
    /// Sends everything, part by part: contexts with the highest id that each gave out,
    /// configurations and modes, then versions, soft-deleted ones included, by context, subject and
    /// version. An empty part is the last; without it the export is not whole.
    pub(crate) async fn export(&self, parts: Sender<Part>) {
        if let Err(error) = self.export_to(&parts).await {
            tracing::error!(%error, "an export ended early");
            let _reader_is_gone = parts.try_send(Err(error));
        }
    }

    async fn export_to(&self, parts: &Sender<Part>) -> Result<(), RegistryError> {
        let mut snapshot = self.store.read().await?;
        for context in counters::contexts_of_anything(&mut snapshot).await? {
            let mut records = Vec::new();
            records.extend(context_record(&mut snapshot, &context).await?);
            settings_of(&mut snapshot, &context, &mut records).await?;
            send(parts, records).await?;
        }
        let mut after = None;
        loop {
            let limit = versions_of_next_part(&mut snapshot, after.as_ref()).await?;
            let entries = versions::after(&mut snapshot, after.as_ref(), limit).await?;
            let Some(last) = entries.last() else { break };
            after = Some(Position {
                subject: Subject::existing(&last.subject),
                version: last.row.version,
            });
            let records = entries.into_iter().map(schema_record);
            send(parts, records.collect::<Result<_, _>>()?).await?;
        }
        let end = parts.send_timeout(Ok(Vec::new()), READER_PATIENCE).await;
        end.map_err(|_gone| given_up())
    }
}

async fn send(parts: &Sender<Part>, records: Vec<Record>) -> Result<(), RegistryError> {
    if records.is_empty() {
        return Ok(());
    }
    let sent = parts.send_timeout(Ok(records), READER_PATIENCE).await;
    sent.map_err(|_gone| given_up())
}

fn given_up() -> RegistryError {
    RegistryError::StoreTimeout("nobody reads the export".to_owned())
}

/// As many versions as one part holds, at least one.
async fn versions_of_next_part(
    connection: &mut Connection,
    after: Option<&Position>,
) -> Result<i64, RegistryError> {
    let sizes = versions::sizes_after(connection, after, PART_VERSIONS).await?;
    let mut chars = 0_i64;
    let fitting = sizes.into_iter().take_while(|size| {
        chars = chars.saturating_add(*size);
        chars <= PART_CHARS
    });
    let count = i64::try_from(fitting.count()).unwrap_or(i64::MAX);
    Ok(count.max(1))
}

/// The context with its highest id; nothing for the default one before its first.
async fn context_record(
    connection: &mut Connection,
    context: &str,
) -> Result<Option<Record>, RegistryError> {
    let highest = counters::highest_id(connection, context).await?;
    if context == DEFAULT_CONTEXT && highest.get() == 0 {
        return Ok(None);
    }
    let (tenant, context) = (Some(TENANT.to_owned()), Some(context.to_owned()));
    let value = ContextValue {
        tenant: tenant.clone(),
        context: context.clone(),
        max_id: Some(highest).filter(|id| id.get() > 0),
    };
    let key = RecordKey::Context {
        tenant,
        context,
        magic: 0,
    };
    record(key, &value).map(Some)
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
    if !scope.is_empty() {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use tokio::sync::mpsc;

    use super::*;
    use crate::service::Checks;
    use crate::{Database, Registry, RegistryConfig};

    async fn register(service: &Service, subject: &str, doc_chars: usize) {
        let doc = "x".repeat(doc_chars);
        let schema = json!({ "type": "record", "name": subject, "doc": doc, "fields": [] });
        let request = json!({ "schema": schema.to_string() });
        let request = serde_json::from_value(request).unwrap();
        let subject = Subject::existing(subject);
        let registered = service.register(&subject, request, false, Checks::Compatibility);
        registered.await.unwrap();
    }

    // Conformance: registry/rule-15
    #[tokio::test]
    async fn an_export_is_of_one_moment_and_its_parts_are_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::Sqlite(directory.path().join("registry.db"));
        let registry = Registry::open(&database, RegistryConfig::default());
        let service = registry.await.unwrap().service;
        for subject in ["a", "b", "c", "d", "e"] {
            register(&service, subject, 400_000).await;
        }
        let (sender, mut parts) = mpsc::channel(1);
        let exporting = Arc::clone(&service);
        tokio::spawn(async move { exporting.export(sender).await });
        let mut records = parts.recv().await.unwrap().unwrap();
        // The context is told; the versions are still to be read.
        register(&service, "after", 1).await;
        let gone = Subject::existing("e");
        let depth = crate::decide::delete::Depth::Soft;
        service.delete_subject(&gone, depth).await.unwrap();
        let mut sizes = Vec::new();
        let mut is_whole = false;
        while let Some(part) = parts.recv().await {
            let part = part.unwrap();
            is_whole = part.is_empty();
            sizes.push(part.len());
            records.extend(part);
        }
        assert!(is_whole, "the end is told");
        assert_eq!(sizes, [2, 2, 1, 0], "as many as fit in a part");
        let told: Vec<(String, bool)> = records
            .iter()
            .filter_map(|record| match &record.key {
                RecordKey::Schema { subject, .. } => {
                    Some((subject.clone(), record.value["deleted"] == true))
                }
                _ => None,
            })
            .collect();
        let expected = ["a", "b", "c", "d", "e"].map(|subject| (subject.to_owned(), false));
        assert_eq!(told, expected, "nothing of what came after");
    }

    // Conformance: registry/rule-15
    #[tokio::test]
    async fn an_export_that_nobody_reads_ends() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::Sqlite(directory.path().join("registry.db"));
        let registry = Registry::open(&database, RegistryConfig::default());
        let service = registry.await.unwrap().service;
        register(&service, "a", 1).await;
        let (sender, parts) = mpsc::channel(1);
        drop(parts);
        service.export(sender).await;
    }
}
