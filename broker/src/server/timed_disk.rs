//! The machine's disk, with a clock on writing to the write-ahead log and syncing it: what an
//! acknowledgement waits for. Changes nothing of what the disk does.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::Histogram;

use super::clock::Clock;
use crate::log::{Disk, DiskFile, FileSystem, OpenMode, RealDisk};

/// The directory of the write-ahead log, in the log's.
const WAL_DIR: &str = "wal";

/// A disk that is watched.
#[derive(Debug)]
pub(super) struct TimedDisk {
    pub(super) clock: Clock,
    pub(super) wal_sync_seconds: Histogram,
}

impl TimedDisk {
    fn watched(&self, path: &Path, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        let folder = path.parent().and_then(Path::file_name);
        if folder.is_none_or(|name| name != WAL_DIR) {
            return file;
        }
        Arc::new(TimedFile {
            file,
            clock: self.clock,
            sync_seconds: self.wal_sync_seconds.clone(),
            written_at: Mutex::default(),
        })
    }
}

impl Disk for TimedDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.watched(path, RealDisk.open(path, mode)?))
    }

    fn open_in_sectors(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.watched(path, RealDisk.open_in_sectors(path, mode)?))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.create_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.sync_dir(path)
    }

    fn salt(&self) -> io::Result<u64> {
        RealDisk.salt()
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        RealDisk.free_bytes(path)
    }

    fn exists(&self, path: &Path) -> bool {
        RealDisk.exists(path)
    }

    fn file_system(&self, dir: &Path) -> io::Result<Option<Box<dyn FileSystem>>> {
        RealDisk.file_system(dir)
    }
}

#[derive(Debug)]
struct TimedFile {
    file: Arc<dyn DiskFile>,
    clock: Clock,
    sync_seconds: Histogram,
    /// When the first write began that no sync covers yet.
    written_at: Mutex<Option<Duration>>,
}

impl TimedFile {
    fn written_at(&self) -> MutexGuard<'_, Option<Duration>> {
        let written_at = self.written_at.lock();
        written_at.unwrap_or_else(PoisonError::into_inner)
    }
}

impl DiskFile for TimedFile {
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let now = self.clock.elapsed();
        self.written_at().get_or_insert(now);
        self.file.write_at(bytes, at)
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        self.file.read_at(into, at)
    }

    fn sync_data(&self) -> io::Result<()> {
        let written_at = self.written_at().take();
        let since = written_at.unwrap_or_else(|| self.clock.elapsed());
        let synced = self.file.sync_data();
        let took = self.clock.elapsed().saturating_sub(since);
        self.sync_seconds.observe(took.as_secs_f64());
        synced
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        self.file.size_bytes()
    }
}
