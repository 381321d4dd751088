//! Export of the registry as records: one snapshot, in parts that are sent while the next one is
//! read.

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

/// Maximum number of versions in a part.
const PART_VERSIONS: i64 = 1_000;
/// Maximum size of the versions in a part, in characters, unless a single version is larger.
const PART_CHARS: i64 = 1 << 20;
/// Time after which an export is aborted if the client does not read. An export holds a connection,
/// and PostgreSQL aborts a transaction that is idle for 10 seconds.
const SEND_TIMEOUT: Duration = Duration::from_secs(8);
/// Confluent's name of the tenant of all contexts.
const TENANT: &str = "default";

/// Consecutive records of an export.
type Part = Result<Vec<Record>, RegistryError>;

impl Service {
    /// Sends all data in parts: contexts with the highest ID that each assigned, configurations and
    /// modes, then versions, soft-deleted ones included, by context, subject and version. An empty
    /// part is the last one; without it the export is incomplete.
    pub(crate) async fn export(&self, parts: Sender<Part>) {
        if let Err(error) = self.export_to(&parts).await {
            tracing::error!(%error, "export aborted");
            // Without the error, a full channel also ends without the last part.
            let _disconnected = parts.try_send(Err(error));
        }
    }

    async fn export_to(&self, parts: &Sender<Part>) -> Result<(), RegistryError> {
        let mut snapshot = self.store.read().await?;
        // Contexts come first, so that an import reserves their IDs before it stores versions.
        for context in counters::all_contexts(&mut snapshot).await? {
            let mut records = Vec::new();
            records.extend(context_record(&mut snapshot, &context).await?);
            settings_of(&mut snapshot, &context, &mut records).await?;
            send(parts, records).await?;
        }
        let mut after = None;
        loop {
            // Sizes are read before contents, so that no part is larger in memory than its limit.
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
        let end = parts.send_timeout(Ok(Vec::new()), SEND_TIMEOUT).await;
        end.map_err(|_disconnected| not_read())
    }
}

async fn send(parts: &Sender<Part>, records: Vec<Record>) -> Result<(), RegistryError> {
    if records.is_empty() {
        return Ok(());
    }
    let sent = parts.send_timeout(Ok(records), SEND_TIMEOUT).await;
    sent.map_err(|_disconnected| not_read())
}

fn not_read() -> RegistryError {
    RegistryError::StoreTimeout("the client does not read the export".to_owned())
}

/// Returns how many of the next versions fit in a part, at least one.
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
    // A version larger than a part is a part of its own; with 0 the export would never end.
    Ok(count.max(1))
}

/// Returns the record of a context with its highest ID; none for the default context before its
/// first ID.
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

/// Adds the configurations and modes of a context.
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
    async fn export_is_snapshot_in_bounded_parts() {
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
        // The context has been sent; the versions have not been read.
        register(&service, "after", 1).await;
        let deleted = Subject::existing("e");
        let depth = crate::decide::delete::Depth::Soft;
        service.delete_subject(&deleted, depth).await.unwrap();
        let mut sizes = Vec::new();
        let mut is_complete = false;
        while let Some(part) = parts.recv().await {
            let part = part.unwrap();
            is_complete = part.is_empty();
            sizes.push(part.len());
            records.extend(part);
        }
        assert!(is_complete, "the last part is empty");
        assert_eq!(sizes, [2, 2, 1, 0], "as many versions as fit in a part");
        let versions: Vec<(String, bool)> = records
            .iter()
            .filter_map(|record| match &record.key {
                RecordKey::Schema { subject, .. } => {
                    Some((subject.clone(), record.value["deleted"] == true))
                }
                _ => None,
            })
            .collect();
        let expected = ["a", "b", "c", "d", "e"].map(|subject| (subject.to_owned(), false));
        assert_eq!(versions, expected, "no later change");
    }

    // Conformance: registry/rule-15
    #[tokio::test]
    async fn export_ends_when_client_disconnects() {
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
