//! Wrapper of the real disk that counts written bytes and records checkpoint times.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use avouch_log::{Disk, DiskFile, FileSystem, OpenMode, RealDisk};

use crate::load::now;

/// A pause longer than this separates two bursts of segment writes. Longer than a checkpoint needs
/// to inspect thousands of partitions, shorter than the time between two flushes of WAL data to
/// segments.
const PAUSE: Duration = Duration::from_millis(20);

/// Activity observed so far.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    written: AtomicU64,
    work: Mutex<Work>,
}

/// Writes and syncs outside the write-ahead log: first of segments, then of a checkpoint.
#[derive(Debug, Default)]
struct Work {
    in_flight: usize,
    /// Start of the current burst.
    started: Option<Instant>,
    ended: Option<Instant>,
    checkpoints: Vec<Span>,
}

/// Time from the first segment write of a checkpoint until its rename was durable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    from: Instant,
    to: Instant,
}

impl Span {
    /// Returns whether the span overlaps the given time.
    pub(crate) fn overlaps(self, from: Instant, to: Instant) -> bool {
        self.from <= to && from <= self.to
    }
}

impl Work {
    fn start(&mut self, at: Instant) {
        let is_new_burst = self.ended.is_none_or(|ended| at - ended > PAUSE);
        // Operations overlap: a burst starts only when no other operation is in flight.
        if self.in_flight == 0 && is_new_burst {
            self.started = Some(at);
        }
        self.in_flight += 1;
    }

    fn end(&mut self, at: Instant) {
        self.in_flight -= 1;
        self.ended = Some(at);
    }

    fn end_checkpoint(&mut self, at: Instant) {
        let from = self.started.unwrap_or(at);
        self.checkpoints.push(Span { from, to: at });
        // Later work belongs to the next checkpoint, even without a pause.
        self.started = Some(at);
    }
}

impl Activity {
    /// Returns the bytes written to files.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    pub(crate) fn checkpoints(&self) -> Vec<Span> {
        self.work().checkpoints.clone()
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs an operation that is part of moving data to segments, and records its time.
    fn record<T>(&self, operation: impl FnOnce() -> T) -> T {
        self.work().start(now());
        // The lock is not held during the operation: threads of the log work concurrently.
        let result = operation();
        self.work().end(now());
        result
    }
}

/// The real disk with its activity recorded.
#[derive(Debug, Default)]
pub(crate) struct CountingDisk {
    pub(crate) activity: Arc<Activity>,
}

#[derive(Debug)]
struct CountingFile {
    file: Arc<dyn DiskFile>,
    is_wal: bool,
    activity: Arc<Activity>,
}

impl CountingFile {
    fn changed(&self, change: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        // Only writes to segments and checkpoints belong to a checkpoint.
        if self.is_wal {
            return change();
        }
        self.activity.record(change)
    }
}

#[derive(Debug)]
struct CountingFileSystem {
    inner: Box<dyn FileSystem>,
    activity: Arc<Activity>,
}

impl FileSystem for CountingFileSystem {
    fn sync(&self) -> io::Result<()> {
        self.activity.record(|| self.inner.sync())
    }
}

impl CountingDisk {
    fn opened(
        &self,
        path: &Path,
        mode: OpenMode,
        open: impl FnOnce() -> io::Result<Arc<dyn DiskFile>>,
    ) -> io::Result<Arc<dyn DiskFile>> {
        // Opening a file for writing creates it, which counts as work of a checkpoint.
        let is_wal = path.extension().is_some_and(|name| name == "wal");
        let file = match is_wal || mode == OpenMode::ReadOnly {
            true => open()?,
            false => self.activity.record(open)?,
        };
        Ok(Arc::new(CountingFile {
            file,
            is_wal,
            activity: Arc::clone(&self.activity),
        }))
    }
}

impl Disk for CountingDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        self.opened(path, mode, || RealDisk.open(path, mode))
    }

    fn open_in_sectors(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        self.opened(path, mode, || RealDisk.open_in_sectors(path, mode))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.activity.record(|| RealDisk.create_dir(path))
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
        if path.ends_with("wal") {
            return RealDisk.sync_dir(path);
        }
        self.activity.record(|| RealDisk.sync_dir(path))?;
        // A checkpoint ends with a sync of the directory that contains the checkpoint file.
        if path.join("checkpoint").exists() {
            self.activity.work().end_checkpoint(now());
        }
        Ok(())
    }

    fn salt(&self) -> io::Result<u64> {
        RealDisk.salt()
    }

    fn exists(&self, path: &Path) -> bool {
        RealDisk.exists(path)
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        RealDisk.free_bytes(path)
    }

    fn file_system(&self, dir: &Path) -> io::Result<Option<Box<dyn FileSystem>>> {
        let activity = Arc::clone(&self.activity);
        let counted =
            |inner| -> Box<dyn FileSystem> { Box::new(CountingFileSystem { inner, activity }) };
        Ok(RealDisk.file_system(dir)?.map(counted))
    }
}

impl DiskFile for CountingFile {
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.activity
            .written
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.changed(|| self.file.write_at(bytes, at))
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        self.file.read_at(into, at)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.changed(|| self.file.sync_data())
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        self.file.size_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoint_starts_after_last_pause() {
        let start = now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut work = Work::default();
        for (from, to) in [(0, 5), (100, 130), (135, 180)] {
            work.start(at(from));
            work.end(at(to));
        }
        work.end_checkpoint(at(181));
        let [checkpoint] = work.checkpoints.as_slice() else {
            panic!("{work:?}");
        };
        let overlaps = |from, to| checkpoint.overlaps(at(from), at(to));
        assert!(overlaps(6, 100) && overlaps(170, 190));
        assert!(!overlaps(6, 99) && !overlaps(182, 190));
    }

    #[test]
    fn overlapping_operations_form_one_burst() {
        let start = now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut work = Work::default();
        work.start(at(0));
        work.start(at(1));
        work.end(at(2));
        work.start(at(50));
        work.end(at(51));
        work.end(at(60));
        assert_eq!(work.started, Some(at(0)));
    }
}
