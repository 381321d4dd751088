//! `avouch schema export` and `import`: a registry's content as a file of records, a line each, as
//! they stand in Confluent's topic `_schemas`. Ids, versions, deleted ones, configurations and
//! modes stay what they are. Owns the file's spelling; what a record does is the registry's.

use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use avouch_registry_api::records::{Record, RecordKey};
use reqwest::{Client, Method, Url};
use serde_json::{Value, json};

/// Records of one request at most.
const CHUNK_RECORDS: usize = 500;
/// Their bytes together, unless one alone is larger; the registry takes bodies of 2 MiB.
const CHUNK_BYTES: usize = 1 << 20;

/// What an import did.
#[derive(Debug)]
pub(crate) struct Imported {
    /// Records stored.
    pub(crate) records: usize,
    /// Records of kinds that this registry has no use for.
    pub(crate) skipped: usize,
}

/// Writes the content of the registry at `url` to `path` and returns the number of records. They
/// are of one moment, whatever is written to the registry meanwhile.
///
/// # Errors
/// When the registry does not answer, or not to the end, or the file cannot be written.
pub(crate) fn export(url: &str, path: &Path) -> anyhow::Result<usize> {
    let registry = Registry::at(url)?;
    let mut file = BufWriter::new(fs::File::create(path)?);
    let mut array = Array::default();
    registry.read("v1/export", |bytes| {
        array.read(bytes, |record| {
            serde_json::from_slice::<Record>(record)?;
            file.write_all(record)?;
            Ok(file.write_all(b"\n")?)
        })
    })?;
    if !array.is_closed {
        bail!("the registry stopped in the midst of its content");
    }
    file.into_inner()?.sync_all()?;
    Ok(array.records)
}

/// A JSON array with an element a line, read as it comes.
#[derive(Debug, Default)]
struct Array {
    /// A line without its end.
    rest: Vec<u8>,
    records: usize,
    is_closed: bool,
}

impl Array {
    fn read(
        &mut self,
        bytes: &[u8],
        mut take: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.rest.extend_from_slice(bytes);
        let mut start = 0;
        while let Some(length) = self.rest[start..].iter().position(|byte| *byte == b'\n') {
            let line = &self.rest[start..start + length];
            start += length + 1;
            match line.strip_suffix(b",").unwrap_or(line) {
                b"" | b"[" => {}
                b"]" => self.is_closed = true,
                element => {
                    take(element)?;
                    self.records += 1;
                }
            }
        }
        self.rest.drain(..start);
        Ok(())
    }
}

/// Stores the records of the file at `path` in the registry at `url`, which must be empty unless
/// `force`. The registry is in mode `IMPORT` meanwhile, and then in the mode that the file says, or
/// in the one before. An import that failed can be run again.
///
/// # Errors
/// When a line is no record, or the registry refuses one; those before it may be stored then.
pub(crate) fn import(url: &str, path: &Path, force: bool) -> anyhow::Result<Imported> {
    let Lines {
        records,
        mode,
        skipped,
    } = read(&fs::read_to_string(path)?)?;
    let registry = Registry::at(url)?;
    let before = registry.get("mode")?["mode"].take();
    let put_mode = |mode: &Value| {
        let path = format!("mode?force={force}");
        registry.send(Method::PUT, &path, &json!({ "mode": mode }))
    };
    put_mode(&json!("IMPORT"))?;
    let count = records.len();
    for chunk in chunks(records) {
        registry.send(Method::POST, "v1/import", &json!({ "records": chunk }))?;
    }
    put_mode(&mode.unwrap_or(before))?;
    Ok(Imported {
        records: count,
        skipped,
    })
}

/// The lines of a file.
#[derive(Debug, Default)]
struct Lines {
    records: Vec<Record>,
    /// The mode of the whole registry, which must not come into force before everything is stored.
    mode: Option<Value>,
    skipped: usize,
}

/// Reads one record a line: an object with `key` and `value` (or `payload`), each JSON or JSON in a
/// string, or key and value apart by a tab, as Kafka's tools print them.
fn read(text: &str) -> anyhow::Result<Lines> {
    let mut lines = Lines::default();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let place = || format!("line {}", index + 1);
        let (key, value) = key_and_value(line).with_context(place)?;
        if !is_known(&key) {
            lines.skipped += 1;
            continue;
        }
        let key: RecordKey = serde_json::from_value(key).with_context(place)?;
        match key {
            RecordKey::Mode { subject: None, .. } => {
                lines.mode = Some(value.get("mode").cloned().unwrap_or(Value::Null));
            }
            key => lines.records.push(Record { key, value }),
        }
    }
    Ok(lines)
}

