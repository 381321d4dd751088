//! One segment file: record batches back to back, found by offset or time.
//!
//! Invariant: only whole batches whose CRC is right are handed out. What the segment holds, and
//! how much of the file counts, is in its [`SegmentMeta`], which the partition keeps.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::api::{BatchAt, Damage, ReadError};
use super::bugs::{self, Bug};
use super::codec::Reader;
use super::disk::{Disk, DiskFile, OpenMode};
use super::index::{INDEX_ENTRY_BYTES, INDEX_INTERVAL_BYTES, Index};
use super::storage::StorageError;
use super::sync::lock;
use super::tags::TagSet;
use crate::types::{Offset, TimestampMs};
use crate::wire::batch::{HEADER_BYTES, LENGTH_PREFIX_BYTES, crc_matches};

const WALK_BYTES: usize = 8 << 10;

/// How often compaction wrote a segment's batches anew; 0 is as they were appended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Generation(pub(super) u32);

/// What is known of a segment without opening it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SegmentMeta {
    pub(super) base_offset: Offset,
    pub(super) generation: Generation,
    /// The offset after its last batch.
    pub(super) next_offset: Offset,
    pub(super) bytes: u64,
    /// Greatest timestamp of its first batch; -1 when empty.
    pub(super) first_timestamp: TimestampMs,
    pub(super) max_timestamp: TimestampMs,
    /// Base offset of the first batch that has it.
    pub(super) max_timestamp_at: Offset,
    /// From when on some of its tombstones may go.
    pub(super) delete_horizon: Option<TimestampMs>,
    pub(super) tags: TagSet,
}

impl SegmentMeta {
    pub(super) fn new(base_offset: Offset) -> Self {
        Self {
            base_offset,
            generation: Generation(0),
            next_offset: base_offset,
            bytes: 0,
            first_timestamp: TimestampMs(-1),
            max_timestamp: TimestampMs(-1),
            max_timestamp_at: base_offset,
            delete_horizon: None,
            tags: TagSet::default(),
        }
    }

    /// Where it is kept.
    pub(super) fn path(&self, dir: &Path) -> PathBuf {
        let base = self.base_offset.0;
        dir.join(match self.generation {
            Generation(0) => format!("{base:020}.log"),
            Generation(number) => format!("{base:020}.{number}.log"),
        })
    }

    /// Takes note of a batch that was written behind those it has.
    pub(super) fn note(&mut self, base: Offset, next: Offset, bytes: u64, newest: TimestampMs) {
        if self.bytes == 0 {
            self.first_timestamp = newest;
        }
        self.bytes += bytes;
        self.next_offset = next;
        if newest > self.max_timestamp {
            self.max_timestamp = newest;
            self.max_timestamp_at = base;
        }
    }

    /// Whether it is the same file.
    pub(super) fn is_file(&self, other: &Self) -> bool {
        (self.base_offset, self.generation) == (other.base_offset, other.generation)
    }
}

/// Where its index is kept.
pub(super) fn index_path(segment: &Path) -> PathBuf {
    segment.with_extension("index")
}

/// What a batch's header says about where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peek {
    pub(super) base_offset: Offset,
    pub(super) bytes: u64,
    pub(super) next_offset: Offset,
    pub(super) max_timestamp: TimestampMs,
}

impl Peek {
    /// The header at the start of `bytes`, which need not hold the whole batch.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes.get(..HEADER_BYTES)?);
        let base_offset = reader.offset()?;
        let length = u64::from(reader.u32()?);
        let [.., magic] = reader.take::<5>()?;
        reader.take::<6>()?;
        let last_offset_delta = i64::from(reader.i32()?);
        reader.take::<8>()?;
        let max_timestamp = TimestampMs(reader.i64()?);
        let bytes = length + LENGTH_PREFIX_BYTES as u64;
        let is_sane = magic == 2
            && last_offset_delta >= 0
            && base_offset.0 >= 0
            && bytes >= HEADER_BYTES as u64;
        let next_offset = base_offset.plus(last_offset_delta).plus(1);
        is_sane.then_some(Self {
            base_offset,
            bytes,
            next_offset,
            max_timestamp,
        })
    }
}

