//! One segment file: record batches back to back, found by offset or time.
//!
//! Invariant: only whole batches whose CRC is right, and which stand where their offsets say, are
//! handed out; a stretch is sent as it is only where this process wrote it, or saw that. Damage
//! hides no more than the batches it is in, or those up to the next place that the index knows.
//! What the segment holds, and how much of the file counts, is in its [`SegmentMeta`], which the
//! partition keeps.

pub(crate) mod file_cache;
pub(crate) mod file_range;
pub(crate) mod index;
pub(crate) mod scanner;
pub(crate) mod verified;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use avouch_protocol::batch::{HEADER_BYTES, LENGTH_PREFIX_BYTES, crc_matches};
use avouch_protocol::types::{Offset, TimestampMs};
use bytes::Bytes;

use crate::api::{BatchAt, Damage, ReadError};
use crate::codec::Reader;
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::failpoints::{self, Bug};
use crate::locks::lock;
use crate::partition::tags::TagSet;
use crate::segment::index::{INDEX_ENTRY_BYTES, INDEX_INTERVAL_BYTES, Index, Noted, Place};
use crate::segment::scanner::{Holes, Step, Walk, find_batch};
use crate::segment::verified::Seen;
use crate::storage::StorageError;

/// Runs of batches are written together up to this many bytes, which takes a copy; a longer one is
/// written from where it is.
const JOINED_BYTES_MAX: usize = 64 << 10;

/// How often compaction wrote a segment's batches anew; 0 is as they were appended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Generation(pub(crate) u32);

/// What is known of a segment without opening it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentMeta {
    pub(crate) base_offset: Offset,
    pub(crate) generation: Generation,
    /// The offset after its last batch.
    pub(crate) next_offset: Offset,
    pub(crate) bytes: u64,
    /// Greatest timestamp of its first batch; -1 when empty.
    pub(crate) first_timestamp: TimestampMs,
    pub(crate) max_timestamp: TimestampMs,
    /// Base offset of the first batch that has it.
    pub(crate) max_timestamp_at: Offset,
    /// From when on some of its tombstones may go.
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
            first_timestamp: TimestampMs(-1),
            max_timestamp: TimestampMs(-1),
            max_timestamp_at: base_offset,
            delete_horizon: None,
            tags: TagSet::default(),
        }
    }

    /// Where it is kept.
    pub(crate) fn path(&self, dir: &Path) -> PathBuf {
        let base = self.base_offset.0;
        dir.join(match self.generation {
            Generation(0) => format!("{base:020}.log"),
            Generation(number) => format!("{base:020}.{number}.log"),
        })
    }

    /// Takes note of a batch that was written behind those it has.
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

    /// Whether its batches follow each other without a hole, but for damage: only compaction takes
    /// batches out.
    pub(crate) fn is_contiguous(&self) -> bool {
        self.generation == Generation(0)
    }

    /// Whether it is the same file.
    pub(crate) fn is_file(&self, other: &Self) -> bool {
        (self.base_offset, self.generation) == (other.base_offset, other.generation)
    }
}

/// Where its index is kept.
pub(crate) fn index_path(segment: &Path) -> PathBuf {
    segment.with_extension("index")
}

/// What a batch's header says about where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peek {
    pub(crate) base_offset: Offset,
    pub(crate) bytes: u64,
    pub(crate) next_offset: Offset,
    pub(crate) max_timestamp: TimestampMs,
}

impl Peek {
    /// The header at the start of `bytes`, which need not hold the whole batch.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let (peek, magic) = Self::claimed(bytes)?;
        (magic == 2 && peek.base_offset.0 >= 0).then_some(peek)
    }

    /// What a header claims whose magic or base offset may be damaged; with its magic.
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
        let next_offset = Offset(base_offset.0.saturating_add(last_offset_delta + 1));
        let peek = Self {
            base_offset,
            bytes,
            next_offset,
            max_timestamp,
        };
        is_sane.then_some((peek, magic))
    }

    /// How many offsets it takes.
    pub(crate) fn span(&self) -> i64 {
        self.next_offset.0.saturating_sub(self.base_offset.0)
    }
}

