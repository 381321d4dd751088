//! Encoding of the checkpoint: the contents of the segments, and the first WAL frame to replay.
//!
//! The encoding is pure, as specified in docs/log-format.md; [`store`] writes the file.

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use avouch_protocol::batch::{Crc32c, crc32c};
use avouch_protocol::types::{
    LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs, TopicId, TopicPartition,
};
use bytes::BufMut;

use crate::api::CorruptRange;
use crate::codec::Reader;
use crate::disk::{Disk, OpenMode};
use crate::failpoints::{self, Bug};
use crate::partition::producer_state::{BATCHES_KEPT, Producer, SentBatch};
use crate::partition::tags::{TAGS_MAX, TagSet};
use crate::segment::{Generation, SegmentMeta};
use crate::storage::StorageError;
use crate::wal::frame::{FrameSeq, Incarnation};

/// Version of the checkpoint, which is not that of the WAL.
pub(crate) const CHECKPOINT_FORMAT: u32 = 3;
/// The first version whose CRC covers the header too. Later versions must keep its position and
/// range, so that a corrupt version number is not mistaken for a newer version.
const HEADER_CHECKED_SINCE: u32 = 3;
const MAGIC: [u8; 8] = *b"AVOUCHCP";
const HEADER_BYTES: usize = 20;
const CRC_AT: usize = 16;
const FLAG_OPEN_OS: u8 = 1;
const FLAG_WAL_STARTED: u8 = 2;
const TAGS_ANY: u32 = 65536;
/// The version without the fields of compaction, producer expiration and skipped ranges.
const FIRST_FORMAT: u32 = 1;

/// Contents of the checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// Whether the log was opened in mode `os` and not closed since.
    pub(crate) open_os: bool,
    /// Whether a WAL file of this incarnation, or a later one, exists.
    pub(crate) wal_started: bool,
    /// Frames up to this one are in segments.
    pub(crate) seq: FrameSeq,
    pub(crate) incarnation: Incarnation,
    /// Leader epoch of new partitions.
    pub(crate) epoch_floor: LeaderEpoch,
    /// Deleted topics whose files may still exist.
    pub(crate) deleted: Vec<TopicId>,
    pub(crate) partitions: Vec<PartitionCheckpoint>,
}

/// State of a partition at its own next offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartitionCheckpoint {
    pub(crate) tp: TopicPartition,
    pub(crate) leader_epoch: LeaderEpoch,
    pub(crate) log_start: Offset,
    pub(crate) next_offset: Offset,
    pub(crate) corrupt_ranges: Vec<CorruptRange>,
    pub(crate) skipped: Vec<CorruptRange>,
    pub(crate) cleaned_to: Offset,
    pub(crate) segments: Vec<SegmentMeta>,
    pub(crate) producers: Vec<(ProducerId, Producer)>,
}

/// Writes a checkpoint into the log directory `dir`, durably and atomically.
///
/// # Errors
/// After `Full` the old checkpoint remains.
pub(crate) fn store(
    disk: &dyn Disk,
    dir: &Path,
    checkpoint: &Checkpoint,
) -> Result<(), StorageError> {
    let (temporary, path) = (dir.join("checkpoint.tmp"), dir.join("checkpoint"));
    let fill = || {
        let file = disk.open(&temporary, OpenMode::Truncate)?;
        file.write_at(&checkpoint.encode(), 0)?;
        io::Result::Ok(file)
    };
    let file = fill().map_err(|error| StorageError::of(&temporary, &error))?;
    let settle = || {
        if failpoints::is_on(Bug::CheckpointNotSynced) {
            return disk.rename(&temporary, &path);
        }
        // The contents must be durable before the name refers to them.
        file.sync_data()?;
        disk.rename(&temporary, &path)?;
        disk.sync_dir(dir)
    };
    settle().map_err(|error| StorageError::failed(&path, &error))
}

/// Errors of decoding a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadCheckpoint {
    Newer { format: u32 },
    Corrupt { at: usize },
}

