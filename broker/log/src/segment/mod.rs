//! One segment file: consecutive record batches, found by offset or timestamp.
//!
//! Invariant: only complete batches with a correct CRC and a plausible base offset are returned; a
//! file range is sent without a check only if this process wrote or verified it. Corruption hides
//! only the batches it affects, or those up to the next indexed one. The length of the file is in
//! [`SegmentMeta`], which the partition stores.

pub(crate) mod file_cache;
pub(crate) mod file_range;
pub(crate) mod header;
pub(crate) mod index;
pub(crate) mod scanner;
pub(crate) mod verified;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use avouch_protocol::batch::{HEADER_BYTES, LENGTH_PREFIX_BYTES, crc_matches};
use avouch_protocol::types::{Offset, TimestampMs, TopicPartition};
use bytes::Bytes;

use crate::api::{BatchAt, CorruptRange, ReadError};
use crate::codec::Reader;
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::failpoints::{self, Bug};
use crate::locks::lock;
use crate::partition::tags::TagSet;
use crate::segment::header::{SEGMENT_HEADER_BYTES, SegmentBody, SegmentHeader};
use crate::segment::index::{BatchPosition, INDEX_ENTRY_BYTES, INDEX_INTERVAL_BYTES, Index, Noted};
use crate::segment::scanner::{BatchScanner, OffsetGaps, ScanStep, find_batch};
use crate::segment::verified::VerifiedRanges;
use crate::storage::StorageError;

/// Runs of batches are copied together and written at once up to this size; a longer run is written
/// from its own buffer.
const JOINED_BYTES_MAX: usize = 64 << 10;

#[expect(clippy::cast_possible_truncation, reason = "64 fits 32 bits")]
const HEADER_BYTES_OF_NEW: u32 = SEGMENT_HEADER_BYTES as u32;

/// Number of compactions that rewrote a segment; 0 for a segment as appended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Generation(pub(crate) u32);

/// Metadata of a segment, available without opening the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentMeta {
    pub(crate) base_offset: Offset,
    pub(crate) generation: Generation,
    /// Offset after the last batch.
    pub(crate) next_offset: Offset,
    /// Bytes of its batches.
    pub(crate) bytes: u64,
    /// Bytes of the file before the first batch; 0 for segments of earlier formats.
    pub(crate) header_bytes: u32,
    /// Max timestamp of the first batch; -1 if empty.
    pub(crate) first_timestamp: TimestampMs,
    pub(crate) max_timestamp: TimestampMs,
    /// Base offset of the first batch with the max timestamp.
    pub(crate) max_timestamp_at: Offset,
    /// Time after which the first of its tombstones can be removed.
    pub(crate) delete_horizon: Option<TimestampMs>,
    pub(crate) tags: TagSet,
}

impl SegmentMeta {
    pub(crate) fn new(base_offset: Offset) -> Self {
        Self {
            base_offset,
            generation: Generation(0),
            next_offset: base_offset,
            bytes: 0,
            header_bytes: HEADER_BYTES_OF_NEW,
            first_timestamp: TimestampMs(-1),
            max_timestamp: TimestampMs(-1),
            max_timestamp_at: base_offset,
            delete_horizon: None,
            tags: TagSet::default(),
        }
    }

    /// Returns the path of its file.
    pub(crate) fn path(&self, dir: &Path) -> PathBuf {
        let base = self.base_offset.0;
        dir.join(match self.generation {
            Generation(0) => format!("{base:020}.log"),
            Generation(number) => format!("{base:020}.{number}.log"),
        })
    }

