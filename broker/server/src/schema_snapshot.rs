//! Snapshot of the schema cache on disk, for a standalone broker: after a restart while the
//! registry is unavailable, it can still check records of known schemas.
//!
//! The file `schemas.json` in the data directory has two lines: a header that names its content,
//! its format and the checksum of the second line, and every cached schema with its subject
//! versions. It is replaced atomically, so a crash leaves the old or the new one. A corrupt file is
//! ignored with a warning, since the registry has the missing schemas. The size is bounded by the
//! cache.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use avouch_contract::Contracts;
use avouch_protocol::batch::crc32c;
use avouch_registry_api::source::RegisteredSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{info, warn};

pub(crate) const FILE: &str = "schemas.json";
const CONTENT: &str = "schemas of the registry";
const FORMAT: u32 = 2;
/// Maximum size of a file that is read; a snapshot is never larger.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Minimum interval between two writes.
const INTERVAL: Duration = Duration::from_secs(1);

/// The first line of the file.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Header {
    content: String,
    format: u32,
    /// CRC-32C of the second line.
    crc32c: u32,
}

/// A complete file of format 1, which had no checksum.
#[derive(Debug, Deserialize)]
struct Unchecked {
    format: u32,
    schemas: Vec<RegisteredSchema>,
}

/// The reason why a snapshot is not restored.
#[derive(Debug, Error)]
enum SnapshotError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("{bytes} bytes are more than the maximum of {FILE_BYTES_MAX}")]
    TooLarge { bytes: u64 },
    #[error("the checksum is {found:08x}; expected {expected:08x}")]
    Checksum { found: u32, expected: u32 },
    #[error("format {0} is unknown; expected {FORMAT}")]
    Format(u32),
    #[error("the content is {0:?}; expected {CONTENT:?}")]
    Content(String),
    #[error("invalid JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// Restores the snapshot into the cache. Then, until `stopping`, writes changes of the cache and
/// refreshes changed schemas, so that the file does not retain what the registry deleted or
/// replaced.
pub(crate) async fn start(
    contracts: &Contracts,
    data_dir: &Path,
    stopping: watch::Receiver<bool>,
) -> JoinHandle<()> {
    let path = data_dir.join(FILE);
    match read(&path) {
        Ok(schemas) => {
            info!(schemas = schemas.len(), "schema snapshot restored");
            contracts.schemas().restore(schemas).await;
        }
        Err(SnapshotError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
        // Nothing is lost: until the registry responds, records of unknown schemas get a retriable
        // error.
        Err(error) => warn!(
            path = %path.display(),
            %error,
            "cannot read the schema snapshot; schemas are loaded from the registry"
        ),
    }
    let refreshed = refresh(contracts.clone(), stopping.clone());
    let saved = save(contracts.clone(), path, stopping);
    tokio::spawn(async {
        tokio::join!(refreshed, saved);
    })
}

async fn refresh(contracts: Contracts, mut stopping: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            _ = stopping.wait_for(|stop| *stop) => return,
        }
        tokio::select! {
            () = contracts.schemas().refresh() => {}
            _ = stopping.wait_for(|stop| *stop) => return,
        }
    }
}

async fn save(contracts: Contracts, path: PathBuf, mut stopping: watch::Receiver<bool>) {
    let mut changes = contracts.schemas().known_changes();
    // What was restored is on disk already.
    changes.mark_unchanged();
    loop {
        let has_changed = tokio::select! {
            changed = changes.changed() => changed.is_ok(),
            _ = stopping.wait_for(|stop| *stop) => false,
        };
        if !has_changed {
            return;
        }
        write_snapshot(&contracts, &path).await;
        let stopped = stopping.wait_for(|stop| *stop);
        if tokio::time::timeout(INTERVAL, stopped).await.is_ok() {
            // Changes during the pause would otherwise be lost.
            if changes.has_changed().unwrap_or(false) {
                write_snapshot(&contracts, &path).await;
            }
            return;
        }
    }
}

async fn write_snapshot(contracts: &Contracts, path: &Path) {
    let (contracts, at) = (contracts.clone(), path.to_owned());
    let written = tokio::task::spawn_blocking(move || {
        let schemas = contracts.schemas().known_schemas();
        write(&at, &schemas)
    });
    if let Err(error) = written.await.unwrap_or_else(|error| Err(error.into())) {
        warn!(path = %path.display(), %error, "cannot write the schema snapshot");
    }
}