fn key_and_value(line: &str) -> anyhow::Result<(Value, Value)> {
    if let Some((key, value)) = line.split_once('\t') {
        let value = if value.is_empty() { "null" } else { value };
        return Ok((serde_json::from_str(key)?, serde_json::from_str(value)?));
    }
    let mut line: Value = serde_json::from_str(line)?;
    let value = line.get("value").or_else(|| line.get("payload"));
    let value = unwrapped(value.cloned().unwrap_or(Value::Null))?;
    match line.get_mut("key").map(Value::take) {
        Some(key) => Ok((unwrapped(key)?, value)),
        None => bail!("there is no key"),
    }
}

fn unwrapped(value: Value) -> anyhow::Result<Value> {
    match value {
        Value::String(text) if text.is_empty() => Ok(Value::Null),
        Value::String(text) => Ok(serde_json::from_str(&text)?),
        value => Ok(value),
    }
}

/// Whether the registry has a use for records of this kind: it has no associations, for one.
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
    kind.is_none_or(|kind| KINDS.contains(&kind))
}

fn chunks(records: Vec<Record>) -> Vec<Vec<Record>> {
    let mut chunks: Vec<Vec<Record>> = Vec::new();
    let mut bytes = 0;
    for record in records {
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

/// A registry, asked one thing after the other.
struct Registry {
    base: Url,
    http: Client,
    runtime: tokio::runtime::Runtime,
}

impl Registry {
    fn at(url: &str) -> anyhow::Result<Self> {
        let url = format!("{}/", url.trim_end_matches('/'));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(Self {
            base: Url::parse(&url).with_context(|| format!("registry {url}"))?,
            http: Client::new(),
            runtime,
        })
    }

    fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.ask(Method::GET, path, None)
    }

    /// Reads an answer as it comes.
    fn read(
        &self,
        path: &str,
        mut take: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.runtime.block_on(async {
            let mut response = self.http.get(self.base.join(path)?).send().await?;
            if !response.status().is_success() {
                bail!("{path}: {}", response.text().await?);
            }
            while let Some(bytes) = response.chunk().await? {
                take(&bytes)?;
            }
            Ok(())
        })
    }

    fn send(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.ask(method, path, Some(body))
    }

    fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let request = self.http.request(method, self.base.join(path)?);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        self.runtime.block_on(async {
            let response = request.send().await?;
            let status = response.status();
            let answer: Value = response
                .json()
                .await
                .with_context(|| format!("HTTP {status}"))?;
            match answer.get("error_code") {
                Some(code) => bail!("{path}: {code} {}", answer["message"]),
                None => Ok(answer),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: registry/rule-15
    #[test]
    fn lines_are_read_in_every_spelling_that_tools_print() {
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

    // Conformance: registry/rule-15
    #[test]
    fn an_array_is_read_line_by_line_wherever_it_is_cut() {
        let text = b"[\n{\"a\":1},\n{\"b\":2}\n]\n";
        for cut in 0..text.len() {
            let mut array = Array::default();
            let mut lines = Vec::new();
            for part in [&text[..cut], &text[cut..]] {
                assert!(!array.is_closed, "before its end");
                let take = |line: &[u8]| {
                    lines.push(String::from_utf8(line.to_vec())?);
                    Ok(())
                };
                array.read(part, take).unwrap();
            }
            assert!(array.is_closed);
            assert_eq!(lines, [r#"{"a":1}"#, r#"{"b":2}"#]);
        }
        let mut cut_off = Array::default();
        cut_off.read(b"[\n{},\n", |_| Ok(())).unwrap();
        assert!(!cut_off.is_closed);
    }

    #[test]
    fn the_registrys_own_mode_waits_and_unknown_kinds_are_counted() {
        let text = r#"
{"key":{"keytype":"MODE","subject":null,"magic":0},"value":{"mode":"READONLY"}}
{"key":{"keytype":"ASSOC","tenant":"default"},"value":{}}
{"key":{"keytype":"MODE","subject":"s","magic":0},"value":{"subject":"s","mode":"READWRITE"}}"#;
        let read = read(text).unwrap();
        assert_eq!(read.mode, Some(json!("READONLY")));
        assert_eq!((read.records.len(), read.skipped), (1, 1));
        let error = super::read("\n{}").unwrap_err();
        assert_eq!(format!("{error:#}"), "line 2: there is no key");
    }

    #[test]
    fn requests_hold_no_more_than_the_registry_takes() {
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