    /// Returns the metadata of an empty segment whose file has this name.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let stem = name.strip_suffix(".log")?;
        let (base, generation) = stem.split_once('.').unwrap_or((stem, "0"));
        let meta = Self {
            generation: Generation(generation.parse().ok()?),
            ..Self::new(Offset(base.parse().ok()?))
        };
        (meta.path(Path::new("")) == Path::new(name)).then_some(meta)
    }

    /// Adds a batch to the metadata.
    pub(crate) fn note(&mut self, base: Offset, next: Offset, bytes: u64, newest: TimestampMs) {
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

    /// Returns whether batches follow each other without gaps other than corrupt ranges. Only
    /// compaction removes batches.
    pub(crate) fn is_contiguous(&self) -> bool {
        self.generation == Generation(0)
    }

    /// Returns whether both describe the same file.
    pub(crate) fn is_file(&self, other: &Self) -> bool {
        (self.base_offset, self.generation) == (other.base_offset, other.generation)
    }
}

/// Returns the path of the index of a segment.
pub(crate) fn index_path(segment: &Path) -> PathBuf {
    segment.with_extension("index")
}

/// Offsets, size and timestamp of a batch, from its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peek {
    pub(crate) base_offset: Offset,
    pub(crate) bytes: u64,
    pub(crate) next_offset: Offset,
    pub(crate) max_timestamp: TimestampMs,
}

impl Peek {
    /// Decodes the header at the start of `bytes`, which need not contain the complete batch.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let (peek, magic) = Self::claimed(bytes)?;
        (magic == 2 && peek.base_offset.0 >= 0).then_some(peek)
    }

    /// Decodes a header without a check of magic and base offset; also returns the magic.
    pub(crate) fn claimed(bytes: &[u8]) -> Option<(Self, u8)> {
        let mut reader = Reader::new(bytes.get(..HEADER_BYTES)?);
        let base_offset = reader.offset()?;
        let length = u64::from(reader.u32()?);
        let [.., magic] = reader.take::<5>()?;
        reader.take::<6>()?;
        let last_offset_delta = i64::from(reader.i32()?);
        reader.take::<8>()?;
        let max_timestamp = TimestampMs(reader.i64()?);
        let bytes = length + LENGTH_PREFIX_BYTES as u64;
        let is_sane = last_offset_delta >= 0 && bytes >= HEADER_BYTES as u64;
        // Saturating, because a corrupt header can contain any offset.
        let next_offset = Offset(base_offset.0.saturating_add(last_offset_delta + 1));
        let peek = Self {
            base_offset,
            bytes,
            next_offset,
            max_timestamp,
        };
        is_sane.then_some((peek, magic))
    }

    /// Returns the number of offsets.
    pub(crate) fn span(&self) -> i64 {
        self.next_offset.0.saturating_sub(self.base_offset.0)
    }
}

/// An open segment file with its index.
#[derive(Debug)]
pub(crate) struct SegmentFile {
    base_offset: Offset,
    is_contiguous: bool,
    path: PathBuf,
    header_bytes: u32,
    /// The file without its header.
    file: Arc<dyn DiskFile>,
    index: Mutex<LoadedIndex>,
    /// Ranges that were written or read through this handle with correct CRCs.
    verified: Mutex<VerifiedRanges>,
    /// Set when sending a range failed; from then on batches are read, which reports the error.
    failed: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct LoadedIndex {
    index: Index,
    /// Number of entries in the index file.
    on_disk: usize,
}

impl SegmentFile {
    /// Opens the file of a segment in `dir`.
    ///
    /// # Errors
    /// `InvalidData` if the file contains another segment, and those of the file system.
    pub(crate) fn open(
        disk: &dyn Disk,
        dir: &Path,
        tp: TopicPartition,
        meta: &SegmentMeta,
        mode: OpenMode,
    ) -> io::Result<Self> {
        let path = meta.path(dir);
        let file = disk.open(&path, mode)?;
        if meta.header_bytes > 0 {
            let header = SegmentHeader::of(tp, meta);
            match mode {
                OpenMode::Truncate => file.write_at(&header.encode(), 0)?,
                OpenMode::ReadOnly | OpenMode::Existing | OpenMode::Create => {
                    header.check(&*file)?;
                }
            }
        }
        let index = if mode == OpenMode::Truncate {
            LoadedIndex::default()
        } else {
            LoadedIndex::load(disk, &path, meta.bytes)
        };
        Ok(Self {
            base_offset: meta.base_offset,
            is_contiguous: meta.is_contiguous(),
            path,
            header_bytes: meta.header_bytes,
            file: SegmentBody::of(file, meta),
            index: Mutex::new(index),
            verified: Mutex::default(),
            failed: Arc::default(),
        })
    }

