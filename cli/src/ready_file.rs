//! The ready file, from which a supervisor or a test reads the actual addresses. It is created
//! atomically and exists while the process serves.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::{fs, io, process};

use serde::Serialize;

/// The content of the ready file.
#[derive(Debug, Serialize)]
struct Content {
    #[serde(skip_serializing_if = "Option::is_none")]
    kafka: Option<SocketAddr>,
    http: SocketAddr,
    pid: u32,
}

/// A ready file on disk, deleted when dropped.
#[derive(Debug)]
pub(crate) struct ReadyFile {
    path: PathBuf,
}

impl ReadyFile {
    /// Creates the file at `path` with the addresses of this process; `kafka` is `None` for a
    /// registry without broker. A file left by a crash is replaced.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn write(
        path: &Path,
        kafka: Option<SocketAddr>,
        http: SocketAddr,
    ) -> io::Result<Self> {
        let pid = process::id();
        let content = serde_json::to_string(&Content { kafka, http, pid })?;
        let mut draft = path.as_os_str().to_owned();
        // Named by process, so that two starting processes do not share a draft.
        draft.push(format!(".{pid}.draft"));
        fs::write(&draft, content + "\n")?;
        // The rename is atomic: a reader sees no file or a complete one.
        fs::rename(&draft, path)?;
        Ok(Self {
            path: path.to_owned(),
        })
    }
}

impl Drop for ReadyFile {
    fn drop(&mut self) {
        // The file may be deleted already.
        let _ = fs::remove_file(&self.path);
    }
}
