//! Read-only inspection of a data directory: its contents, and whether they are intact. Works next
//! to a running log.
//!
//! Invariant: files are opened for reading only. Items are values that can be printed as a line of
//! text or serialized.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use avouch_protocol::batch::{BatchHeader, HEADER_BYTES, crc_matches};
use avouch_protocol::types::{LeaderEpoch, Offset, TopicPartition};
use serde::Serialize;

use crate::api::{CorruptRange, OpenError};
use crate::checkpoint::{Checkpoint, PartitionCheckpoint};
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::recovery::{find_wal_files, io_at, read_checkpoint};
use crate::segment::header::{SegmentBody, SegmentHeader};
use crate::segment::scanner::{OffsetGaps, find_batch};
use crate::segment::{Peek, SegmentMeta};
use crate::wal::frame::{Entry, FrameSeq, decode_entries};
use crate::wal::scan::{WalFile, find_frames, plan, read_body};

/// Maximum number of passes over a directory that a running log changes meanwhile.
const ATTEMPTS_MAX: usize = 5;

/// An item of a data directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Item {
    /// The checkpoint.
    Checkpoint {
        /// WAL frames up to this one are in segments.
        wal_sequence: u64,
        /// The highest incarnation so far.
        incarnation: u64,
        /// Whether a log in mode `os` was opened and not closed since.
        open_os: bool,
        /// Number of its partitions.
        partitions: usize,
        /// Number of deleted topics whose files may still exist.
        deleted_topics: usize,
    },
    /// A partition as described by the checkpoint.
    Partition {
        /// Topic id and index.
        partition: String,
        /// Leader epoch.
        leader_epoch: i32,
        /// Log start offset.
        log_start: i64,
        /// Offset after the last batch in segments.
        next_offset: i64,
        /// Compaction has compared all records below this offset.
        cleaned_to: i64,
        /// Corrupt ranges, `[from, to)`.
        corrupt_ranges: Vec<(i64, i64)>,
        /// Corrupt ranges that reads skip, `[from, to)`.
        skipped: Vec<(i64, i64)>,
        /// Number of producers with state.
        producers: usize,
    },
    /// A segment of the partition before it.
    Segment {
        /// Path of the file.
        file: PathBuf,
        /// Base offset.
        base_offset: i64,
        /// Offset after its last batch.
        next_offset: i64,
        /// Length that the checkpoint names.
        bytes: u64,
        /// Maximum timestamp.
        max_timestamp: i64,
    },
    /// A batch, in the segment before it or in a WAL frame.
    Batch(Batch),
    /// A WAL file.
    WalFile {
        /// Path of the file.
        file: PathBuf,
        /// Length of the file.
        bytes: u64,
        /// Incarnation that wrote it.
        incarnation: u64,
        /// Sequence number of its first frame.
        first_sequence: u64,
    },
    /// A complete WAL frame that a start would replay.
    Frame {
        /// Path of its WAL file.
        file: PathBuf,
        /// Position in the file.
        at: u64,
        /// Sequence number.
        sequence: u64,
        /// Frames up to this one were durable when this one was written.
        synced_sequence: u64,
        /// Length of the body.
        bytes: usize,
    },
    /// An entry other than a batch of the frame before it.
    Change {
        /// Description of the change.
        text: String,
    },
    /// A corrupt range that reads skip, so that it is no fault.
    Skipped {
        /// Topic id and index.
        partition: String,
        /// First offset of the range.
        from: i64,
        /// First offset after the range.
        to: i64,
    },
    /// A fault.
    Fault {
        /// The file.
        file: PathBuf,
        /// Position in the file, or the number of a WAL frame.
        at: u64,
        /// Description of the fault.
        text: String,
    },
}