    /// Truncates the segment to `bytes`, and its index accordingly.
    pub(crate) fn cut(&self, disk: &dyn Disk, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)?;
        // The truncated part may be written again with other bytes.
        *lock(&self.verified) = VerifiedRanges::default();
        let mut loaded = lock(&self.index);
        *loaded = LoadedIndex::load(disk, &self.path, bytes);
        let index_file = disk.open(&index_path(&self.path), OpenMode::Create)?;
        index_file.set_len((loaded.on_disk * INDEX_ENTRY_BYTES) as u64)
    }

    /// Writes batches at position `at` and updates the index. Each run contains complete batches.
    pub(crate) fn append(
        &self,
        disk: &dyn Disk,
        at: u64,
        runs: &[&[u8]],
    ) -> Result<(), StorageError> {
        let failed = |error| StorageError::of(&self.path, &error);
        self.write(at, runs).map_err(failed)?;
        let bytes: usize = runs.iter().map(|run| run.len()).sum();
        // Appends verified the CRCs of these batches, compaction computed them.
        lock(&self.verified).add(at..at + bytes as u64);
        let mut loaded = lock(&self.index);
        self.note_until(&mut loaded.index, at).map_err(failed)?;
        self.note_all(&mut loaded.index, runs);
        let kept = loaded.keep(disk, &self.path);
        if kept.is_err() {
            // The caller repeats the append, so the entries must not be added twice.
            *loaded = LoadedIndex::load(disk, &self.path, at);
        }
        kept.map_err(failed)
    }

