//! The raw disk: the cost of the same writes and reads without a log.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use rustix::fs::{Advice, fadvise};

use crate::load::{BATCH_BYTES, now};

const CHUNK_BYTES: usize = 1 << 20;

/// A preallocated file, so that overwriting it changes no metadata.
#[derive(Debug)]
pub(crate) struct Raw {
    file: File,
    bytes: usize,
    chunk: Vec<u8>,
}

impl Raw {
    pub(crate) fn new(dir: &Path, bytes: usize) -> Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(dir.join("raw"))?;
        let raw = Self {
            file,
            bytes,
            chunk: vec![0x5a; CHUNK_BYTES],
        };
        // Allocates the blocks of the file.
        raw.write_whole()?;
        Ok(raw)
    }

    /// Writes the file sequentially and syncs once.
    pub(crate) fn write_whole(&self) -> Result<Duration> {
        let start = now();
        for at in (0..self.bytes).step_by(CHUNK_BYTES) {
            self.file.write_all_at(&self.chunk, at as u64)?;
        }
        // sync_data skips the modification time, as the log does.
        self.file.sync_data()?;
        Ok(start.elapsed())
    }

    /// Writes the file sequentially with a sync after each megabyte.
    pub(crate) fn write_synced(&self) -> Result<Duration> {
        let start = now();
        for at in (0..self.bytes).step_by(CHUNK_BYTES) {
            self.file.write_all_at(&self.chunk, at as u64)?;
            self.file.sync_data()?;
        }
        Ok(start.elapsed())
    }

    /// Reads the file sequentially.
    pub(crate) fn read(&self) -> Result<Duration> {
        let mut chunk = vec![0; CHUNK_BYTES];
        let start = now();
        for at in (0..self.bytes).step_by(CHUNK_BYTES) {
            self.file.read_exact_at(&mut chunk, at as u64)?;
        }
        Ok(start.elapsed())
    }

    /// Writes batches one after the other, each with a sync, and returns their latencies.
    pub(crate) fn commits(&self, count: usize) -> Result<Vec<Duration>> {
        let mut all = Vec::with_capacity(count);
        for at in (0..self.bytes).step_by(BATCH_BYTES).take(count) {
            let start = now();
            self.file
                .write_all_at(&self.chunk[..BATCH_BYTES], at as u64)?;
            self.file.sync_data()?;
            all.push(start.elapsed());
        }
        Ok(all)
    }
}

/// Evicts all files below a directory from the page cache, as far as they are synced.
pub(crate) fn evict_from_page_cache(dir: &Path) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            evict_from_page_cache(&path)?;
        } else {
            fadvise(File::open(&path)?, 0, None, Advice::DontNeed)?;
        }
    }
    Ok(())
}
