//! Fetch throughput: newest batches from memory, older ones from segments, with and without the
//! page cache.

use anyhow::Result;
use avouch_bench_report::log::FetchRow;
use avouch_log::Durability;
use avouch_protocol::types::Offset;
use tempfile::TempDir;

use crate::directory;
use crate::load::{Load, Shape, config};
use crate::raw::evict_from_page_cache;
use crate::rounds::Scale;
use crate::statistics::{mb_per_s, median};

/// Bytes read from memory per round; less than the amount at which the log starts to move batches
/// to segments.
const NEWEST_BYTES: usize = 8 << 20;

/// Two logs: one that is read only from segments, and one whose newest batches are read.
pub(crate) struct Fetches {
    old: Load,
    new: Load,
    memory: Vec<f64>,
    cached: Vec<f64>,
    disk: Vec<f64>,
    old_dir: TempDir,
    _new_dir: TempDir,
}

impl Fetches {
    pub(crate) fn new(scale: Scale, partitions: i32) -> Result<Self> {
        let (old_dir, new_dir) = (directory()?, directory()?);
        let open =
            |dir: &TempDir| Load::open(config(dir.path(), Durability::Os), Shape::of(partitions));
        let mut filled = open(&old_dir)?;
        filled.append(scale.round_bytes)?;
        filled.log.close()?;
        drop(filled);
        Ok(Self {
            old: open(&old_dir)?,
            new: open(&new_dir)?,
            memory: Vec::new(),
            cached: Vec::new(),
            disk: Vec::new(),
            old_dir,
            _new_dir: new_dir,
        })
    }

    pub(crate) fn round(&mut self) -> Result<()> {
        let partitions = self.old.partitions.iter();
        let start: Vec<_> = partitions.map(|tp| (*tp, Offset(0))).collect();
        // The first pass reads from the disk and fills the page cache for the second.
        evict_from_page_cache(self.old_dir.path())?;
        for speeds in [&mut self.disk, &mut self.cached] {
            let (bytes, took) = self.old.fetch(&start)?;
            speeds.push(mb_per_s(bytes, took));
        }
        let mut before = self.new.ends();
        self.new.append(NEWEST_BYTES)?;
        let after = self.new.ends();
        // With thousands of partitions only some received a batch.
        let mut ends = after.iter();
        // Both lists have the partitions in the same order.
        before.retain(|end| ends.next() != Some(end));
        let (bytes, took) = self.new.fetch(&before)?;
        self.memory.push(mb_per_s(bytes, took));
        Ok(())
    }

    pub(crate) fn row(self) -> Result<FetchRow> {
        self.old.log.close()?;
        self.new.log.close()?;
        Ok(FetchRow {
            partitions: self.old.partitions.len(),
            memory_mb_per_s: median(self.memory),
            cached_mb_per_s: median(self.cached),
            disk_mb_per_s: median(self.disk),
        })
    }
}
