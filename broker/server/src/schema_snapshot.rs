//! What a broker apart from its registry keeps of it on disk: every schema it knows, with the
//! subject versions that hold it, so that a restart while the registry is away goes on checking.
//!
//! Owns one file, `schemas.json` in the data directory. It is replaced as a whole, so a crash
//! leaves the one before or the new one; a file that cannot be read is as good as none, since the
//! registry is asked for what is missing. Bounded by the cache that it is a copy of.

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

const FILE: &str = "schemas.json";
const FORMAT: u32 = 1;
/// A longer file is not read: it cannot be one that was written here.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// The pause between two writes.
const PAUSE: Duration = Duration::from_secs(1);

/// The file's content.
#[derive(Debug, Deserialize, Serialize)]
struct Content {
    format: u32,
    schemas: Vec<RegisteredSchema>,
}

/// Restores what was kept. Until `stopping`, looks up again what has changed since, and keeps what
/// becomes known: the file must not go on holding what the registry deleted or replaced.
pub(crate) async fn start(
    contracts: &Contracts,
    data_dir: &Path,
    stopping: watch::Receiver<bool>,
) -> JoinHandle<()> {
    let path = data_dir.join(FILE);
    match read(&path) {
        Ok(schemas) => {
            info!(schemas = schemas.len(), "schemas kept from before");
            contracts.schemas().restore(schemas).await;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => warn!(path = %path.display(), %error, "kept schemas cannot be read"),
    }
    let refreshing = refresh(contracts.clone(), stopping.clone());
    let keeping = keep(contracts.clone(), path, stopping);
    tokio::spawn(async {
        tokio::join!(refreshing, keeping);
    })
}

async fn refresh(contracts: Contracts, mut stopping: watch::Receiver<bool>) {
    loop {
        let pause = tokio::time::sleep(PAUSE);
        tokio::select! {
            () = pause => {}
            _ = stopping.wait_for(|stop| *stop) => return,
        }
        tokio::select! {
            () = contracts.schemas().refresh() => {}
            _ = stopping.wait_for(|stop| *stop) => return,
        }
    }
}

async fn keep(contracts: Contracts, path: PathBuf, stopping: watch::Receiver<bool>) {
    let mut changes = contracts.schemas().known_changes();
    changes.mark_unchanged();
    let is_more_to_come = async |pause| {
        let mut stopping = stopping.clone();
        let stopped = stopping.wait_for(|stop| *stop);
        tokio::time::timeout(pause, stopped).await.is_err()
    };
    loop {
        let changed = async { changes.changed().await.is_ok() };
        let is_changed = tokio::select! {
            is_changed = changed => is_changed,
            _ = is_more_to_come(Duration::MAX) => false,
        };
        if !is_changed {
            return;
        }
        write_apart(&contracts, &path).await;
        if !is_more_to_come(PAUSE).await {
            if changes.has_changed().unwrap_or(false) {
                write_apart(&contracts, &path).await;
            }
            return;
        }
    }
}

async fn write_apart(contracts: &Contracts, path: &Path) {
    let (contracts, at) = (contracts.clone(), path.to_owned());
    let written = tokio::task::spawn_blocking(move || {
        let schemas = contracts.schemas().known_schemas();
        write(&at, schemas)
    });
    if let Err(error) = written.await.unwrap_or_else(|error| Err(error.into())) {
        warn!(path = %path.display(), %error, "schemas cannot be kept");
    }
}

fn read(path: &Path) -> io::Result<Vec<RegisteredSchema>> {
    if fs::metadata(path)?.len() > FILE_BYTES_MAX {
        return Err(io::Error::other("it is too long"));
    }
    let content: Content = serde_json::from_slice(&fs::read(path)?)?;
    if content.format != FORMAT {
        let reason = format!("it is of format {}, not {FORMAT}", content.format);
        return Err(io::Error::other(reason));
    }
    Ok(content.schemas)
}

/// Written beside, synced and renamed.
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
    fn schemas_are_kept_as_they_are_and_replaced_as_a_whole() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(FILE);
        write(&path, vec![schema(1), schema(2)]).unwrap();
        assert_eq!(read(&path).unwrap(), [schema(1), schema(2)]);
        // A crash amid the next write leaves a draft, and the file as it was.
        fs::write(path.with_extension("json.draft"), "{\"for").unwrap();
        assert_eq!(read(&path).unwrap(), [schema(1), schema(2)]);
        write(&path, vec![schema(3)]).unwrap();
        assert_eq!(read(&path).unwrap(), [schema(3)]);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    // Conformance: contract/3e
    #[test]
    fn a_file_that_is_damaged_or_of_another_format_is_not_taken_in() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(FILE);
        for content in ["", "{\"format\":1,\"sche", "{\"format\":2,\"schemas\":[]}"] {
            fs::write(&path, content).unwrap();
            assert!(read(&path).is_err(), "{content}");
        }
    }
}
