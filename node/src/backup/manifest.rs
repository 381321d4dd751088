//! The manifest of a backup: versions, identity, and each file with its size and checksum. It is
//! written last, so a directory without it is not a backup.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use avouch_protocol::batch::crc32c;
use avouch_registry_api::rest::{BackupPart, OmittedRegistry};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::files::{self, FileError, FileSum, Progress};
use crate::data_dir;

/// The newest format that this version reads.
const FORMAT: u32 = 1;
const MANIFEST_FILE: &str = "manifest.json";
/// The directory of the files, in the layout of a data directory.
pub(super) const DATA: &str = "data";

/// A backup that cannot be used. Nothing was written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BadBackup {
    /// The directory has no manifest.
    #[error("{} is not a complete backup: it has no {MANIFEST_FILE}", dir.display())]
    Incomplete {
        /// The directory.
        dir: PathBuf,
    },
    /// A newer version wrote the backup.
    #[error(
        "{} was written by a newer avouch (format {found}, this one reads {FORMAT})",
        dir.display()
    )]
    Newer {
        /// The directory.
        dir: PathBuf,
        /// The format of the backup or of its data directory.
        found: u32,
    },
    /// The manifest is corrupt.
    #[error("{}: the manifest is corrupt: {reason}", path.display())]
    CorruptManifest {
        /// The file.
        path: PathBuf,
        /// The fault.
        reason: String,
    },
    /// A file does not have the size or the checksum that the manifest states.
    #[error(
        "{} is corrupt: {} bytes, CRC-32C {:08x}; expected {} bytes, {:08x}",
        path.display(), found.0, found.1, expected.0, expected.1
    )]
    CorruptFile {
        /// The file.
        path: PathBuf,
        /// Size and checksum found.
        found: (u64, u32),
        /// Size and checksum in the manifest.
        expected: (u64, u32),
    },
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The content of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Manifest {
    /// Format of the backup.
    pub format: u32,
    /// CRC-32C of the manifest as compact JSON, in the order of its fields, with 0 in this one.
    pub crc32c: u32,
    /// Version of the node.
    pub avouch_version: String,
    /// Format of the data directory.
    pub data_format: u32,
    /// Time when the backup was started, in ms since 1970.
    pub created_ms: i64,
    /// The parts of the node that the backup contains.
    pub parts: Vec<BackupPart>,
    /// The registry that it does not contain.
    pub omitted: Option<OmittedRegistry>,
    /// Id of the cluster, if the node has a broker.
    pub cluster_id: Option<String>,
    /// Id of the broker.
    pub node_id: Option<i32>,
    /// All files.
    pub files: Vec<BackupFile>,
}

/// A file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupFile {
    /// Path relative to the data directory, with `/` between its parts.
    pub name: String,
    /// Size in bytes.
    pub bytes: u64,
    /// CRC-32C of the content.
    pub crc32c: u32,
}

impl BackupFile {
    pub(super) fn new(name: String, sum: FileSum) -> Self {
        let FileSum { bytes, crc32c } = sum;
        Self {
            name,
            bytes,
            crc32c,
        }
    }

    /// Returns an error unless a copy of the file has this sum.
    pub(super) fn check(&self, path: &Path, found: FileSum) -> Result<(), BadBackup> {
        if (found.bytes, found.crc32c) == (self.bytes, self.crc32c) {
            return Ok(());
        }
        Err(BadBackup::CorruptFile {
            path: path.to_owned(),
            found: (found.bytes, found.crc32c),
            expected: (self.bytes, self.crc32c),
        })
    }
}

impl Manifest {
    /// Returns a manifest without files and parts.
    pub(super) fn new(created_ms: i64) -> Self {
        Self {
            format: FORMAT,
            crc32c: 0,
            avouch_version: env!("CARGO_PKG_VERSION").to_owned(),
            data_format: data_dir::FORMAT,
            created_ms,
            parts: Vec::new(),
            omitted: None,
            cluster_id: None,
            node_id: None,
            files: Vec::new(),
        }
    }

    /// Returns the size of all files in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Returns the directories of the files below `data`, `data` included.
    pub(super) fn directories(&self, data: &Path) -> BTreeSet<PathBuf> {
        let parents = self.files.iter().flat_map(|file| {
            let name = Path::new(&file.name);
            name.ancestors().skip(1).map(|parent| data.join(parent))
        });
        parents.chain([data.to_owned()]).collect()
    }

    /// Writes the manifest into the directory of a backup whose files are durable.
    pub(super) fn write(&mut self, dir: &Path) -> Result<(), FileError> {
        let path = dir.join(MANIFEST_FILE);
        let as_io = |error: serde_json::Error| FileError::at(&path)(error.into());
        self.crc32c = self.sum().map_err(as_io)?;
        let text = serde_json::to_vec_pretty(self).map_err(as_io)?;
        let draft = dir.join(format!("{MANIFEST_FILE}.draft"));
        files::write(&draft, &text, &Progress::default())?;
        fs::rename(&draft, &path).map_err(FileError::at(&path))?;
        // The rename is durable only after the directory is synced.
        files::sync_dir(dir)
    }