/// A segment's open file and its index.
#[derive(Debug)]
pub(crate) struct SegmentFile {
    base_offset: Offset,
    is_contiguous: bool,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    index: Mutex<LoadedIndex>,
    /// Where the batches were written or read through this handle, and their CRCs were right.
    seen: Mutex<Seen>,
    /// A stretch could not be sent: from now on all is read, and what is wrong is told.
    failed: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct LoadedIndex {
    index: Index,
    /// Entries that are in the index file.
    on_disk: usize,
}

impl SegmentFile {
    /// Opens the file of a segment in `dir`.
    pub(crate) fn open(
        disk: &dyn Disk,
        dir: &Path,
        meta: &SegmentMeta,
        mode: OpenMode,
    ) -> io::Result<Self> {
        let path = meta.path(dir);
        let file = disk.open(&path, mode)?;
        let index = if mode == OpenMode::Truncate {
            LoadedIndex::default()
        } else {
            LoadedIndex::load(disk, &path, meta.bytes)
        };
        Ok(Self {
            base_offset: meta.base_offset,
            is_contiguous: meta.is_contiguous(),
            path,
            file,
            index: Mutex::new(index),
            seen: Mutex::default(),
            failed: Arc::default(),
        })
    }

    /// Cuts what a crash left behind the first `bytes`, in the index too.
    pub(crate) fn cut(&self, disk: &dyn Disk, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)?;
        *lock(&self.seen) = Seen::default();
        let mut loaded = lock(&self.index);
        *loaded = LoadedIndex::load(disk, &self.path, bytes);
        let index_file = disk.open(&index_path(&self.path), OpenMode::Create)?;
        index_file.set_len((loaded.on_disk * INDEX_ENTRY_BYTES) as u64)
    }

    /// Writes batches behind the first `at` bytes and brings the index up to date. Each run holds
    /// whole batches.
    pub(crate) fn append(
        &self,
        disk: &dyn Disk,
        at: u64,
        runs: &[&[u8]],
    ) -> Result<(), StorageError> {
        let failed = |error| StorageError::of(&self.path, &error);
        self.write(at, runs).map_err(failed)?;
        let bytes: usize = runs.iter().map(|run| run.len()).sum();
        lock(&self.seen).add(at..at + bytes as u64);
        let mut loaded = lock(&self.index);
        self.note_until(&mut loaded.index, at).map_err(failed)?;
        self.note_all(&mut loaded.index, runs);
        let kept = loaded.keep(disk, &self.path);
        if kept.is_err() {
            // The batches will be written again, and must not be noted twice.
            *loaded = LoadedIndex::load(disk, &self.path, at);
        }
        kept.map_err(failed)
    }

