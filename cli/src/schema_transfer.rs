//! `avouch schema export` and `import`: the content of a registry as a file of records, one a line,
//! in the form of Confluent's topic `_schemas`. Ids, versions, soft deletes, configurations and
//! modes are preserved.

use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;
use avouch_registry_api::client::RegistryClient;
use avouch_registry_api::records::{ModeValue, Record, RecordKey};
use avouch_registry_api::types::Mode;
use serde_json::Value;
use thiserror::Error;

/// Maximum number of records in one request.
const CHUNK_RECORDS: usize = 500;
/// Maximum size of their values, unless one alone is larger. The registry accepts bodies of 2 MiB.
const CHUNK_BYTES: usize = 1 << 20;

/// The outcome of an import.
#[derive(Debug)]
pub(crate) struct Imported {
    /// Records stored.
    pub(crate) records: usize,
    /// Records of kinds that the registry does not support.
    pub(crate) skipped: usize,
}

/// Writes the content of a registry to `path` and returns the number of records. They are one
/// snapshot, even if the registry changes meanwhile.
///
/// # Errors
/// When the registry does not respond completely, or the file cannot be written.
pub(crate) async fn export(registry: &RegistryClient, path: &Path) -> anyhow::Result<usize> {
    let mut export = registry.export().await?;
    let mut file = BufWriter::new(fs::File::create(path)?);
    let mut records = 0;
    while let Some(record) = export.next().await? {
        serde_json::to_writer(&mut file, &record)?;
        file.write_all(b"\n")?;
        records += 1;
    }
    // An export is often a backup, so it is complete only once it is on disk.
    file.into_inner()?.sync_all()?;
    Ok(records)
}

/// Stores the records of the file at `path` in a registry, which must be empty unless `force` is
/// set. The registry is in mode `IMPORT` meanwhile, and afterwards in the mode that the file names,
/// or in the previous one. A failed import can be repeated.
///
/// # Errors
/// When a line is not a record, or the registry rejects one; previous ones may be stored then.
pub(crate) async fn import(
    registry: &RegistryClient,
    path: &Path,
    force: bool,
) -> anyhow::Result<Imported> {
    let Lines {
        records,
        mode,
        skipped,
        // The complete file is parsed before the first change.
    } = read(&fs::read_to_string(path)?)?;
    let before = registry.mode(None, false).await?;
    // Only in this mode does the registry accept ids and versions.
    registry.set_mode(None, Some(Mode::Import), force).await?;
    let count = records.len();
    for chunk in chunks(records) {
        registry.import(chunk).await?;
    }
    registry
        .set_mode(None, mode.unwrap_or(before), force)
        .await?;
    Ok(Imported {
        records: count,
        skipped,
    })
}

/// The lines of a file.
#[derive(Debug, Default)]
struct Lines {
    records: Vec<Record>,
    /// The mode of the whole registry, which may take effect only after everything is stored.
    mode: Option<Option<Mode>>,
    skipped: usize,
}

/// A line that is not a record.
#[derive(Debug, Error)]
enum LineError {
    #[error("invalid JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the record has no key")]
    NoKey,
}

/// Parses one record a line: an object with `key` and `value` (or `payload`), each JSON or JSON in
/// a string, or key and value separated by a tab, as Kafka's tools print them.
fn read(text: &str) -> anyhow::Result<Lines> {
    let mut lines = Lines::default();
    for (index, line) in text.lines().enumerate() {
        if !line.trim().is_empty() {
            let place = || format!("line {}", index + 1);
            read_line(&mut lines, line).with_context(place)?;
        }
    }
    Ok(lines)
}

fn read_line(lines: &mut Lines, line: &str) -> Result<(), LineError> {
    let (key, value) = key_and_value(line)?;
    if !is_known(&key) {
        lines.skipped += 1;
        return Ok(());
    }
    match serde_json::from_value(key)? {
        // Setting it now would end mode IMPORT before the rest is stored.
        RecordKey::Mode { subject: None, .. } => {
            let value: Option<ModeValue> = serde_json::from_value(value)?;
            lines.mode = Some(value.map(|value| value.mode));
        }
        key => lines.records.push(Record { key, value }),
    }
    Ok(())
}