impl Checkpoint {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        let flags = [
            (self.open_os, FLAG_OPEN_OS),
            (self.wal_started, FLAG_WAL_STARTED),
        ];
        let flags = flags.iter().filter(|(is_set, _)| *is_set);
        body.put_u8(flags.map(|(_, flag)| flag).sum());
        body.put_u64(self.seq.0);
        body.put_u64(self.incarnation.0);
        body.put_i32(self.epoch_floor.0);
        put_count(&mut body, self.deleted.len());
        for topic in &self.deleted {
            body.put_slice(topic.0.as_bytes());
        }
        put_count(&mut body, self.partitions.len());
        for partition in &self.partitions {
            partition.encode(&mut body);
        }
        let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
        bytes.put_slice(&MAGIC);
        bytes.put_u32(CHECKPOINT_FORMAT);
        put_count(&mut bytes, body.len());
        bytes.put_u32(crc_of(&bytes, &body));
        bytes.put_slice(&body);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadCheckpoint> {
        let mut reader = Reader::new(bytes);
        let header = |reader: &mut Reader<'_>| {
            let magic = reader.take::<8>()?;
            let format = reader.u32()?;
            let body_bytes = usize::try_from(reader.u32()?).ok()?;
            (magic == MAGIC).then_some((format, body_bytes, reader.u32()?))
        };
        let (format, body_bytes, crc) =
            header(&mut reader).ok_or(BadCheckpoint::Corrupt { at: 0 })?;
        let body = bytes.get(HEADER_BYTES..).unwrap_or_default();
        // The length is compared first, so a truncated file is not read past its end.
        let expected = match format {
            HEADER_CHECKED_SINCE.. => crc_of(bytes.get(..CRC_AT).unwrap_or_default(), body),
            _ => crc32c(body),
        };
        if format == 0 || body.len() != body_bytes || expected != crc {
            return Err(BadCheckpoint::Corrupt { at: HEADER_BYTES });
        }
        if format > CHECKPOINT_FORMAT {
            return Err(BadCheckpoint::Newer { format });
        }
        // Trailing bytes mean a writer error, although the CRC matches.
        let parsed = Self::decode_body(&mut reader, format).filter(|_| reader.left() == 0);
        parsed.ok_or(BadCheckpoint::Corrupt { at: reader.at() })
    }

    fn decode_body(reader: &mut Reader<'_>, format: u32) -> Option<Self> {
        let partition = |reader: &mut Reader<'_>| PartitionCheckpoint::decode(reader, format);
        let flags = reader.u8()?;
        Some(Self {
            open_os: flags & FLAG_OPEN_OS != 0,
            wal_started: flags & FLAG_WAL_STARTED != 0,
            seq: FrameSeq(reader.u64()?),
            incarnation: Incarnation(reader.u64()?),
            epoch_floor: LeaderEpoch(reader.i32()?),
            deleted: list(reader, 16, |reader| reader.topic())?,
            partitions: list(reader, 52, partition)?,
        })
    }
}

fn crc_of(header: &[u8], body: &[u8]) -> u32 {
    let mut sum = Crc32c::default();
    sum.update(header);
    sum.update(body);
    sum.sum()
}

impl PartitionCheckpoint {
    fn encode(&self, into: &mut Vec<u8>) {
        into.put_slice(self.tp.topic.0.as_bytes());
        into.put_i32(self.tp.partition.0);
        into.put_i32(self.leader_epoch.0);
        into.put_i64(self.log_start.0);
        into.put_i64(self.next_offset.0);
        encode_ranges(&self.corrupt_ranges, into);
        encode_ranges(&self.skipped, into);
        into.put_i64(self.cleaned_to.0);
        put_count(into, self.segments.len());
        for segment in &self.segments {
            encode_segment(segment, into);
        }
        put_count(into, self.producers.len());
        for (id, producer) in &self.producers {
            encode_producer(*id, producer, into);
        }
    }