/// A segment's open file and its index.
#[derive(Debug)]
pub(super) struct SegmentFile {
    base_offset: Offset,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    index: Mutex<LoadedIndex>,
}

#[derive(Debug, Default)]
struct LoadedIndex {
    index: Index,
    /// Entries that are in the index file.
    on_disk: usize,
}

impl SegmentFile {
    /// Opens a segment of which `bytes` count.
    pub(super) fn open(
        disk: &dyn Disk,
        path: PathBuf,
        base_offset: Offset,
        bytes: u64,
        mode: OpenMode,
    ) -> io::Result<Self> {
        let file = disk.open(&path, mode)?;
        let index = if mode == OpenMode::Truncate {
            LoadedIndex::default()
        } else {
            LoadedIndex::load(disk, &path, bytes)
        };
        Ok(Self {
            base_offset,
            path,
            file,
            index: Mutex::new(index),
        })
    }

    /// Cuts what a crash left behind the first `bytes`, in the index too.
    pub(super) fn cut(&self, disk: &dyn Disk, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)?;
        let mut loaded = lock(&self.index);
        *loaded = LoadedIndex::load(disk, &self.path, bytes);
        let index_file = disk.open(&index_path(&self.path), OpenMode::Create)?;
        index_file.set_len((loaded.on_disk * INDEX_ENTRY_BYTES) as u64)
    }

    /// Writes batches behind the first `at` bytes and brings the index up to date.
    pub(super) fn append(
        &self,
        disk: &dyn Disk,
        at: u64,
        bytes: &[u8],
    ) -> Result<(), StorageError> {
        let failed = |error| StorageError::of(&self.path, &error);
        self.file.write_at(bytes, at).map_err(failed)?;
        let mut loaded = lock(&self.index);
        self.note_until(&mut loaded.index, at + bytes.len() as u64)
            .map_err(failed)?;
        let fresh = loaded.index.encode_from(loaded.on_disk);
        if !fresh.is_empty() {
            let file = disk
                .open(&index_path(&self.path), OpenMode::Create)
                .map_err(failed)?;
            file.write_at(&fresh, (loaded.on_disk * INDEX_ENTRY_BYTES) as u64)
                .map_err(failed)?;
            loaded.on_disk = loaded.index.count();
        }
        Ok(())
    }

    /// Makes everything written durable; the index is not, it can be rebuilt.
    pub(super) fn sync(&self) -> Result<(), StorageError> {
        self.file
            .sync_data()
            .map_err(|error| StorageError::failed(&self.path, &error))
    }

    /// Whole batches from the one that contains `from`, or the next where compaction took it, below
    /// `limit`: at least one if there is one, more while they fit `max_bytes`.
    pub(super) fn read(
        &self,
        meta: &SegmentMeta,
        from: Offset,
        limit: Offset,
        max_bytes: usize,
    ) -> Result<Vec<Bytes>, ReadError> {
        let start = self.position_of(meta, from)?;
        let Some((at, first)) = self.find(meta, start, |batch| batch.next_offset > from)? else {
            return Err(self.damaged(meta, from, start));
        };
        // The CRC does not cover offsets, but only compaction leaves holes between batches.
        let has_holes = meta.generation != Generation(0);
        if !has_holes && first.base_offset > from {
            return Err(self.damaged(meta, from, start));
        }
        if first.base_offset >= limit && first.next_offset <= meta.next_offset {
            return Ok(Vec::new());
        }
        let room = (max_bytes as u64)
            .max(first.bytes)
            .min(meta.bytes.saturating_sub(at));
        let mut chunk = vec![0; usize::try_from(room).unwrap_or(usize::MAX)];
        let filled = self.file.read_at(&mut chunk, at)?;
        chunk.truncate(filled);
        let chunk = Bytes::from(chunk);
        let mut batches = Vec::new();
        let mut done = 0;
        let mut next = from;
        while let Some(batch) = next_batch(&chunk, done) {
            let follows = |peek: &Peek| has_holes || peek.base_offset <= next;
            let Some(peek) =
                Peek::of(&batch).filter(|peek| follows(peek) && peek.next_offset <= limit)
            else {
                break;
            };
            next = peek.next_offset;
            done += batch.len();
            batches.push(batch);
        }
        if batches.is_empty() {
            Err(self.damaged_batch(meta, from, at, &first)?)
        } else {
            Ok(batches)
        }
    }

    /// The first batch at or above `from` whose greatest timestamp is `ts` or above.
    pub(super) fn first_at_time(
        &self,
        meta: &SegmentMeta,
        from: Offset,
        ts: TimestampMs,
    ) -> Result<Option<BatchAt>, ReadError> {
        let start = self
            .position_of(meta, from)?
            .max(self.position_of_time(meta, ts)?);
        let fits = |batch: &Peek| batch.next_offset > from && batch.max_timestamp >= ts;
        match self.find(meta, start, fits)? {
            Some((_, found)) => self.batch_at(meta, found.base_offset).map(Some),
            None => Ok(None),
        }
    }

    /// The greatest timestamp at or above `from` and the first batch that has it.
    pub(super) fn max_timestamp(
        &self,
        meta: &SegmentMeta,
        from: Offset,
    ) -> Result<Option<(TimestampMs, Offset)>, ReadError> {
        let mut best: Option<(TimestampMs, Offset)> = None;
        let start = self.position_of(meta, from)?;
        self.find(meta, start, |batch| {
            let is_better = best.is_none_or(|(ts, _)| batch.max_timestamp > ts);
            if batch.next_offset > from && is_better {
                best = Some((batch.max_timestamp, batch.base_offset));
            }
            false
        })?;
        Ok(best)
    }

    /// The batch that contains `offset`.
    pub(super) fn batch_at(
        &self,
        meta: &SegmentMeta,
        offset: Offset,
    ) -> Result<BatchAt, ReadError> {
        let batches = self.read(meta, offset, meta.next_offset, 0)?;
        let batch = batches.into_iter().next();
        let peek = batch.as_deref().and_then(Peek::of);
        match (batch, peek) {
            (Some(batch), Some(peek)) => Ok(BatchAt {
                base_offset: peek.base_offset,
                batch,
            }),
            _ => Err(self.damaged(meta, offset, 0)),
        }
    }

    fn position_of(&self, meta: &SegmentMeta, offset: Offset) -> Result<u64, ReadError> {
        let mut loaded = lock(&self.index);
        self.note_until(&mut loaded.index, meta.bytes)?;
        Ok(loaded.index.position_of(self.base_offset, offset))
    }

    fn position_of_time(&self, meta: &SegmentMeta, ts: TimestampMs) -> Result<u64, ReadError> {
        let mut loaded = lock(&self.index);
        self.note_until(&mut loaded.index, meta.bytes)?;
        Ok(loaded.index.position_of_time(ts))
    }

    /// Reads on in the batch headers what the index does not cover yet. Stops at a header that
    /// makes no sense: what follows is reached by walking only as far as it can be.
    fn note_until(&self, index: &mut Index, end: u64) -> io::Result<()> {
        let base = self.base_offset;
        let from = index.covered();
        self.walk(from, end, |_, batch| {
            index.note(base, batch.base_offset, batch.bytes, batch.max_timestamp);
            ControlFlow::Continue(())
        })
    }

    /// The first batch from position `start` on that `fits`.
    fn find(
        &self,
        meta: &SegmentMeta,
        start: u64,
        mut fits: impl FnMut(&Peek) -> bool,
    ) -> io::Result<Option<(u64, Peek)>> {
        let mut found = None;
        self.walk(start, meta.bytes, |at, batch| {
            if fits(&batch) {
                found = Some((at, batch));
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    /// Visits the headers between two positions, up to the first that makes no sense.
    fn walk(
        &self,
        mut at: u64,
        end: u64,
        mut visit: impl FnMut(u64, Peek) -> ControlFlow<()>,
    ) -> io::Result<()> {
        let mut window = Vec::new();
        let mut window_at = at;
        while at < end {
            let skip = usize::try_from(at - window_at).unwrap_or(usize::MAX);
            let mut ahead = window.get(skip..).unwrap_or_default();
            if ahead.len() < HEADER_BYTES {
                window.resize(WALK_BYTES, 0);
                let filled = self.file.read_at(&mut window, at)?;
                window.truncate(filled);
                window_at = at;
                ahead = &window;
            }
            let Some(batch) = Peek::of(ahead) else { break };
            if at + batch.bytes > end || visit(at, batch).is_break() {
                break;
            }
            at += batch.bytes;
        }
        Ok(())
    }

    /// What is lost when `batch` at `at` has a wrong CRC: only itself, if what follows it shows
    /// that its header can be believed.
    fn damaged_batch(
        &self,
        meta: &SegmentMeta,
        from: Offset,
        at: u64,
        batch: &Peek,
    ) -> io::Result<ReadError> {
        let end = at + batch.bytes;
        let mut head = [0; HEADER_BYTES];
        let filled = self.file.read_at(&mut head, end)?;
        let next = head.get(..filled).and_then(Peek::of);
        let is_last = end == meta.bytes && batch.next_offset == meta.next_offset;
        if is_last || next.is_some_and(|next| next.base_offset >= batch.next_offset) {
            return Ok(ReadError::Corrupt {
                damage: Damage {
                    from,
                    to: batch.next_offset,
                },
            });
        }
        Ok(self.damaged(meta, from, at))
    }

    /// What is lost when the batch that should hold `from` cannot be read at `position`: all up
    /// to the next place that the index knows.
    fn damaged(&self, meta: &SegmentMeta, from: Offset, position: u64) -> ReadError {
        let next = lock(&self.index)
            .index
            .next_after(self.base_offset, position);
        let behind = next
            .map(|(offset, _)| offset)
            .filter(|offset| *offset > from);
        ReadError::Corrupt {
            damage: Damage {
                from,
                to: behind.unwrap_or(meta.next_offset),
            },
        }
    }
}

impl LoadedIndex {
    /// The index file's valid part; nothing when it cannot be read, since it is only a cache.
    fn load(disk: &dyn Disk, segment: &Path, segment_bytes: u64) -> Self {
        let read = || {
            let file = disk.open(&index_path(segment), OpenMode::ReadOnly)?;
            let most = segment_bytes / INDEX_INTERVAL_BYTES * INDEX_ENTRY_BYTES as u64;
            let bytes = file.size_bytes()?.min(most);
            let mut entries = vec![0; usize::try_from(bytes).unwrap_or(0)];
            let filled = file.read_at(&mut entries, 0)?;
            entries.truncate(filled);
            io::Result::Ok(entries)
        };
        let index = Index::decode(&read().unwrap_or_default(), segment_bytes);
        Self {
            on_disk: index.count(),
            index,
        }
    }
}

/// The whole, undamaged batch at `at` in `chunk`.
fn next_batch(chunk: &Bytes, at: usize) -> Option<Bytes> {
    let peek = Peek::of(chunk.get(at..)?)?;
    let end = at.checked_add(usize::try_from(peek.bytes).ok()?)?;
    let is_right = crc_matches(chunk.get(at..end)?) || bugs::is_on(Bug::ChecksumIgnored);
    let is_whole = end <= chunk.len() && is_right;
    is_whole.then(|| chunk.slice(at..end))
}
