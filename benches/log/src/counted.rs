//! The machine's disk, with its writes counted and its checkpoints noticed.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use avouch_broker::log::{Disk, DiskFile, FileSystem, OpenMode, RealDisk};

/// What was seen so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    written: AtomicU64,
    checkpoints: AtomicU64,
    in_checkpoint: AtomicBool,
}

impl Seen {
    /// Bytes written to files.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    pub(crate) fn checkpoints(&self) -> u64 {
        self.checkpoints.load(Ordering::Relaxed)
    }

    /// Between the first sync of a segment and the checkpoint's new name.
    pub(crate) fn in_checkpoint(&self) -> bool {
        self.in_checkpoint.load(Ordering::Relaxed)
    }

    fn checkpoint_begins(&self) {
        self.in_checkpoint.store(true, Ordering::Relaxed);
    }

    fn checkpoint_ends(&self) {
        self.in_checkpoint.store(false, Ordering::Relaxed);
        self.checkpoints.fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counted {
    pub(crate) seen: Arc<Seen>,
}

#[derive(Debug)]
struct CountedFile {
    file: Arc<dyn DiskFile>,
    is_segment: bool,
    seen: Arc<Seen>,
}

#[derive(Debug)]
struct CountedSystem {
    whole: Box<dyn FileSystem>,
    seen: Arc<Seen>,
}

impl FileSystem for CountedSystem {
    fn sync(&self) -> io::Result<()> {
        self.seen.checkpoint_begins();
        self.whole.sync()
    }
}

impl Disk for Counted {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(CountedFile {
            file: RealDisk.open(path, mode)?,
            is_segment: path.extension().is_some_and(|name| name == "log"),
            seen: Arc::clone(&self.seen),
        }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.create_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.seen.checkpoint_ends();
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
        self.file.write_at(bytes, at)
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        self.file.read_at(into, at)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.is_segment {
            self.seen.checkpoint_begins();
        }
        self.file.sync_data()
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        self.file.size_bytes()
    }
}