    /// Writes short runs together and long runs from their own buffers.
    fn write(&self, mut at: u64, runs: &[&[u8]]) -> io::Result<()> {
        // One large write costs less than many small ones; copying more than `JOINED_BYTES_MAX`
        // does not pay.
        let mut joined = Vec::new();
        let mut rest = runs;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(joined_runs(rest));
            let bytes = match now {
                [run] => run,
                runs => {
                    joined.clear();
                    runs.iter().for_each(|run| joined.extend_from_slice(run));
                    joined.as_slice()
                }
            };
            self.file.write_at(bytes, at)?;
            at += bytes.len() as u64;
            rest = later;
        }
        Ok(())
    }

    /// Syncs the segment. The index is not synced, because it can be rebuilt.
    pub(crate) fn sync(&self) -> Result<(), StorageError> {
        self.file
            .sync_data()
            .map_err(|error| StorageError::failed(&self.path, &error))
    }

    /// Returns the memory of its index in bytes.
    pub(crate) fn index_bytes(&self) -> usize {
        lock(&self.index).index.memory_bytes()
    }

    /// Returns complete batches below `limit`, starting with the one that contains `from` or, if
    /// compaction removed it, the next one: at least one, more up to `max_bytes`.
    pub(crate) fn read(
        &self,
        meta: &SegmentMeta,
        gaps: &OffsetGaps,
        from: Offset,
        limit: Offset,
        max_bytes: usize,
    ) -> Result<Vec<Bytes>, ReadError> {
        let start = self.position_of(meta, from)?;
        let reaches = |step: &ScanStep| step.to() > from;
        let (at, first) = match self.find(meta, gaps, start, reaches)? {
            Some(ScanStep::Batch(at, batch)) => (at, batch),
            // The corruption starts after the limit, so this read ends before it.
            Some(ScanStep::Lost(range)) if range.from >= limit => return Ok(Vec::new()),
            Some(ScanStep::Lost(range)) => return Err(ReadError::Corrupt { range }),
            None => return Err(corrupt(from, meta.next_offset)),
        };
        if meta.is_contiguous() && first.base_offset > from {
            return Err(corrupt(from, first.base_offset));
        }
        if first.base_offset >= limit {
            return Ok(Vec::new());
        }
        // At least the first batch, whatever its size, so that a consumer always advances (KIP-74).
        let room = (max_bytes as u64)
            .max(first.bytes)
            .min(meta.bytes.saturating_sub(at));
        let mut chunk = vec![0; usize::try_from(room).unwrap_or(usize::MAX)];
        let filled = self.file.read_at(&mut chunk, at)?;
        chunk.truncate(filled);
        let chunk = Bytes::from(chunk);
        let mut batches = Vec::new();
        let mut done = 0;
        let mut next = first.base_offset;
        while let Some(batch) = next_batch(&chunk, done) {
            let follows = |peek: &Peek| gaps.follows(meta, next, peek.base_offset);
            let Some(peek) =
                Peek::of(&batch).filter(|peek| follows(peek) && peek.next_offset <= limit)
            else {
                break;
            };
            next = peek.next_offset;
            done += batch.len();
            batches.push(batch);
        }
        // The header of the first batch was valid, so its CRC or body must be wrong.
        if batches.is_empty() {
            Err(self.corrupt_batch(meta, gaps, from, (at, &first))?)
        } else {
            lock(&self.verified).add(at..at + done as u64);
            Ok(batches)
        }
    }

    /// Returns the first batch that ends after `from` and has a max timestamp of at least `ts`.
    ///
    /// # Errors
    /// `Corrupt` if it may be in a corrupt range that is not skipped.
    pub(crate) fn first_at_time(
        &self,
        meta: &SegmentMeta,
        gaps: &OffsetGaps,
        from: Offset,
        ts: TimestampMs,
    ) -> Result<Option<BatchAt>, ReadError> {
        let by_offset = self.position_of(meta, from)?;
        let by_time = self.position_of_time(meta, ts)?;
        // Both are lower bounds, so start at the later one.
        let start = if by_time.position > by_offset.position {
            by_time
        } else {
            by_offset
        };
        let fits = |step: &ScanStep| match step {
            ScanStep::Batch(_, batch) => batch.next_offset > from && batch.max_timestamp >= ts,
            ScanStep::Lost(range) => range.to > from && !gaps.is_skipped(*range),
        };
        match self.find(meta, gaps, start, fits)? {
            Some(ScanStep::Batch(_, found)) => {
                self.batch_at(meta, gaps, found.base_offset).map(Some)
            }
            Some(ScanStep::Lost(range)) => Err(ReadError::Corrupt { range }),
            None => Ok(None),
        }
    }

    /// Returns the maximum timestamp at or after `from` and the first batch that has it.
    ///
    /// # Errors
    /// `Corrupt` if it may be in a corrupt range that is not skipped.
    pub(crate) fn max_timestamp(
        &self,
        meta: &SegmentMeta,
        gaps: &OffsetGaps,
        from: Offset,
    ) -> Result<Option<(TimestampMs, Offset)>, ReadError> {
        let mut best: Option<(TimestampMs, Offset)> = None;
        let start = self.position_of(meta, from)?;
        let lost = self.find(meta, gaps, start, |step| match step {
            ScanStep::Batch(_, batch) => {
                let is_better = best.is_none_or(|(ts, _)| batch.max_timestamp > ts);
                if batch.next_offset > from && is_better {
                    best = Some((batch.max_timestamp, batch.base_offset));
                }
                false
            }
            ScanStep::Lost(range) => range.to > from && !gaps.is_skipped(*range),
        })?;
        match lost {
            Some(ScanStep::Lost(range)) => Err(ReadError::Corrupt { range }),
            Some(ScanStep::Batch(..)) | None => Ok(best),
        }
    }

    /// Returns the batch that contains `offset`.
    pub(crate) fn batch_at(
        &self,
        meta: &SegmentMeta,
        gaps: &OffsetGaps,
        offset: Offset,
    ) -> Result<BatchAt, ReadError> {
        let batches = self.read(meta, gaps, offset, meta.next_offset, 0)?;
        let batch = batches.into_iter().next();
        let peek = batch.as_deref().and_then(Peek::of);
        match (batch, peek) {
            (Some(batch), Some(peek)) => Ok(BatchAt {
                base_offset: peek.base_offset,
                batch,
            }),
            _ => Err(corrupt(offset, offset.plus(1))),
        }
    }

    fn position_of(&self, meta: &SegmentMeta, offset: Offset) -> Result<BatchPosition, ReadError> {
        let mut loaded = lock(&self.index);
        self.note_until(&mut loaded.index, meta.bytes)?;
        Ok(loaded.index.position_of(self.base_offset, offset))
    }

    fn position_of_time(
        &self,
        meta: &SegmentMeta,
        ts: TimestampMs,
    ) -> Result<BatchPosition, ReadError> {
        let mut loaded = lock(&self.index);
        self.note_until(&mut loaded.index, meta.bytes)?;
        Ok(loaded.index.position_of_time(self.base_offset, ts))
    }

    /// Extends the index to `end` from the batch headers. After an invalid header it continues at
    /// the next complete batch, which gets an entry.
    fn note_until(&self, index: &mut Index, end: u64) -> io::Result<()> {
        let mut scanner = BatchScanner::new(&*self.file);
        while index.covered() < end {
            let at = index.covered();
            let batch = scanner.header(at)?.and_then(Peek::of);
            if let Some(batch) = batch.filter(|batch| at + batch.bytes <= end) {
                index.note(self.noted(&batch));
                continue;
            }
            let expected = index.expected().unwrap_or(0);
            let min_offset = Offset(self.base_offset.0.saturating_add(expected));
            match find_batch(&*self.file, at, end, min_offset)? {
                Some((at, batch)) => index.resume(at, self.noted(&batch).relative_offset),
                None => index.resume(end, i64::MAX),
            }
        }
        Ok(())
    }

    /// Indexes complete batches that are written where the index ends.
    fn note_all(&self, index: &mut Index, runs: &[&[u8]]) {
        if let Some(first) = runs.first().and_then(|run| Peek::of(run)) {
            index.expect(self.noted(&first).relative_offset);
        }
        for run in runs {
            let mut rest = *run;
            while let Some(batch) = Peek::of(rest) {
                index.note(self.noted(&batch));
                let bytes = usize::try_from(batch.bytes).unwrap_or(usize::MAX);
                rest = rest.get(bytes..).unwrap_or_default();
            }
        }
    }

    fn noted(&self, batch: &Peek) -> Noted {
        Noted {
            relative_offset: batch.base_offset.0.saturating_sub(self.base_offset.0),
            span: batch.span(),
            bytes: batch.bytes,
            max_timestamp: batch.max_timestamp,
            may_skip: !self.is_contiguous,
        }
    }

    /// Returns the first step from `start` on that `fits`.
    fn find(
        &self,
        meta: &SegmentMeta,
        gaps: &OffsetGaps,
        start: BatchPosition,
        mut fits: impl FnMut(&ScanStep) -> bool,
    ) -> io::Result<Option<ScanStep>> {
        let mut scanner = BatchScanner::new(&*self.file);
        let mut place = start;
        while place.position < meta.bytes {
            let step = match scanner.step(meta, gaps, place)? {
                Some(step) => step,
                None => self.lost_from(meta, place),
            };
            if fits(&step) {
                return Ok(Some(step));
            }
            place = match step {
                ScanStep::Batch(at, batch) => BatchPosition {
                    position: at + batch.bytes,
                    offset: batch.next_offset,
                },
                ScanStep::Lost(_) => match scanner
                    .stepped_to()
                    .or_else(|| self.next_position(place.position))
                {
                    Some(next) => next,
                    None => break,
                },
            };
        }
        Ok(None)
    }

    /// Returns the range lost at a position without a valid batch: up to the next indexed batch.
    fn lost_from(&self, meta: &SegmentMeta, place: BatchPosition) -> ScanStep {
        let following = self.next_position(place.position);
        let to = following.map_or(meta.next_offset, |next| next.offset);
        // The expected offset may come from a corrupt header itself, so keep the range non-empty.
        let from = place.offset.min(to.plus(-1));
        ScanStep::Lost(CorruptRange { from, to })
    }

    fn next_position(&self, position: u64) -> Option<BatchPosition> {
        let loaded = lock(&self.index);
        loaded.index.next_after(self.base_offset, position)
    }

    /// Returns the range lost when `batch` at `at` has a wrong CRC: only this batch if the
    /// following header confirms its length, otherwise all up to the next indexed batch.
    fn corrupt_batch(
        &self,
        meta: &SegmentMeta,
        gaps: &OffsetGaps,
        from: Offset,
        (at, batch): (u64, &Peek),
    ) -> io::Result<ReadError> {
        let end = at + batch.bytes;
        let is_last = end == meta.bytes && batch.next_offset == meta.next_offset;
        let mut scanner = BatchScanner::new(&*self.file);
        let next = scanner.header(end)?.and_then(Peek::of);
        let follows = |next: Peek| gaps.follows(meta, batch.next_offset, next.base_offset);
        if is_last || (end < meta.bytes && next.is_some_and(follows)) {
            return Ok(corrupt(batch.base_offset.min(from), batch.next_offset));
        }
        let following = self.next_position(at).filter(|next| next.offset > from);
        let to = following.map_or(meta.next_offset, |next| next.offset);
        Ok(corrupt(batch.base_offset.min(from), to))
    }
}

