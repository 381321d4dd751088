//! The machine's disk, with its writes counted and its checkpoints noticed.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use avouch_broker::log::{Disk, DiskFile, FileSystem, OpenMode, RealDisk};

use crate::load::now;

/// Work on segments that this much parts from what was done before begins anew. Longer than a
/// checkpoint takes to look at thousands of partitions, shorter than the time between two of the
/// writes that follow the write-ahead log.
const PAUSE: Duration = Duration::from_millis(20);

/// What was seen so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    written: AtomicU64,
    work: Mutex<Work>,
}

/// Work on everything but the write-ahead log: segments are written and synced, then a checkpoint
/// is.
#[derive(Debug, Default)]
struct Work {
    under_way: usize,
    /// Of what no pause parts from now.
    begun: Option<Instant>,
    ended: Option<Instant>,
    checkpoints: Vec<Span>,
}

/// From the first write to segments for a checkpoint until it had its name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    from: Instant,
    to: Instant,
}

impl Span {
    pub(crate) fn meets(self, from: Instant, to: Instant) -> bool {
        self.from <= to && from <= self.to
    }
}

impl Work {
    fn begins(&mut self, at: Instant) {
        let is_parted = self.ended.is_none_or(|ended| at - ended > PAUSE);
        if self.under_way == 0 && is_parted {
            self.begun = Some(at);
        }
        self.under_way += 1;
    }

    fn ends(&mut self, at: Instant) {
        self.under_way -= 1;
        self.ended = Some(at);
    }

    fn checkpoint_ends(&mut self, at: Instant) {
        let from = self.begun.unwrap_or(at);
        self.checkpoints.push(Span { from, to: at });
        // What follows is not of this one, however soon it comes.
        self.begun = Some(at);
    }
}

impl Seen {
    /// Bytes written to files.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    pub(crate) fn checkpoints(&self) -> Vec<Span> {
        self.work().checkpoints.clone()
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something that is a part of moving data to segments.
    fn working<T>(&self, does: impl FnOnce() -> T) -> T {
        self.work().begins(now());
        let done = does();
        self.work().ends(now());
        done
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counted {
    pub(crate) seen: Arc<Seen>,
}

#[derive(Debug)]
struct CountedFile {
    file: Arc<dyn DiskFile>,
    is_wal: bool,
    seen: Arc<Seen>,
}

impl CountedFile {
    fn changed(&self, change: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        if self.is_wal {
            return change();
        }
        self.seen.working(change)
    }
}

#[derive(Debug)]
struct CountedSystem {
    whole: Box<dyn FileSystem>,
    seen: Arc<Seen>,
}

impl FileSystem for CountedSystem {
    fn sync(&self) -> io::Result<()> {
        self.seen.working(|| self.whole.sync())
    }
}

impl Counted {
    fn opened(
        &self,
        path: &Path,
        mode: OpenMode,
        open: impl FnOnce() -> io::Result<Arc<dyn DiskFile>>,
    ) -> io::Result<Arc<dyn DiskFile>> {
        let is_wal = path.extension().is_some_and(|name| name == "wal");
        let file = match is_wal || mode == OpenMode::ReadOnly {
            true => open()?,
            false => self.seen.working(open)?,
        };
        Ok(Arc::new(CountedFile {
            file,
            is_wal,
            seen: Arc::clone(&self.seen),
        }))
    }
}

impl Disk for Counted {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        self.opened(path, mode, || RealDisk.open(path, mode))
    }

    fn open_in_sectors(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        self.opened(path, mode, || RealDisk.open_in_sectors(path, mode))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.seen.working(|| RealDisk.create_dir(path))
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
        self.seen.working(|| RealDisk.sync_dir(path))?;
        // A checkpoint ends with the names of the data directory itself.
        if path.join("checkpoint").exists() {
            self.seen.work().checkpoint_ends(now());
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
        let seen = Arc::clone(&self.seen);
        let counted = |whole| -> Box<dyn FileSystem> { Box::new(CountedSystem { whole, seen }) };
        Ok(RealDisk.file_system(dir)?.map(counted))
    }
}

impl DiskFile for CountedFile {
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.seen
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
    fn a_checkpoint_begins_with_the_flush_that_it_begins_with() {
        let start = now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut work = Work::default();
        for (from, to) in [(0, 5), (100, 130), (135, 180)] {
            work.begins(at(from));
            work.ends(at(to));
        }
        work.checkpoint_ends(at(181));
        let [checkpoint] = work.checkpoints.as_slice() else {
            panic!("{work:?}");
        };
        let met = |from, to| checkpoint.meets(at(from), at(to));
        assert!(!met(6, 99) && met(6, 100) && met(170, 190) && !met(182, 190));
    }

    #[test]
    fn work_side_by_side_is_one_piece() {
        let start = now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut work = Work::default();
        work.begins(at(0));
        work.begins(at(1));
        work.ends(at(2));
        work.begins(at(50));
        work.ends(at(51));
        work.ends(at(60));
        assert_eq!(work.begun, Some(at(0)));
    }
}