fn key_and_value(line: &str) -> Result<(Value, Value), LineError> {
    // JSON escapes tabs within strings, so a tab can only be the separator.
    if let Some((key, value)) = line.split_once('\t') {
        // Console consumers print a tombstone as an empty value.
        let value = if value.is_empty() { "null" } else { value };
        return Ok((serde_json::from_str(key)?, serde_json::from_str(value)?));
    }
    let mut line: Value = serde_json::from_str(line)?;
    // kcat names the value `payload`.
    let value = line.get("value").or_else(|| line.get("payload"));
    let value = unwrapped(value.cloned().unwrap_or(Value::Null))?;
    let key = line.get_mut("key").ok_or(LineError::NoKey)?.take();
    Ok((unwrapped(key)?, value))
}

fn unwrapped(value: Value) -> Result<Value, LineError> {
    match value {
        Value::String(text) if text.is_empty() => Ok(Value::Null),
        Value::String(text) => Ok(serde_json::from_str(&text)?),
        value => Ok(value),
    }
}

/// Returns whether the registry supports records of this kind. Associations, for example, are not.
fn is_known(key: &Value) -> bool {
    const KINDS: [&str; 7] = [
        "SCHEMA",
        "CONFIG",
        "MODE",
        "DELETE_SUBJECT",
        "CLEAR_SUBJECT",
        "CONTEXT",
        "NOOP",
    ];
    let kind = key.get("keytype").and_then(Value::as_str);
    // A key without a kind is an error, which the parser of the record reports.
    kind.is_none_or(|kind| KINDS.contains(&kind))
}

fn chunks(records: Vec<Record>) -> Vec<Vec<Record>> {
    let mut chunks: Vec<Vec<Record>> = Vec::new();
    let mut bytes = 0;
    for record in records {
        // Keys are small, so only values count.
        let size = record.value.to_string().len();
        let fits =
            |chunk: &&mut Vec<Record>| chunk.len() < CHUNK_RECORDS && bytes + size <= CHUNK_BYTES;
        match chunks.last_mut().filter(fits) {
            Some(chunk) => {
                chunk.push(record);
                bytes += size;
            }
            None => {
                chunks.push(vec![record]);
                bytes = size;
            }
        }
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: registry/rule-15
    #[test]
    fn lines_of_all_tools_are_read() {
        let key = r#"{"keytype":"CONFIG","subject":"s","magic":0}"#;
        let value = r#"{"compatibilityLevel":"FULL"}"#;
        let quoted = |text: &str| Value::from(text).to_string();
        let lines = [
            format!(r#"{{"key":{key},"value":{value}}}"#),
            format!("{key}\t{value}"),
            format!(
                r#"{{"topic":"_schemas","key":{},"payload":{}}}"#,
                quoted(key),
                quoted(value)
            ),
        ];
        let read = read(&lines.join("\n")).unwrap();
        assert_eq!(read.records.len(), 3);
        for record in &read.records {
            assert_eq!(record, &read.records[0]);
            assert_eq!(record.value["compatibilityLevel"], "FULL");
        }
        let gone = format!("{key}\tnull\n\n{key}\t\n{{\"key\":{key}}}");
        let gone = super::read(&gone).unwrap().records;
        assert!(gone.iter().all(|record| record.value.is_null()) && gone.len() == 3);
    }

    #[test]
    fn registry_mode_is_set_last() {
        let text = r#"
{"key":{"keytype":"MODE","subject":null,"magic":0},"value":{"mode":"READONLY"}}
{"key":{"keytype":"ASSOC","tenant":"default"},"value":{}}
{"key":{"keytype":"MODE","subject":"s","magic":0},"value":{"subject":"s","mode":"READWRITE"}}"#;
        let read = read(text).unwrap();
        assert_eq!(read.mode, Some(Some(Mode::Readonly)));
        assert_eq!((read.records.len(), read.skipped), (1, 1));
        let error = super::read("\n{}").unwrap_err();
        assert_eq!(format!("{error:#}"), "line 2: the record has no key");
    }

    #[test]
    fn requests_stay_below_the_body_limit() {
        let record = |size: usize| Record {
            key: RecordKey::Noop { magic: 0 },
            value: Value::from("x".repeat(size)),
        };
        let many = (0..CHUNK_RECORDS + 1).map(|_| record(1)).collect();
        let sizes: Vec<usize> = chunks(many).iter().map(Vec::len).collect();
        assert_eq!(sizes, [CHUNK_RECORDS, 1]);
        let large = vec![record(10), record(CHUNK_BYTES), record(CHUNK_BYTES / 2)];
        assert_eq!(chunks(large).len(), 3);
    }
}