fn read(path: &Path) -> Result<Vec<RegisteredSchema>, SnapshotError> {
    let bytes = fs::metadata(path)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(SnapshotError::TooLarge { bytes });
    }
    parse(&fs::read(path)?)
}

fn parse(file: &[u8]) -> Result<Vec<RegisteredSchema>, SnapshotError> {
    let Some(newline) = file.iter().position(|byte| *byte == b'\n') else {
        // Format 1 is one line.
        let unchecked: Unchecked = serde_json::from_slice(file)?;
        return match unchecked.format {
            1 => Ok(unchecked.schemas),
            other => Err(SnapshotError::Format(other)),
        };
    };
    let (header, schemas) = (&file[..newline], &file[newline + 1..]);
    let header: Header = serde_json::from_slice(header)?;
    if header.content != CONTENT {
        return Err(SnapshotError::Content(header.content));
    }
    if header.format != FORMAT {
        return Err(SnapshotError::Format(header.format));
    }
    let (found, expected) = (crc32c(schemas), header.crc32c);
    if found != expected {
        return Err(SnapshotError::Checksum { found, expected });
    }
    Ok(serde_json::from_slice(schemas)?)
}

/// Writes a temporary file, syncs it and renames it.
fn write(path: &Path, schemas: &[RegisteredSchema]) -> io::Result<()> {
    let schemas = serde_json::to_vec(schemas)?;
    let header = Header {
        content: CONTENT.to_owned(),
        format: FORMAT,
        crc32c: crc32c(&schemas),
    };
    let draft = path.with_extension("json.draft");
    let mut file = File::create(&draft)?;
    // JSON without indentation has no line break.
    writeln!(file, "{}", serde_json::to_string(&header)?)?;
    file.write_all(&schemas)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    // The rename is durable once the directory is synced.
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use avouch_registry_api::source::SubjectVersion;
    use avouch_registry_api::types::{SchemaId, SchemaType, Version};

    use super::*;

    fn schema(id: i32) -> RegisteredSchema {
        RegisteredSchema {
            id: SchemaId::new(id).unwrap(),
            schema_type: SchemaType::Avro,
            text: r#"{"type": "string"}"#.to_owned(),
            references: vec![r#""long""#.to_owned()],
            versions: vec![SubjectVersion {
                subject: "s".to_owned(),
                version: Version::FIRST,
                deleted: id % 2 == 0,
            }],
        }
    }

    // Conformance: contract/3e
    #[test]
    fn snapshot_round_trips_and_is_replaced_atomically() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(FILE);
        write(&path, &[schema(1), schema(2)]).unwrap();
        assert_eq!(read(&path).unwrap(), [schema(1), schema(2)]);
        // A crash during the next write leaves a draft and the old file.
        fs::write(path.with_extension("json.draft"), "{\"for").unwrap();
        assert_eq!(read(&path).unwrap(), [schema(1), schema(2)]);
        write(&path, &[schema(3)]).unwrap();
        assert_eq!(read(&path).unwrap(), [schema(3)]);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    // Conformance: contract/3e
    #[test]
    fn corrupt_or_unknown_snapshot_is_rejected() {
        let header = r#"{"content":"schemas of the registry","format":2,"crc32c":0}"#;
        for (content, expected) in [
            ("", "invalid JSON"),
            ("{\"format\":1,\"sche", "invalid JSON"),
            ("{\"format\":2,\"schemas\":[]}", "format 2 is unknown"),
            (&format!("{header}\n[]"), "the checksum is"),
            (
                &format!("{}\n[]", header.replace("2,", "3,")),
                "format 3 is unknown",
            ),
            (
                &format!("{}\n[]", header.replace("registry", "x")),
                "the content is",
            ),
        ] {
            let error = parse(content.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{content}: {error}");
        }
    }

    // Conformance: contract/3e
    #[test]
    fn every_flipped_bit_is_detected() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(FILE);
        write(&path, &[schema(1)]).unwrap();
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut flipped = whole.clone();
                flipped[at] ^= 1 << bit;
                assert!(parse(&flipped).is_err(), "bit {bit} of byte {at}");
            }
        }
        for end in 0..whole.len() {
            assert!(parse(&whole[..end]).is_err(), "cut to {end} bytes");
        }
    }

    // Conformance: contract/3e
    #[test]
    fn former_format_is_read() {
        let schemas = serde_json::to_string(&[schema(1), schema(2)]).unwrap();
        let file = format!(r#"{{"format":1,"schemas":{schemas}}}"#);
        assert_eq!(parse(file.as_bytes()).unwrap(), [schema(1), schema(2)]);
    }
}