    /// Writes short runs together and long ones from where they are.
    fn write(&self, mut at: u64, runs: &[&[u8]]) -> io::Result<()> {
        let mut joined = Vec::new();
        let mut rest = runs;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(how_many_at_once(rest));
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

    /// Makes everything written durable; the index is not, it can be rebuilt.
    pub(crate) fn sync(&self) -> Result<(), StorageError> {
        self.file
            .sync_data()
            .map_err(|error| StorageError::failed(&self.path, &error))
    }

    /// Memory that its index takes.
    pub(crate) fn index_bytes(&self) -> usize {
        lock(&self.index).index.memory_bytes()
    }

    /// Whole batches from the one that contains `from`, or the next where compaction took it, below
    /// `limit`: at least one if there is one, more while they fit `max_bytes`.
    pub(crate) fn read(
        &self,
        meta: &SegmentMeta,
        holes: &Holes,
        from: Offset,
        limit: Offset,
        max_bytes: usize,
    ) -> Result<Vec<Bytes>, ReadError> {
        let start = self.place_of(meta, from)?;
        let reaches = |step: &Step| step.to() > from;
        let (at, first) = match self.find(meta, holes, start, reaches)? {
            Some(Step::Batch(at, batch)) => (at, batch),
            // It begins where the caller passes over something.
            Some(Step::Lost(damage)) if damage.from >= limit => return Ok(Vec::new()),
            Some(Step::Lost(damage)) => return Err(ReadError::Corrupt { damage }),
            None => return Err(corrupt(from, meta.next_offset)),
        };
        if meta.is_contiguous() && first.base_offset > from {
            return Err(corrupt(from, first.base_offset));
        }
        if first.base_offset >= limit {
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
        let mut next = first.base_offset;
        while let Some(batch) = next_batch(&chunk, done) {
            let follows = |peek: &Peek| holes.follows(meta, next, peek.base_offset);
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
            Err(self.damaged_batch(meta, holes, from, (at, &first))?)
        } else {
            lock(&self.seen).add(at..at + done as u64);
            Ok(batches)
        }
    }

    /// The first batch at or above `from` whose greatest timestamp is `ts` or above.
    ///
    /// # Errors
    /// `Corrupt` where it may stand in what is damaged and not given up.
    pub(crate) fn first_at_time(
        &self,
        meta: &SegmentMeta,
        holes: &Holes,
        from: Offset,
        ts: TimestampMs,
    ) -> Result<Option<BatchAt>, ReadError> {
        let by_offset = self.place_of(meta, from)?;
        let by_time = self.place_of_time(meta, ts)?;
        let start = if by_time.position > by_offset.position {
            by_time
        } else {
            by_offset
        };
        let fits = |step: &Step| match step {
            Step::Batch(_, batch) => batch.next_offset > from && batch.max_timestamp >= ts,
            Step::Lost(damage) => damage.to > from && !holes.is_given_up(*damage),
        };
        match self.find(meta, holes, start, fits)? {
            Some(Step::Batch(_, found)) => self.batch_at(meta, holes, found.base_offset).map(Some),
            Some(Step::Lost(damage)) => Err(ReadError::Corrupt { damage }),
            None => Ok(None),
        }
    }

    /// The greatest timestamp at or above `from` and the first batch that has it.
    ///
    /// # Errors
    /// `Corrupt` where it may stand in what is damaged and not given up.
    pub(crate) fn max_timestamp(
        &self,
        meta: &SegmentMeta,
        holes: &Holes,
        from: Offset,
    ) -> Result<Option<(TimestampMs, Offset)>, ReadError> {
        let mut best: Option<(TimestampMs, Offset)> = None;
        let start = self.place_of(meta, from)?;
        let lost = self.find(meta, holes, start, |step| match step {
            Step::Batch(_, batch) => {
                let is_better = best.is_none_or(|(ts, _)| batch.max_timestamp > ts);
                if batch.next_offset > from && is_better {
                    best = Some((batch.max_timestamp, batch.base_offset));
                }
                false
            }
            Step::Lost(damage) => damage.to > from && !holes.is_given_up(*damage),
        })?;
        match lost {
            Some(Step::Lost(damage)) => Err(ReadError::Corrupt { damage }),
            Some(Step::Batch(..)) | None => Ok(best),
        }
    }

    /// The batch that contains `offset`.
    pub(crate) fn batch_at(
        &self,
        meta: &SegmentMeta,
        holes: &Holes,
        offset: Offset,
    ) -> Result<BatchAt, ReadError> {
        let batches = self.read(meta, holes, offset, meta.next_offset, 0)?;
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

    fn place_of(&self, meta: &SegmentMeta, offset: Offset) -> Result<Place, ReadError> {
        let mut loaded = lock(&self.index);
        self.note_until(&mut loaded.index, meta.bytes)?;
        Ok(loaded.index.place_of(self.base_offset, offset))
    }

    fn place_of_time(&self, meta: &SegmentMeta, ts: TimestampMs) -> Result<Place, ReadError> {
        let mut loaded = lock(&self.index);
        self.note_until(&mut loaded.index, meta.bytes)?;
        Ok(loaded.index.place_of_time(self.base_offset, ts))
    }

    /// Reads on in the batch headers what the index does not cover yet. Where a header makes no
    /// sense it goes on at the next batch that is whole, and the index knows that place.
    fn note_until(&self, index: &mut Index, end: u64) -> io::Result<()> {
        let mut walk = Walk::new(&*self.file);
        while index.covered() < end {
            let at = index.covered();
            let batch = walk.header(at)?.and_then(Peek::of);
            if let Some(batch) = batch.filter(|batch| at + batch.bytes <= end) {
                index.note(self.noted(&batch));
                continue;
            }
            let expected = index.expected().unwrap_or(0);
            let least = Offset(self.base_offset.0.saturating_add(expected));
            match find_batch(&*self.file, at, end, least)? {
                Some((at, batch)) => index.resume(at, self.noted(&batch).relative_offset),
                None => index.resume(end, i64::MAX),
            }
        }
        Ok(())
    }

    /// Takes note of whole batches that are written where the index ends.
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

    /// The first step from a place on that `fits`.
    fn find(
        &self,
        meta: &SegmentMeta,
        holes: &Holes,
        start: Place,
        mut fits: impl FnMut(&Step) -> bool,
    ) -> io::Result<Option<Step>> {
        let mut walk = Walk::new(&*self.file);
        let mut place = start;
        while place.position < meta.bytes {
            let step = match walk.step(meta, holes, place)? {
                Some(step) => step,
                None => self.lost_from(meta, place),
            };
            if fits(&step) {
                return Ok(Some(step));
            }
            place = match step {
                Step::Batch(at, batch) => Place {
                    position: at + batch.bytes,
                    offset: batch.next_offset,
                },
                Step::Lost(_) => match walk
                    .stepped_to()
                    .or_else(|| self.next_place(place.position))
                {
                    Some(next) => next,
                    None => break,
                },
            };
        }
        Ok(None)
    }

    /// What is lost where no batch can be told at a place: all up to the next that the index knows.
    fn lost_from(&self, meta: &SegmentMeta, place: Place) -> Step {
        let behind = self.next_place(place.position);
        let to = behind.map_or(meta.next_offset, |next| next.offset);
        // The offset expected here may itself be what a damaged header says.
        let from = place.offset.min(to.plus(-1));
        Step::Lost(Damage { from, to })
    }

    fn next_place(&self, position: u64) -> Option<Place> {
        let loaded = lock(&self.index);
        loaded.index.next_after(self.base_offset, position)
    }

    /// What is lost when `batch` at `at` has a wrong CRC: only itself, if what follows it shows
    /// that its header can be believed.
    fn damaged_batch(
        &self,
        meta: &SegmentMeta,
        holes: &Holes,
        from: Offset,
        (at, batch): (u64, &Peek),
    ) -> io::Result<ReadError> {
        let end = at + batch.bytes;
        let is_last = end == meta.bytes && batch.next_offset == meta.next_offset;
        let mut walk = Walk::new(&*self.file);
        let next = walk.header(end)?.and_then(Peek::of);
        let follows = |next: Peek| holes.follows(meta, batch.next_offset, next.base_offset);
        if is_last || (end < meta.bytes && next.is_some_and(follows)) {
            return Ok(corrupt(batch.base_offset.min(from), batch.next_offset));
        }
        let behind = self.next_place(at).filter(|next| next.offset > from);
        let to = behind.map_or(meta.next_offset, |next| next.offset);
        Ok(corrupt(batch.base_offset.min(from), to))
    }
}

/// How many runs, at least one, one call writes.
fn how_many_at_once(runs: &[&[u8]]) -> usize {
    let mut bytes = 0;
    let fits = |run: &&&[u8]| {
        bytes += run.len();
        bytes <= JOINED_BYTES_MAX
    };
    runs.iter().take_while(fits).count().max(1)
}

fn corrupt(from: Offset, to: Offset) -> ReadError {
    let damage = Damage { from, to };
    ReadError::Corrupt { damage }
}

impl LoadedIndex {
    /// Writes the entries that are not in the file of the index yet.
    fn keep(&mut self, disk: &dyn Disk, segment: &Path) -> io::Result<()> {
        let fresh = self.index.encode_from(self.on_disk);
        if !fresh.is_empty() {
            let file = disk.open(&index_path(segment), OpenMode::Create)?;
            file.write_at(&fresh, (self.on_disk * INDEX_ENTRY_BYTES) as u64)?;
            self.on_disk = self.index.count();
        }
        Ok(())
    }

    /// The index file's valid part; nothing when it cannot be read, since it is only a cache.
    fn load(disk: &dyn Disk, segment: &Path, segment_bytes: u64) -> Self {
        let read = || {
            let file = disk.open(&index_path(segment), OpenMode::ReadOnly)?;
            // Behind damage there may be more than one an interval.
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

/// The whole, undamaged batch at `at` in `chunk`.
fn next_batch(chunk: &Bytes, at: usize) -> Option<Bytes> {
    let peek = Peek::of(chunk.get(at..)?)?;
    let end = at.checked_add(usize::try_from(peek.bytes).ok()?)?;
    let is_right = crc_matches(chunk.get(at..end)?) || failpoints::is_on(Bug::ChecksumIgnored);
    let is_whole = end <= chunk.len() && is_right;
    is_whole.then(|| chunk.slice(at..end))
}
