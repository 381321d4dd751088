//! Snapshot of the schema cache on disk, for a standalone broker: after a restart while the
//! registry is unavailable, it can still check records of known schemas.
//!
//! The file `schemas.json` in the data directory has every cached schema with its subject versions.
//! It is replaced atomically, so a crash leaves the old or the new one. An unreadable file is
//! ignored, since the registry has the missing schemas. The size is bounded by the cache.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use avouch_contract::Contracts;
use avouch_registry_api::source::RegisteredSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{info, warn};

pub(crate) const FILE: &str = "schemas.json";
const FORMAT: u32 = 1;
/// Maximum size of a file that is read; a snapshot is never larger.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Minimum interval between two writes.
const INTERVAL: Duration = Duration::from_secs(1);

/// Content of the file.
#[derive(Debug, Deserialize, Serialize)]
struct Content {
    format: u32,
    schemas: Vec<RegisteredSchema>,
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
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => warn!(path = %path.display(), %error, "cannot read the schema snapshot"),
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
        write(&at, schemas)
    });
    if let Err(error) = written.await.unwrap_or_else(|error| Err(error.into())) {
        warn!(path = %path.display(), %error, "cannot write the schema snapshot");
    }
}

fn read(path: &Path) -> io::Result<Vec<RegisteredSchema>> {
    if fs::metadata(path)?.len() > FILE_BYTES_MAX {
        return Err(io::Error::other(format!(
            "larger than {FILE_BYTES_MAX} bytes"
        )));
    }
    let content: Content = serde_json::from_slice(&fs::read(path)?)?;
    if content.format != FORMAT {
        let reason = format!("unknown format {}; expected {FORMAT}", content.format);
        return Err(io::Error::other(reason));
    }
    Ok(content.schemas)
}

/// Writes a temporary file, syncs it and renames it.
fn write(path: &Path, schemas: Vec<RegisteredSchema>) -> io::Result<()> {
    let content = Content {
        format: FORMAT,
        schemas,
    };
    let draft = path.with_extension("json.draft");
    let mut file = BufWriter::new(File::create(&draft)?);
    serde_json::to_writer(&mut file, &content)?;
    file.flush()?;
    file.get_ref().sync_all()?;
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
        write(&path, vec![schema(1), schema(2)]).unwrap();
        assert_eq!(read(&path).unwrap(), [schema(1), schema(2)]);
        // A crash during the next write leaves a draft and the old file.
        fs::write(path.with_extension("json.draft"), "{\"for").unwrap();
        assert_eq!(read(&path).unwrap(), [schema(1), schema(2)]);
        write(&path, vec![schema(3)]).unwrap();
        assert_eq!(read(&path).unwrap(), [schema(3)]);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    // Conformance: contract/3e
    #[test]
    fn corrupt_or_unknown_snapshot_is_rejected() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(FILE);
        for content in ["", "{\"format\":1,\"sche", "{\"format\":2,\"schemas\":[]}"] {
            fs::write(&path, content).unwrap();
            assert!(read(&path).is_err(), "{content}");
        }
    }
}