    /// Reads the manifest of a backup; does not read its files.
    ///
    /// # Errors
    /// See [`BadBackup`].
    pub fn read(dir: &Path) -> Result<Self, BadBackup> {
        #[derive(Deserialize)]
        struct Formats {
            format: u32,
            data_format: u32,
        }
        let path = dir.join(MANIFEST_FILE);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let dir = dir.to_owned();
                return Err(BadBackup::Incomplete { dir });
            }
            read => read.map_err(FileError::at(&path))?,
        };
        let corrupt = |reason: String| BadBackup::CorruptManifest {
            path: path.clone(),
            reason,
        };
        let invalid = |error: serde_json::Error| corrupt(error.to_string());
        // Before the rest, which may be different in a newer format.
        let formats: Formats = serde_json::from_slice(&text).map_err(invalid)?;
        let newer = [
            (formats.format, FORMAT),
            (formats.data_format, data_dir::FORMAT),
        ];
        if let Some((found, _)) = newer.into_iter().find(|(found, known)| found > known) {
            let dir = dir.to_owned();
            return Err(BadBackup::Newer { dir, found });
        }
        let manifest: Self = serde_json::from_slice(&text).map_err(invalid)?;
        if manifest.sum().map_err(invalid)? != manifest.crc32c {
            return Err(corrupt("wrong checksum".to_owned()));
        }
        match manifest.files.iter().find(|file| !is_inside(&file.name)) {
            Some(file) => Err(corrupt(format!("invalid file name {:?}", file.name))),
            None => Ok(manifest),
        }
    }

    fn sum(&self) -> serde_json::Result<u32> {
        let unsummed = Self {
            crc32c: 0,
            ..self.clone()
        };
        Ok(crc32c(&serde_json::to_vec(&unsummed)?))
    }
}

/// Returns whether a name stays below the directory that it is joined to.
fn is_inside(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    !name.is_empty() && parts.all(|part| matches!(part, Component::Normal(_)))
}

/// Reads all files of a backup and compares them with its manifest.
///
/// # Errors
/// See [`BadBackup`].
pub fn verify_backup(dir: &Path) -> Result<Manifest, BadBackup> {
    let manifest = Manifest::read(dir)?;
    for file in &manifest.files {
        let path = dir.join(DATA).join(&file.name);
        file.check(&path, files::sum(&path, &Progress::default())?)?;
    }
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let sum = FileSum {
            bytes: 3,
            crc32c: crc32c(b"abc"),
        };
        let mut manifest = Manifest::new(7);
        manifest.files = vec![BackupFile::new("log/data/a".to_owned(), sum)];
        manifest
    }

    fn written(change: impl FnOnce(&mut Manifest)) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let mut manifest = manifest();
        change(&mut manifest);
        fs::create_dir_all(dir.path().join("data/log/data")).unwrap();
        fs::write(dir.path().join("data/log/data/a"), "abc").unwrap();
        manifest.write(dir.path()).unwrap();
        dir
    }

    // Conformance: operation/backup-5
    #[test]
    fn each_corruption_is_one_clear_line() {
        let dir = written(|_| ());
        assert_eq!(verify_backup(dir.path()).unwrap().bytes(), 3);
        let error = |dir: &Path| verify_backup(dir).unwrap_err().to_string();
        let file = dir.path().join("data/log/data/a");
        for content in ["xyz", "abcd", "ab"] {
            fs::write(&file, content).unwrap();
            let error = error(dir.path());
            assert!(error.contains("log/data/a is corrupt"), "{error}");
        }
        fs::remove_file(&file).unwrap();
        assert!(error(dir.path()).contains("No such file"));

        let path = dir.path().join(MANIFEST_FILE);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(
            &path,
            text.replace("\"created_ms\": 7", "\"created_ms\": 8"),
        )
        .unwrap();
        assert!(error(dir.path()).contains("wrong checksum"));
        fs::write(&path, &text[..text.len() / 2]).unwrap();
        assert!(error(dir.path()).contains("manifest is corrupt"));
        fs::remove_file(&path).unwrap();
        assert!(error(dir.path()).contains("is not a complete backup"));
    }

    // Conformance: operation/backup-5
    #[test]
    fn newer_formats_and_outside_names_are_rejected() {
        let newer = [
            written(|manifest| manifest.format += 1),
            written(|manifest| manifest.data_format += 1),
        ];
        for dir in newer {
            let error = Manifest::read(dir.path()).unwrap_err().to_string();
            assert!(error.contains("by a newer avouch"), "{error}");
        }
        for name in ["../a", "/etc/a", "", "log/../../a"] {
            let dir = written(|manifest| manifest.files[0].name = name.to_owned());
            let error = Manifest::read(dir.path()).unwrap_err().to_string();
            assert!(error.contains("invalid file name"), "{error}");
        }
    }
}