    fn decode(reader: &mut Reader<'_>, format: u32) -> Option<Self> {
        let is_first = format == FIRST_FORMAT;
        Some(Self {
            tp: reader.topic_partition()?,
            leader_epoch: LeaderEpoch(reader.i32()?),
            log_start: reader.offset()?,
            next_offset: reader.offset()?,
            corrupt_ranges: list(reader, 16, decode_range)?,
            skipped: if is_first {
                Vec::new()
            } else {
                list(reader, 16, decode_range)?
            },
            cleaned_to: if is_first {
                Offset(0)
            } else {
                reader.offset()?
            },
            segments: list(reader, 44, |reader| decode_segment(reader, format))?,
            producers: list(reader, 11, |reader| decode_producer(reader, is_first))?,
        })
    }
}

fn encode_ranges(ranges: &[CorruptRange], into: &mut Vec<u8>) {
    put_count(into, ranges.len());
    for range in ranges {
        into.put_i64(range.from.0);
        into.put_i64(range.to.0);
    }
}

fn decode_range(reader: &mut Reader<'_>) -> Option<CorruptRange> {
    Some(CorruptRange {
        from: reader.offset()?,
        to: reader.offset()?,
    })
}

fn encode_segment(segment: &SegmentMeta, into: &mut Vec<u8>) {
    into.put_i64(segment.base_offset.0);
    into.put_i64(segment.next_offset.0);
    into.put_u64(segment.bytes);
    into.put_i64(segment.max_timestamp.0);
    into.put_i64(segment.max_timestamp_at.0);
    into.put_u32(segment.generation.0);
    into.put_i64(segment.first_timestamp.0);
    into.put_i64(segment.delete_horizon.map_or(-1, |horizon| horizon.0));
    into.put_u32(segment.header_bytes);
    match &segment.tags {
        TagSet::Any => into.put_u32(TAGS_ANY),
        TagSet::Few(tags) => {
            put_count(into, tags.len());
            tags.iter().for_each(|tag| into.put_u32(*tag));
        }
    }
}

fn decode_segment(reader: &mut Reader<'_>, format: u32) -> Option<SegmentMeta> {
    let base_offset = reader.offset()?;
    let next_offset = reader.offset()?;
    let bytes = reader.u64()?;
    let max_timestamp = TimestampMs(reader.i64()?);
    let max_timestamp_at = reader.offset()?;
    let (generation, first_timestamp, delete_horizon) = if format == FIRST_FORMAT {
        (Generation(0), max_timestamp, None)
    } else {
        let generation = Generation(reader.u32()?);
        let first_timestamp = TimestampMs(reader.i64()?);
        let horizon = Some(TimestampMs(reader.i64()?)).filter(|horizon| horizon.0 >= 0);
        (generation, first_timestamp, horizon)
    };
    let header_bytes = match format {
        HEADER_CHECKED_SINCE.. => reader.u32()?,
        _ => 0,
    };
    Some(SegmentMeta {
        base_offset,
        generation,
        next_offset,
        bytes,
        header_bytes,
        first_timestamp,
        max_timestamp,
        max_timestamp_at,
        delete_horizon,
        tags: match reader.u32()? {
            TAGS_ANY => TagSet::Any,
            count => {
                let count = usize::try_from(count)
                    .ok()
                    .filter(|count| *count <= TAGS_MAX)?;
                TagSet::Few((0..count).map(|_| reader.u32()).collect::<Option<_>>()?)
            }
        },
    })
}

fn encode_producer(id: ProducerId, producer: &Producer, into: &mut Vec<u8>) {
    into.put_i64(id.0);
    into.put_i16(producer.epoch.0);
    into.put_i64(producer.idle_since.map_or(-1, |since| since.0));
    into.put_u8(u8::try_from(producer.batches.len()).expect("five batches at most are kept"));
    for batch in &producer.batches {
        into.put_i32(batch.base_sequence.0);
        into.put_i32(batch.last_sequence.0);
        into.put_i64(batch.base_offset.0);
    }
}