/// Header of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Batch {
    /// Topic id and index.
    pub partition: String,
    /// Position in its segment; 0 in a WAL frame.
    pub at: u64,
    /// Size in bytes.
    pub bytes: usize,
    /// Offset of its first record.
    pub base_offset: i64,
    /// Offset of its last record.
    pub last_offset: i64,
    /// Number of records.
    pub records: i32,
    /// Maximum timestamp.
    pub max_timestamp: i64,
    /// Producer id, -1 without one.
    pub producer_id: i64,
    /// Producer epoch, -1 without one.
    pub producer_epoch: i16,
    /// Base sequence, -1 without one.
    pub base_sequence: i32,
    /// Raw attribute bits.
    pub attributes: i16,
}

/// Totals of an inspection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Number of partitions in the checkpoint.
    pub partitions: u64,
    /// Number of segments.
    pub segments: u64,
    /// Number of batches in segments.
    pub batches: u64,
    /// Bytes of these batches.
    pub bytes: u64,
    /// Number of WAL frames that a start would replay.
    pub frames: u64,
    /// Number of faults.
    pub faults: u64,
}

/// Passes every item of the log directory `dir` to `see`: the checkpoint, each partition with its
/// segments and batches, then the WAL. Returns the totals.
///
/// # Errors
/// If this version cannot read the log, or the file system fails.
pub fn dump(dir: &Path, disk: &dyn Disk, see: &mut dyn FnMut(Item)) -> Result<Totals, OpenError> {
    let mut look = Inspector {
        dir,
        disk,
        see,
        totals: Totals::default(),
    };
    look.all()?;
    Ok(look.totals)
}

/// Passes every fault and every skipped range in the log directory `dir` to `see`. Repeats the pass
/// if a running log changed the directory meanwhile, so that deletions are not reported as faults.
/// Returns the totals.
///
/// # Errors
/// If this version cannot read the log, or the file system fails.
pub fn verify(dir: &Path, disk: &dyn Disk, see: &mut dyn FnMut(Item)) -> Result<Totals, OpenError> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let before = read_checkpoint(disk, dir)?;
        let mut faults = Vec::new();
        let mut keep = |item| {
            if matches!(item, Item::Fault { .. } | Item::Skipped { .. }) {
                faults.push(item);
            }
        };
        let totals = dump(dir, disk, &mut keep)?;
        // An unchanged checkpoint means that no file it names was removed during the pass.
        let is_still = read_checkpoint(disk, dir)? == before;
        if totals.faults == 0 || is_still || attempts == ATTEMPTS_MAX {
            faults.into_iter().for_each(see);
            return Ok(totals);
        }
    }
}

struct Inspector<'a> {
    dir: &'a Path,
    disk: &'a dyn Disk,
    see: &'a mut dyn FnMut(Item),
    totals: Totals,
}

