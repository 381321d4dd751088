//! Looks at a data directory without changing anything: what stands in it, and whether all of it is
//! as it was written. Works beside a running log, which it does not need.
//!
//! Invariant: files are opened for reading only. Knows no command line and no form of output; items
//! are values, with a line of text each and fields for JSON.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use avouch_protocol::batch::{BatchHeader, HEADER_BYTES, crc_matches};
use avouch_protocol::types::LeaderEpoch;
use serde::Serialize;

use crate::api::OpenError;
use crate::checkpoint::{Checkpoint, PartitionCheckpoint};
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::recovery::{find_slots, io_at, read_checkpoint};
use crate::segment::scanner::Holes;
use crate::segment::{Peek, SegmentMeta};
use crate::wal::frame::{Entry, FrameSeq, decode_entries};
use crate::wal::scan::{Slot, find_frames, plan, read_body};

/// How often a directory is looked at anew because a running log changed it meanwhile.
const ROUNDS_MAX: usize = 5;

/// One thing that stands in a data directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Item {
    /// The checkpoint.
    Checkpoint {
        /// WAL frames up to this one are in segments.
        wal_sequence: u64,
        /// The highest so far.
        incarnation: u64,
        /// Whether a log in mode `os` was opened and not closed since.
        open_os: bool,
        /// Partitions it names.
        partitions: usize,
        /// Topics whose files may not be gone yet.
        deleted_topics: usize,
    },
    /// A partition, as of the checkpoint.
    Partition {
        /// Topic id and index.
        partition: String,
        /// Its leader epoch.
        leader_epoch: i32,
        /// First offset that can be read.
        log_start: i64,
        /// Offset after the last batch in segments.
        next_offset: i64,
        /// Compaction compared records below it.
        cleaned_to: i64,
        /// Ranges of lost offsets, `[from, to)`.
        damage: Vec<(i64, i64)>,
        /// Those that readers pass over.
        skipped: Vec<(i64, i64)>,
        /// Producers that are remembered.
        producers: usize,
    },
    /// A segment of the partition before it.
    Segment {
        /// Its file.
        file: PathBuf,
        /// Where it begins.
        base_offset: i64,
        /// Offset after its last batch.
        next_offset: i64,
        /// Bytes of it that count.
        bytes: u64,
        /// Its greatest timestamp.
        max_timestamp: i64,
    },
    /// A batch, in the segment before it or in a WAL frame.
    Batch(Batch),
    /// A WAL slot.
    Slot {
        /// Its file.
        file: PathBuf,
        /// Its length.
        bytes: u64,
        /// The opening that wrote it.
        incarnation: u64,
        /// Sequence number of its first frame.
        first_sequence: u64,
    },
    /// A whole WAL frame that a start would replay.
    Frame {
        /// Its slot's file.
        file: PathBuf,
        /// Byte in the file.
        at: u64,
        /// Its number.
        sequence: u64,
        /// Frames up to this one were durable when it was written.
        synced_sequence: u64,
        /// Bytes of its body.
        bytes: usize,
    },
    /// Something in the frame before it that is no batch.
    Change {
        /// What it says.
        text: String,
    },
    /// Something that is not as it was written.
    Fault {
        /// The file.
        file: PathBuf,
        /// Byte in the file, or the number of a WAL frame.
        at: u64,
        /// What is wrong.
        text: String,
    },
}

/// A batch's header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Batch {
    /// Topic id and index.
    pub partition: String,
    /// Byte in its file; 0 in a WAL frame.
    pub at: u64,
    /// Its size.
    pub bytes: usize,
    /// Offset of its first record.
    pub base_offset: i64,
    /// Offset of its last record.
    pub last_offset: i64,
    /// Records in it.
    pub records: i32,
    /// Its greatest timestamp.
    pub max_timestamp: i64,
    /// -1 without one.
    pub producer_id: i64,
    /// -1 without one.
    pub producer_epoch: i16,
    /// -1 without one.
    pub base_sequence: i32,
    /// Raw attribute bits.
    pub attributes: i16,
}

/// What was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Partitions that the checkpoint names.
    pub partitions: u64,
    /// Segments.
    pub segments: u64,
    /// Batches in segments.
    pub batches: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// WAL frames that a start would replay.
    pub frames: u64,
    /// What is not as it was written.
    pub faults: u64,
}

/// Shows `see` everything in the log directory `dir`: the checkpoint, then each partition with its
/// segments and batches, then the WAL.
///
/// # Errors
/// When there is no log that this version can read, or the disk fails.
pub fn dump(dir: &Path, disk: &dyn Disk, see: &mut dyn FnMut(Item)) -> Result<Totals, OpenError> {
    let mut look = Look {
        dir,
        disk,
        see,
        totals: Totals::default(),
    };
    look.all()?;
    Ok(look.totals)
}

/// Shows `see` what in the log directory `dir` is not as it was written. Where a running log
/// changed it meanwhile it is looked at anew, so that what went on purpose is no fault.
///
/// # Errors
/// When there is no log that this version can read, or the disk fails.
pub fn verify(dir: &Path, disk: &dyn Disk, see: &mut dyn FnMut(Item)) -> Result<Totals, OpenError> {
    let mut rounds = 0;
    loop {
        rounds += 1;
        let before = read_checkpoint(disk, dir)?;
        let mut faults = Vec::new();
        let mut keep = |item| {
            if matches!(item, Item::Fault { .. }) {
                faults.push(item);
            }
        };
        let totals = dump(dir, disk, &mut keep)?;
        let is_still = read_checkpoint(disk, dir)? == before;
        if faults.is_empty() || is_still || rounds == ROUNDS_MAX {
            faults.into_iter().for_each(see);
            return Ok(totals);
        }
    }
}