/// Returns the number of runs, at least one, that are written with one call.
fn joined_runs(runs: &[&[u8]]) -> usize {
    let mut bytes = 0;
    let fits = |run: &&&[u8]| {
        bytes += run.len();
        bytes <= JOINED_BYTES_MAX
    };
    runs.iter().take_while(fits).count().max(1)
}

fn corrupt(from: Offset, to: Offset) -> ReadError {
    let range = CorruptRange { from, to };
    ReadError::Corrupt { range }
}

impl LoadedIndex {
    /// Appends new entries to the index file.
    fn keep(&mut self, disk: &dyn Disk, segment: &Path) -> io::Result<()> {
        let fresh = self.index.encode_from(self.on_disk);
        if !fresh.is_empty() {
            let file = disk.open(&index_path(segment), OpenMode::Create)?;
            file.write_at(&fresh, (self.on_disk * INDEX_ENTRY_BYTES) as u64)?;
            self.on_disk = self.index.count();
        }
        Ok(())
    }

    /// Loads the valid prefix of an index file; empty if it cannot be read, since it is a cache.
    fn load(disk: &dyn Disk, segment: &Path, segment_bytes: u64) -> Self {
        let read = || {
            let file = disk.open(&index_path(segment), OpenMode::ReadOnly)?;
            // After corruption, entries may be closer than the interval.
            let most = 2 * (segment_bytes / INDEX_INTERVAL_BYTES) * INDEX_ENTRY_BYTES as u64;
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

/// Returns the complete batch at `at` in `chunk` if its CRC matches.
fn next_batch(chunk: &Bytes, at: usize) -> Option<Bytes> {
    let peek = Peek::of(chunk.get(at..)?)?;
    let end = at.checked_add(usize::try_from(peek.bytes).ok()?)?;
    // `get` fails if the chunk ends within the batch, which is then returned by the next read.
    let is_right = crc_matches(chunk.get(at..end)?) || failpoints::is_on(Bug::ChecksumIgnored);
    let is_whole = end <= chunk.len() && is_right;
    is_whole.then(|| chunk.slice(at..end))
}