impl Inspector<'_> {
    fn all(&mut self) -> Result<(), OpenError> {
        let missing = || OpenError::MissingCheckpoint {
            dir: self.dir.to_owned(),
        };
        let checkpoint = read_checkpoint(self.disk, self.dir)?.ok_or_else(missing)?;
        (self.see)(Item::Checkpoint {
            wal_sequence: checkpoint.seq.0,
            incarnation: checkpoint.incarnation.0,
            open_os: checkpoint.open_os,
            partitions: checkpoint.partitions.len(),
            deleted_topics: checkpoint.deleted.len(),
        });
        for partition in &checkpoint.partitions {
            self.partition(partition)?;
        }
        self.wal(&checkpoint)
    }

    fn partition(&mut self, partition: &PartitionCheckpoint) -> Result<(), OpenError> {
        let pairs = |range: &[CorruptRange]| {
            let pair = |range: &CorruptRange| (range.from.0, range.to.0);
            range.iter().map(pair).collect()
        };
        let name = partition.tp.to_string();
        self.totals.partitions += 1;
        (self.see)(Item::Partition {
            partition: name.clone(),
            leader_epoch: partition.leader_epoch.0,
            log_start: partition.log_start.0,
            next_offset: partition.next_offset.0,
            cleaned_to: partition.cleaned_to.0,
            corrupt_ranges: pairs(&partition.corrupt_ranges),
            skipped: pairs(&partition.skipped),
            producers: partition.producers.len(),
        });
        for range in &partition.skipped {
            (self.see)(Item::Skipped {
                partition: name.clone(),
                from: range.from.0,
                to: range.to.0,
            });
        }
        let dir = self.dir.join("data").join(&name);
        let known = partition.corrupt_ranges.iter().chain(&partition.skipped);
        let mut order = OrderCheck {
            tp: partition.tp,
            gaps: OffsetGaps {
                log_start: partition.log_start,
                known: known.copied().collect(),
                skipped: partition.skipped.clone(),
            },
            newest_epoch: partition.leader_epoch,
            epoch: LeaderEpoch(0),
        };
        for segment in &partition.segments {
            self.segment(&name, segment, &segment.path(&dir), &mut order)?;
        }
        Ok(())
    }

    fn segment(
        &mut self,
        name: &str,
        meta: &SegmentMeta,
        path: &Path,
        order: &mut OrderCheck,
    ) -> Result<(), OpenError> {
        self.totals.segments += 1;
        (self.see)(Item::Segment {
            file: path.to_owned(),
            base_offset: meta.base_offset.0,
            next_offset: meta.next_offset.0,
            bytes: meta.bytes,
            max_timestamp: meta.max_timestamp.0,
        });
        let file = match self.disk.open(path, OpenMode::ReadOnly) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // A running log may have deleted it since the checkpoint was read.
                if !order.is_skipped(meta.base_offset, meta.next_offset)
                    && self.is_named(order.tp, meta)?
                {
                    self.fault(path, 0, "the segment is missing".to_owned());
                }
                return Ok(());
            }
            Err(source) => return Err(io_at(path, source)),
        };
        if meta.header_bytes > 0 {
            let expected = SegmentHeader::of(order.tp, meta);
            match SegmentHeader::read(&*file).map_err(|source| io_at(path, source))? {
                Some(found) if found == expected => {}
                Some(_) if order.is_skipped(meta.base_offset, meta.next_offset) => return Ok(()),
                Some(found) => {
                    let text = format!("the file contains another segment: {found}");
                    self.fault(path, 0, text);
                    return Ok(());
                }
                None => self.fault(path, 0, "the segment header is corrupt".to_owned()),
            }
        }
        let file = SegmentBody::of(file, meta);
        self.batches(name, meta, (path, &*file), order)
            .map_err(|source| io_at(path, source))
    }

    fn batches(
        &mut self,
        name: &str,
        meta: &SegmentMeta,
        (path, file): (&Path, &dyn DiskFile),
        order: &mut OrderCheck,
    ) -> io::Result<()> {
        let mut at = 0;
        let mut next = meta.base_offset;
        while at < meta.bytes {
            let mut head = [0; HEADER_BYTES];
            let filled = file.read_at(&mut head, at)?;
            let peek = head.get(..filled).and_then(Peek::of);
            let Some(peek) = peek.filter(|peek| at + peek.bytes <= meta.bytes) else {
                let following = find_batch(file, at, meta.bytes, next)?;
                let base = following.map_or(meta.next_offset, |(_, batch)| batch.base_offset);
                if order.is_skipped(next, base) {
                    let Some((start, _)) = following else {
                        return Ok(());
                    };
                    (at, next) = (start, base);
                    continue;
                }
                let text =
                    "no batch at this position; the following ones are reached by the index only";
                self.fault(path, at, text.to_owned());
                return Ok(());
            };
            let mut bytes = vec![0; usize::try_from(peek.bytes).unwrap_or(usize::MAX)];
            let filled = file.read_at(&mut bytes, at)?;
            let whole = bytes.get(..filled).unwrap_or_default();
            match BatchHeader::parse(whole) {
                Ok(header) if crc_matches(whole) => {
                    if let Some(text) = order.wrong_epoch(header.leader_epoch) {
                        self.fault(path, at, text);
                    }
                    (self.see)(Item::Batch(batch(name, at, &header)));
                }
                Ok(_) | Err(_) if order.is_skipped(next, next.plus(peek.span())) => {}
                Ok(_) | Err(_) => self.fault(path, at, "the batch's CRC is wrong".to_owned()),
            }
            let follows = order.gaps.follows(meta, next, peek.base_offset);
            let is_skipped = order.is_skipped(next, next.plus(peek.span()));
            if (!follows || peek.next_offset > meta.next_offset) && !is_skipped {
                let text = format!("offset {} does not follow {next}", peek.base_offset);
                self.fault(path, at, text);
            }
            // The offset in a skipped batch may be wrong; the following one is not.
            next = if follows {
                peek.next_offset
            } else {
                next.plus(peek.span())
            };
            at += peek.bytes;
            self.totals.batches += 1;
            self.totals.bytes += peek.bytes;
        }
        Ok(())
    }

    fn wal(&mut self, checkpoint: &Checkpoint) -> Result<(), OpenError> {
        let wal_dir = self.dir.join("wal");
        let found = find_wal_files(self.disk, &wal_dir, OpenMode::ReadOnly)?;
        for (id, wal_file) in &found.used {
            (self.see)(Item::WalFile {
                file: id.path(&wal_dir),
                bytes: wal_file.bytes,
                incarnation: wal_file.header.incarnation.0,
                first_sequence: wal_file.header.first_seq.0,
            });
        }
        let wal_files: Vec<&WalFile> = found.used.iter().map(|(_, wal_file)| wal_file).collect();
        let failed = |source| io_at(&wal_dir, source);
        let scanned = find_frames(&wal_files, checkpoint.seq).map_err(failed)?;
        let plan = plan(&scanned, checkpoint.seq);
        for frame in &plan.frames {
            let id = found.used.get(frame.wal_file).map(|(id, _)| *id);
            let file = id.map_or_else(|| wal_dir.clone(), |id| id.path(&wal_dir));
            self.totals.frames += 1;
            (self.see)(Item::Frame {
                file: file.clone(),
                at: frame.at,
                sequence: frame.header.seq.0,
                synced_sequence: frame.header.synced_seq.0,
                bytes: frame.header.body_bytes,
            });
            // A running log may have reused the WAL file.
            let Ok(body) = read_body(&wal_files, frame) else {
                self.fault(
                    &file,
                    frame.at,
                    "the frame changed while it was read".to_owned(),
                );
                continue;
            };
            match decode_entries(&body) {
                Some(entries) => entries.iter().for_each(|entry| self.entry(entry)),
                None => self.fault(&file, frame.at, "the frame has invalid entries".to_owned()),
            }
        }
        for (from, to) in &plan.missing {
            let last = FrameSeq(to.0.saturating_sub(1));
            let text = format!("WAL frames {} to {} are missing", from.0, last.0);
            self.fault(&wal_dir, from.0, text);
        }
        Ok(())
    }

    fn entry(&mut self, entry: &Entry) {
        let text = match entry {
            Entry::Batch {
                target,
                batch: bytes,
                ..
            } => {
                let name = target.to_string();
                if let Ok(header) = BatchHeader::parse(bytes) {
                    return (self.see)(Item::Batch(batch(&name, 0, &header)));
                }
                format!("{name}: invalid batch")
            }
            Entry::LogStart { target, offset } => format!("{target}: log start {offset}"),
            Entry::TopicDeleted { topic } => format!("{topic}: deleted"),
            Entry::RangeSkipped { target, range } => {
                format!("{target}: {} to {} skipped", range.from, range.to)
            }
        };
        (self.see)(Item::Change { text });
    }

    /// Returns whether the checkpoint, read again, still names a segment.
    fn is_named(&self, tp: TopicPartition, meta: &SegmentMeta) -> Result<bool, OpenError> {
        let checkpoint = read_checkpoint(self.disk, self.dir)?;
        let partitions = checkpoint.into_iter().flat_map(|found| found.partitions);
        let mut found = partitions.filter(|partition| partition.tp == tp);
        Ok(found.any(|found| found.segments.iter().any(|segment| segment.is_file(meta))))
    }

    fn fault(&mut self, file: &Path, at: u64, text: String) {
        self.totals.faults += 1;
        (self.see)(Item::Fault {
            file: file.to_owned(),
            at,
            text,
        });
    }
}