struct Look<'a> {
    dir: &'a Path,
    disk: &'a dyn Disk,
    see: &'a mut dyn FnMut(Item),
    totals: Totals,
}

impl Look<'_> {
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
        let pairs = |damage: &[crate::api::Damage]| {
            let pair = |damage: &crate::api::Damage| (damage.from.0, damage.to.0);
            damage.iter().map(pair).collect()
        };
        let name = partition.tp.to_string();
        self.totals.partitions += 1;
        (self.see)(Item::Partition {
            partition: name.clone(),
            leader_epoch: partition.leader_epoch.0,
            log_start: partition.log_start.0,
            next_offset: partition.next_offset.0,
            cleaned_to: partition.cleaned_to.0,
            damage: pairs(&partition.damage),
            skipped: pairs(&partition.skipped),
            producers: partition.producers.len(),
        });
        let dir = self.dir.join("data").join(&name);
        let known = partition.damage.iter().chain(&partition.skipped);
        let mut order = Order {
            holes: Holes {
                log_start: partition.log_start,
                known: known.copied().collect(),
                given_up: Vec::new(),
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
        order: &mut Order,
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
                self.fault(path, 0, "the segment is missing".to_owned());
                return Ok(());
            }
            Err(source) => return Err(io_at(path, source)),
        };
        self.batches(name, meta, (path, &*file), order)
            .map_err(|source| io_at(path, source))
    }

    fn batches(
        &mut self,
        name: &str,
        meta: &SegmentMeta,
        (path, file): (&Path, &dyn DiskFile),
        order: &mut Order,
    ) -> io::Result<()> {
        let mut at = 0;
        let mut next = meta.base_offset;
        while at < meta.bytes {
            let mut head = [0; HEADER_BYTES];
            let filled = file.read_at(&mut head, at)?;
            let peek = head.get(..filled).and_then(Peek::of);
            let Some(peek) = peek.filter(|peek| at + peek.bytes <= meta.bytes) else {
                let text = "no batch stands here; what follows it is reached by the index only";
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
                Ok(_) | Err(_) => self.fault(path, at, "the batch's CRC is wrong".to_owned()),
            }
            let follows = order.holes.follows(meta, next, peek.base_offset);
            if !follows || peek.next_offset > meta.next_offset {
                let text = format!("offset {} does not follow {next}", peek.base_offset);
                self.fault(path, at, text);
            }
            next = peek.next_offset;
            at += peek.bytes;
            self.totals.batches += 1;
            self.totals.bytes += peek.bytes;
        }
        Ok(())
    }

    fn wal(&mut self, checkpoint: &Checkpoint) -> Result<(), OpenError> {
        let wal_dir = self.dir.join("wal");
        let found = find_slots(self.disk, &wal_dir, OpenMode::ReadOnly)?;
        for (id, slot) in &found.used {
            (self.see)(Item::Slot {
                file: id.path(&wal_dir),
                bytes: slot.bytes,
                incarnation: slot.header.incarnation.0,
                first_sequence: slot.header.first_seq.0,
            });
        }
        let slots: Vec<&Slot> = found.used.iter().map(|(_, slot)| slot).collect();
        let failed = |source| io_at(&wal_dir, source);
        let findings = find_frames(&slots, checkpoint.seq).map_err(failed)?;
        let plan = plan(&findings, checkpoint.seq);
        for frame in &plan.frames {
            let id = found.used.get(frame.slot).map(|(id, _)| *id);
            let file = id.map_or_else(|| wal_dir.clone(), |id| id.path(&wal_dir));
            self.totals.frames += 1;
            (self.see)(Item::Frame {
                file: file.clone(),
                at: frame.at,
                sequence: frame.header.seq.0,
                synced_sequence: frame.header.synced_seq.0,
                bytes: frame.header.body_bytes,
            });
            // A running log may have begun to use the slot again.
            let Ok(body) = read_body(&slots, frame) else {
                self.fault(
                    &file,
                    frame.at,
                    "the frame changed while it was read".to_owned(),
                );
                continue;
            };
            match decode_entries(&body) {
                Some(entries) => entries.iter().for_each(|entry| self.entry(entry)),
                None => self.fault(&file, frame.at, "the frame makes no sense".to_owned()),
            }
        }
        for (from, to) in &plan.damaged {
            let last = FrameSeq(to.0.saturating_sub(1));
            let text = format!("WAL frames {} to {} are lost", from.0, last.0);
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
                format!("{name}: no batch")
            }
            Entry::LogStart { target, offset } => format!("{target}: log start {offset}"),
            Entry::TopicDeleted { topic } => format!("{topic}: deleted"),
            Entry::DamageSkipped { target, damage } => {
                format!("{target}: {} to {} skipped", damage.from, damage.to)
            }
        };
        (self.see)(Item::Change { text });
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

/// What no CRC covers is held against its neighbours.
struct Order {
    holes: Holes,
    /// That of the partition.
    newest_epoch: LeaderEpoch,
    /// That of the batch before.
    epoch: LeaderEpoch,
}

impl Order {
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
                damage,
                ..
            } => {
                write!(f, "{partition}: offsets {log_start} to {next_offset}, ")?;
                write!(f, "leader epoch {leader_epoch}")?;
                damage
                    .iter()
                    .try_for_each(|(from, to)| write!(f, ", {from} to {to} are lost"))
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
            Self::Slot {
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