fn decode_producer(reader: &mut Reader<'_>, is_first: bool) -> Option<(ProducerId, Producer)> {
    let id = ProducerId(reader.i64()?);
    let epoch = ProducerEpoch(reader.i16()?);
    let idle_since = if is_first {
        None
    } else {
        Some(TimestampMs(reader.i64()?)).filter(|since| since.0 >= 0)
    };
    let count = usize::from(reader.u8()?);
    let batch = |_| {
        Some(SentBatch {
            base_sequence: Sequence(reader.i32()?),
            last_sequence: Sequence(reader.i32()?),
            base_offset: reader.offset()?,
        })
    };
    let batches = (0..count).map(batch).collect::<Option<VecDeque<_>>>()?;
    let producer = Producer {
        epoch,
        batches,
        idle_since,
        last_used: FrameSeq(0),
    };
    (count <= BATCHES_KEPT).then_some((id, producer))
}

fn put_count(into: &mut Vec<u8>, count: usize) {
    into.put_u32(u32::try_from(count).expect("counts of what is in memory are below 2^32"));
}

fn list<T>(
    reader: &mut Reader<'_>,
    item_bytes: usize,
    mut item: impl FnMut(&mut Reader<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let count = reader.count(item_bytes)?;
    (0..count).map(|_| item(reader)).collect()
}

#[cfg(test)]
mod tests {
    use avouch_protocol::types::PartitionIndex;

    use super::*;
    use uuid::Uuid;

    fn full() -> Checkpoint {
        let topic = TopicId(Uuid::from_u128(7));
        let mut segment = SegmentMeta::new(Offset(40));
        segment.next_offset = Offset(90);
        segment.bytes = 4711;
        segment.generation = Generation(3);
        segment.delete_horizon = Some(TimestampMs(77));
        segment.tags.insert(3);
        let mut any = SegmentMeta::new(Offset(90));
        any.tags = TagSet::Any;
        let batch = SentBatch {
            base_sequence: Sequence(1),
            last_sequence: Sequence(2),
            base_offset: Offset(88),
        };
        let producer = Producer {
            epoch: ProducerEpoch(2),
            batches: VecDeque::from([batch; 5]),
            idle_since: Some(TimestampMs(5)),
            last_used: FrameSeq(0),
        };
        Checkpoint {
            open_os: true,
            wal_started: true,
            seq: FrameSeq(12),
            incarnation: Incarnation(3),
            epoch_floor: LeaderEpoch(1),
            deleted: vec![topic],
            partitions: vec![PartitionCheckpoint {
                tp: TopicPartition {
                    topic,
                    partition: PartitionIndex(1),
                },
                leader_epoch: LeaderEpoch(4),
                log_start: Offset(41),
                next_offset: Offset(90),
                corrupt_ranges: vec![CorruptRange {
                    from: Offset(50),
                    to: Offset(60),
                }],
                skipped: vec![CorruptRange {
                    from: Offset(70),
                    to: Offset(71),
                }],
                cleaned_to: Offset(45),
                segments: vec![segment, any],
                producers: vec![(ProducerId(9), producer)],
            }],
        }
    }

    #[test]
    fn checkpoint_round_trips() {
        for checkpoint in [full(), Checkpoint::default()] {
            assert_eq!(Checkpoint::decode(&checkpoint.encode()), Ok(checkpoint));
        }
    }

    #[test]
    fn bit_flips_and_truncation_are_detected() {
        let bytes = full().encode();
        for at in 0..bytes.len() {
            assert!(Checkpoint::decode(&bytes[..at]).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1 << bit;
                assert!(
                    Checkpoint::decode(&bytes).is_err(),
                    "bit {bit} of byte {at}"
                );
            }
        }
    }

    #[test]
    fn newer_format_is_reported() {
        let mut bytes = full().encode();
        bytes[11] = 4;
        let crc = crc_of(&bytes[..CRC_AT], &bytes[HEADER_BYTES..]);
        bytes[CRC_AT..HEADER_BYTES].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(
            Checkpoint::decode(&bytes),
            Err(BadCheckpoint::Newer { format: 4 })
        );
    }
}