/// Compares the fields that no CRC covers with those of the neighbouring batches.
struct OrderCheck {
    tp: TopicPartition,
    gaps: OffsetGaps,
    /// Leader epoch of the partition.
    newest_epoch: LeaderEpoch,
    /// Leader epoch of the previous batch.
    epoch: LeaderEpoch,
}

impl OrderCheck {
    fn is_skipped(&self, from: Offset, to: Offset) -> bool {
        self.gaps.is_skipped(CorruptRange { from, to })
    }

    fn wrong_epoch(&mut self, epoch: LeaderEpoch) -> Option<String> {
        let before = self.epoch;
        if epoch < before || epoch > self.newest_epoch {
            let newest = self.newest_epoch.0;
            return Some(format!(
                "leader epoch {} is not in {} to {newest}",
                epoch.0, before.0
            ));
        }
        self.epoch = epoch;
        None
    }
}

fn batch(partition: &str, at: u64, header: &BatchHeader) -> Batch {
    Batch {
        partition: partition.to_owned(),
        at,
        bytes: header.size_bytes,
        base_offset: header.base_offset.0,
        last_offset: header.last_offset().0,
        records: header.record_count,
        max_timestamp: header.max_timestamp.0,
        producer_id: header.producer_id.0,
        producer_epoch: header.producer_epoch.0,
        base_sequence: header.base_sequence.0,
        attributes: header.attributes,
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checkpoint {
                wal_sequence,
                incarnation,
                partitions,
                ..
            } => write!(
                f,
                "checkpoint: {partitions} partitions, WAL frames up to {wal_sequence} in segments, \
                 incarnation {incarnation}"
            ),
            Self::Partition {
                partition,
                leader_epoch,
                log_start,
                next_offset,
                corrupt_ranges,
                ..
            } => {
                write!(f, "{partition}: offsets {log_start} to {next_offset}, ")?;
                write!(f, "leader epoch {leader_epoch}")?;
                corrupt_ranges
                    .iter()
                    .try_for_each(|(from, to)| write!(f, ", {from} to {to} corrupt"))
            }
            Self::Segment {
                file,
                base_offset,
                next_offset,
                bytes,
                ..
            } => write!(
                f,
                "  {}: offsets {base_offset} to {next_offset}, {bytes} bytes",
                file.display()
            ),
            Self::Batch(batch) => batch.fmt(f),
            Self::WalFile {
                file,
                bytes,
                incarnation,
                first_sequence,
            } => write!(
                f,
                "{}: {bytes} bytes, incarnation {incarnation}, from frame {first_sequence}",
                file.display()
            ),
            Self::Frame {
                at,
                sequence,
                bytes,
                ..
            } => write!(f, "  frame {sequence} at {at}: {bytes} bytes"),
            Self::Change { text } => write!(f, "    {text}"),
            Self::Skipped {
                partition,
                from,
                to,
            } => write!(f, "{partition}: offsets {from} to {} are skipped", to - 1),
            Self::Fault { file, at, text } => write!(f, "{} at {at}: {text}", file.display()),
        }
    }
}

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (base, last) = (self.base_offset, self.last_offset);
        write!(
            f,
            "    {} at {}: offsets {base} to {last}, ",
            self.partition, self.at
        )?;
        write!(f, "{} records, {} bytes, ", self.records, self.bytes)?;
        write!(f, "timestamp {}", self.max_timestamp)?;
        if self.producer_id >= 0 {
            let (id, epoch) = (self.producer_id, self.producer_epoch);
            write!(f, ", producer {id}/{epoch} from {}", self.base_sequence)?;
        }
        Ok(())
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            partitions,
            segments,
            batches,
            bytes,
            frames,
            faults,
        } = self;
        write!(
            f,
            "{partitions} partitions, {segments} segments, {batches} batches, "
        )?;
        write!(
            f,
            "{bytes} bytes, {frames} WAL frames to replay, {faults} faults"
        )
    }
}
