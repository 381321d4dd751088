//! A disk that measures the time of writing and syncing the write-ahead log, which is what an
//! acknowledgement waits for.

use std::io;
use std::mem;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use avouch_log::{Disk, DiskFile, FileSystem, OpenMode, RealDisk};
use prometheus::Histogram;

use avouch_net::Clock;

/// Name of the write-ahead log's directory.
const WAL_DIR: &str = "wal";

/// The machine's disk with a histogram of WAL syncs.
#[derive(Debug)]
pub(crate) struct TimedDisk {
    pub(crate) clock: Clock,
    pub(crate) wal_sync_seconds: Histogram,
}

impl TimedDisk {
    fn timed(&self, path: &Path, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        // Segments are written after the acknowledgement, so their time does not matter here.
        let folder = path.parent().and_then(Path::file_name);
        if folder.is_none_or(|name| name != WAL_DIR) {
            return file;
        }
        Arc::new(TimedFile {
            file,
            clock: self.clock,
            sync_seconds: self.wal_sync_seconds.clone(),
            writing: Mutex::default(),
        })
    }
}

impl Disk for TimedDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.timed(path, RealDisk.open(path, mode)?))
    }

    fn open_in_sectors(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.timed(path, RealDisk.open_in_sectors(path, mode)?))
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
    /// Time of writes since the last sync.
    writing: Mutex<Duration>,
}

impl TimedFile {
    fn writing(&self) -> MutexGuard<'_, Duration> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn measure<T>(&self, work: impl FnOnce() -> T) -> (T, Duration) {
        let before = self.clock.elapsed();
        let done = work();
        (done, self.clock.elapsed().saturating_sub(before))
    }
}

impl DiskFile for TimedFile {
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let (written, took) = self.measure(|| self.file.write_at(bytes, at));
        *self.writing() += took;
        written
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        self.file.read_at(into, at)
    }

    fn sync_data(&self) -> io::Result<()> {
        let (synced, took) = self.measure(|| self.file.sync_data());
        // A write counts for the sync that makes it durable.
        let took = mem::take(&mut *self.writing()) + took;
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
