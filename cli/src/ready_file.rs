//! The ready file: a supervisor's or a test's way to learn the real addresses. It appears whole or
//! not at all, and only while the process serves.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::{fs, io, process};

use serde::Serialize;

/// What the ready file says.
#[derive(Debug, Serialize)]
struct Content {
    #[serde(skip_serializing_if = "Option::is_none")]
    kafka: Option<SocketAddr>,
    http: SocketAddr,
    pid: u32,
}

/// A ready file on disk, removed when dropped.
#[derive(Debug)]
pub(crate) struct ReadyFile {
    path: PathBuf,
}

impl ReadyFile {
    /// The file at `path`, saying where this process listens (`kafka` is `None` for a registry
    /// alone). One that a crash left behind is replaced.
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
        draft.push(format!(".{pid}.draft"));
        fs::write(&draft, content + "\n")?;
        fs::rename(&draft, path)?;
        Ok(Self {
            path: path.to_owned(),
        })
    }
}

impl Drop for ReadyFile {
    fn drop(&mut self) {
        // Somebody may have removed it already, which is what we want too.
        let _ = fs::remove_file(&self.path);
    }
}
