//! The bytes of the write-ahead log: slot headers, frames and the entries in them, as
//! docs/log-format.md draws them.
//!
//! Pure: bytes in, values out. A frame decodes only if every byte of it is as it was written.
//! Knows no file and no order of frames.

use avouch_protocol::batch::{Crc32c, crc32c, stamp, stamp_append_time};
use avouch_protocol::types::{
    LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicId, TopicPartition,
};
use bytes::{BufMut, Bytes, BytesMut};

use crate::api::Damage;
use crate::codec::Reader;
use crate::disk::{SECTOR_BYTES, sector_buffer};
use crate::failpoints::{self, Bug};

/// Bytes of a slot before its first frame.
pub(crate) const SLOT_HEADER_BYTES: usize = 512;
/// Bytes of a frame before its body.
pub(crate) const FRAME_HEADER_BYTES: usize = 52;
/// The same in formats 1 and 2.
const UNSALTED_HEADER_BYTES: usize = 44;
/// Frames begin at multiples of this; those written now begin at sectors.
pub(crate) const FRAME_ALIGN: usize = 8;
/// A frame for this many bytes of entries is built where it is written from, in whole sectors;
/// shorter ones are few enough bytes for the disk to copy.
const WHOLE_SECTORS_FROM_BYTES: usize = 32 << 10;
/// First bytes of a frame.
pub(crate) const FRAME_MAGIC: [u8; 4] = *b"AVFR";
/// Largest body of a frame.
pub(crate) const FRAME_BODY_BYTES_MAX: usize = 1 << 30;
/// Bytes of an entry before its body.
pub(crate) const ENTRY_HEADER_BYTES: usize = 32;
/// The format version of all files; earlier ones are read.
pub(crate) const FORMAT_VERSION: u32 = 3;

const SLOT_MAGIC: [u8; 8] = *b"AVOUCHWL";
/// Of every format, so that each knows those after it.
const SLOT_CRC_AT: usize = 28;
const SALT_CRC_AT: usize = 40;
const SALTED_SINCE: u32 = 3;
const FRAME_TYPE_UNSALTED: u8 = 1;
const FRAME_TYPE_SALTED: u8 = 2;
const FRAME_CRC_BYTES: usize = 4;
const KIND_BATCH: u8 = 1;
const KIND_LOG_START: u8 = 2;
const KIND_TOPIC_DELETED: u8 = 3;
const KIND_DAMAGE_SKIPPED: u8 = 4;
const FLAG_COORDINATOR: u8 = 1;

/// Number of a frame over the life of the data directory, 1 and up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FrameSeq(pub(crate) u64);

impl FrameSeq {
    pub(crate) fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Number of an opening of the data directory, 1 and up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Incarnation(pub(crate) u64);

/// Drawn anew by each opening and in each of its frames: records that hold the image of a frame
/// lie in recycled slots, and without it nothing would tell that image from a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Salt(pub(crate) u64);

/// An opening of the data directory that writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Opening {
    pub(crate) incarnation: Incarnation,
    pub(crate) salt: Salt,
}

/// The head of a slot that is, or was, in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotHeader {
    pub(crate) incarnation: Incarnation,
    pub(crate) first_seq: FrameSeq,
    /// Of its frames; none in formats 1 and 2.
    pub(crate) salt: Option<Salt>,
}

/// What a slot's first bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SlotState {
    Used(SlotHeader),
    /// Never used, or its header never became whole: it holds nothing.
    Free,
    /// Written by a version with this newer format.
    Newer(u32),
}

impl SlotHeader {
    pub(crate) fn encode(self) -> [u8; SLOT_HEADER_BYTES] {
        let mut sector = [0; SLOT_HEADER_BYTES];
        let mut at = &mut sector[..];
        at.put_slice(&SLOT_MAGIC);
        at.put_u32(FORMAT_VERSION);
        at.put_u64(self.incarnation.0);
        at.put_u64(self.first_seq.0);
        let crc = crc32c(&sector[..SLOT_CRC_AT]);
        sector[SLOT_CRC_AT..SLOT_CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
        let salt = self.salt.map_or(0, |salt| salt.0);
        sector[SLOT_CRC_AT + 4..SALT_CRC_AT].copy_from_slice(&salt.to_be_bytes());
        let crc = crc32c(&sector[..SALT_CRC_AT]);
        sector[SALT_CRC_AT..SALT_CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
        sector
    }

    pub(crate) fn decode(sector: &[u8]) -> SlotState {
        let parse = || {
            let mut reader = Reader::new(sector);
            let magic = reader.take::<8>()?;
            let version = reader.u32()?;
            let incarnation = Incarnation(reader.u64()?);
            let first_seq = FrameSeq(reader.u64()?);
            let crc = reader.u32()?;
            let covered = sector.get(..SLOT_CRC_AT)?;
            if magic != SLOT_MAGIC || crc != crc32c(covered) {
                return None;
            }
            if version > FORMAT_VERSION {
                return Some(SlotState::Newer(version));
            }
            let mut salt = None;
            if version >= SALTED_SINCE {
                salt = Some(Salt(reader.u64()?));
                if reader.u32()? != crc32c(sector.get(..SALT_CRC_AT)?) {
                    return None;
                }
            }
            Some(SlotState::Used(Self {
                incarnation,
                first_seq,
                salt,
            }))
        };
        parse().unwrap_or(SlotState::Free)
    }
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) salt: Option<Salt>,
    pub(crate) incarnation: Incarnation,
    pub(crate) seq: FrameSeq,
    /// Frames up to this one were durable when this one was written.
    pub(crate) synced_seq: FrameSeq,
    pub(crate) body_bytes: usize,
    pub(crate) body_crc: u32,
}

impl FrameHeader {
    /// The header at the start of `bytes`, if it is whole.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let magic = reader.take::<4>()?;
        let [kind, ..] = reader.take::<4>()?;
        let salt = match kind {
            FRAME_TYPE_UNSALTED => None,
            FRAME_TYPE_SALTED => Some(Salt(reader.u64()?)),
            _ => return None,
        };
        let header = Self {
            salt,
            incarnation: Incarnation(reader.u64()?),
            seq: FrameSeq(reader.u64()?),
            synced_seq: FrameSeq(reader.u64()?),
            body_bytes: usize::try_from(reader.u32()?).ok()?,
            body_crc: reader.u32()?,
        };
        let covered = reader.at();
        let crc = reader.u32()?;
        let whole = magic == FRAME_MAGIC
            && header.body_bytes <= FRAME_BODY_BYTES_MAX
            && crc == crc32c(bytes.get(..covered)?);
        whole.then_some(header)
    }

    /// Bytes before its body.
    pub(crate) fn header_bytes(&self) -> usize {
        match self.salt {
            Some(_) => FRAME_HEADER_BYTES,
            None => UNSALTED_HEADER_BYTES,
        }
    }

    /// Bytes that it takes; the next one begins there at the earliest.
    pub(crate) fn frame_bytes(&self) -> usize {
        (self.header_bytes() + self.body_bytes).next_multiple_of(FRAME_ALIGN)
    }

    /// Whether it was written into the slot with this header.
    pub(crate) fn is_of(&self, slot: &SlotHeader) -> bool {
        let is_salted = self.salt == slot.salt || failpoints::is_on(Bug::SaltIgnored);
        is_salted && self.incarnation == slot.incarnation
    }

    /// Whether `body` is what was written.
    pub(crate) fn covers(&self, body: &[u8]) -> bool {
        let is_right = crc32c(body) == self.body_crc || failpoints::is_on(Bug::TornFrameAccepted);
        body.len() == self.body_bytes && is_right
    }

    fn encode(&self, salt: Salt, frame: &mut [u8]) {
        let body_bytes = u32::try_from(self.body_bytes).expect("bodies are below 1 GiB");
        let mut at = &mut frame[..FRAME_HEADER_BYTES];
        at.put_slice(&FRAME_MAGIC);
        at.put_slice(&[FRAME_TYPE_SALTED, 0, 0, 0]);
        at.put_u64(salt.0);
        at.put_u64(self.incarnation.0);
        at.put_u64(self.seq.0);
        at.put_u64(self.synced_seq.0);
        at.put_u32(body_bytes);
        at.put_u32(self.body_crc);
        let crc_at = FRAME_HEADER_BYTES - FRAME_CRC_BYTES;
        let crc = crc32c(&frame[..crc_at]);
        frame[crc_at..FRAME_HEADER_BYTES].copy_from_slice(&crc.to_be_bytes());
    }
}

/// One thing a frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A batch with its final offsets; a slice of the frame's body.
    Batch {
        target: TopicPartition,
        tag: u32,
        from_coordinator: bool,
        batch: Bytes,
    },
    /// A partition's log start offset was raised.
    LogStart {
        target: TopicPartition,
        offset: Offset,
    },
    /// A topic is gone.
    TopicDeleted { topic: TopicId },
    /// Readers pass over these lost offsets.
    DamageSkipped {
        target: TopicPartition,
        damage: Damage,
    },
}

/// The entries of a frame's body, `None` if they make no sense although the body's CRC is right.
pub(crate) fn decode_entries(body: &Bytes) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut at = 0;
    while at < body.len() {
        let mut reader = Reader::new(body.get(at..)?);
        let [kind, flags, ..] = reader.take::<4>()?;
        let entry_bytes = usize::try_from(reader.u32()?).ok()?;
        let target = reader.topic_partition()?;
        let tag = reader.u32()?;
        let content = at.checked_add(ENTRY_HEADER_BYTES)?;
        let end = at.checked_add(entry_bytes)?;
        if end < content || end > body.len() {
            return None;
        }
        entries.push(match kind {
            KIND_BATCH => Entry::Batch {
                target,
                tag,
                from_coordinator: flags & FLAG_COORDINATOR != 0,
                batch: body.slice(content..end),
            },
            KIND_LOG_START => Entry::LogStart {
                target,
                offset: reader.offset()?,
            },
            KIND_TOPIC_DELETED => Entry::TopicDeleted {
                topic: target.topic,
            },
            KIND_DAMAGE_SKIPPED => Entry::DamageSkipped {
                target,
                damage: Damage {
                    from: reader.offset()?,
                    to: reader.offset()?,
                },
            },
            _ => return None,
        });
        at = end;
    }
    Some(entries)
}

/// What a batch gets when it is copied into a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    pub(crate) base_offset: Offset,
    pub(crate) leader_epoch: LeaderEpoch,
    pub(crate) append_time: Option<TimestampMs>,
}

/// Fills one frame. The buffer it ends as is also what readers of the tail share.
#[derive(Debug)]
pub(crate) struct FrameBuilder {
    frame: BytesMut,
    /// Of the entries so far: each is summed while the processor's cache still holds it.
    body_sum: Crc32c,
    /// What its length will be a multiple of.
    align: usize,
}

impl FrameBuilder {
    /// A builder with room for `bytes` of entries.
    pub(crate) fn new(bytes: usize) -> Self {
        // A short one would be mostly padding, which readers of the tail would keep in memory.
        let (mut frame, align) = if bytes < WHOLE_SECTORS_FROM_BYTES {
            let room = FRAME_HEADER_BYTES + bytes + FRAME_ALIGN;
            (BytesMut::with_capacity(room), FRAME_ALIGN)
        } else {
            let room = FRAME_HEADER_BYTES + bytes + SECTOR_BYTES;
            (sector_buffer(room), SECTOR_BYTES)
        };
        frame.put_bytes(0, FRAME_HEADER_BYTES);
        Self {
            frame,
            body_sum: Crc32c::default(),
            align,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.frame.len() == FRAME_HEADER_BYTES
    }

    /// Copies a batch in and stamps it; returns where it stands in the frame. `batch` is at least
    /// a batch header.
    pub(crate) fn batch(
        &mut self,
        target: TopicPartition,
        tag: u32,
        from_coordinator: bool,
        batch: &[u8],
        with: Stamp,
    ) -> std::ops::Range<usize> {
        let flags = if from_coordinator {
            FLAG_COORDINATOR
        } else {
            0
        };
        let start = self.put_entry(KIND_BATCH, flags, target, tag, batch);
        let range = self.frame.len() - batch.len()..self.frame.len();
        let copy = &mut self.frame[range.clone()];
        if let Some(now) = with.append_time {
            stamp_append_time(copy, now);
        }
        stamp(copy, with.base_offset, with.leader_epoch);
        self.body_sum.update(&self.frame[start..]);
        range
    }

    pub(crate) fn log_start(&mut self, target: TopicPartition, offset: Offset) {
        self.entry(KIND_LOG_START, 0, target, 0, &offset.0.to_be_bytes());
    }

    pub(crate) fn topic_deleted(&mut self, topic: TopicId) {
        let target = TopicPartition {
            topic,
            partition: PartitionIndex(0),
        };
        self.entry(KIND_TOPIC_DELETED, 0, target, 0, &[]);
    }

    pub(crate) fn damage_skipped(&mut self, target: TopicPartition, damage: Damage) {
        let mut body = [0; 16];
        body[..8].copy_from_slice(&damage.from.0.to_be_bytes());
        body[8..].copy_from_slice(&damage.to.0.to_be_bytes());
        self.entry(KIND_DAMAGE_SKIPPED, 0, target, 0, &body);
    }

    /// The finished frame, padded with zeros to where another could begin.
    pub(crate) fn seal(mut self, opening: Opening, seq: FrameSeq, synced_seq: FrameSeq) -> Bytes {
        let body_bytes = self.frame.len() - FRAME_HEADER_BYTES;
        let body_crc = self.body_sum.sum();
        let Opening { incarnation, salt } = opening;
        let header = FrameHeader {
            salt: Some(salt),
            incarnation,
            seq,
            synced_seq,
            body_bytes,
            body_crc,
        };
        header.encode(salt, &mut self.frame);
        let padding = self.frame.len().next_multiple_of(self.align) - self.frame.len();
        self.frame.put_bytes(0, padding);
        self.frame.freeze()
    }

    fn entry(&mut self, kind: u8, flags: u8, target: TopicPartition, tag: u32, body: &[u8]) {
        let start = self.put_entry(kind, flags, target, tag, body);
        self.body_sum.update(&self.frame[start..]);
    }

    /// Puts an entry that is not summed yet; returns where it starts.
    fn put_entry(
        &mut self,
        kind: u8,
        flags: u8,
        target: TopicPartition,
        tag: u32,
        body: &[u8],
    ) -> usize {
        let start = self.frame.len();
        let entry_bytes = u32::try_from(ENTRY_HEADER_BYTES + body.len())
            .expect("a frame's body is below 1 GiB, so is each entry");
        self.frame.put_slice(&[kind, flags, 0, 0]);
        self.frame.put_u32(entry_bytes);
        self.frame.put_slice(target.topic.0.as_bytes());
        self.frame.put_i32(target.partition.0);
        self.frame.put_u32(tag);
        self.frame.put_slice(body);
        start
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn target() -> TopicPartition {
        TopicPartition {
            topic: TopicId(Uuid::from_u128(5)),
            partition: PartitionIndex(3),
        }
    }

    fn damage() -> Damage {
        Damage {
            from: Offset(61),
            to: Offset(63),
        }
    }

    fn frame() -> Bytes {
        let mut builder = FrameBuilder::new(300);
        let with = Stamp {
            base_offset: Offset(70),
            leader_epoch: LeaderEpoch(2),
            append_time: None,
        };
        let at = builder.batch(target(), 9, true, &[1; 61], with);
        assert_eq!(at, FRAME_HEADER_BYTES + ENTRY_HEADER_BYTES..145);
        builder.log_start(target(), Offset(60));
        builder.topic_deleted(target().topic);
        builder.damage_skipped(target(), damage());
        let opening = Opening {
            incarnation: Incarnation(1),
            salt: Salt(0x0123_4567_89ab_cdef),
        };
        builder.seal(opening, FrameSeq(2), FrameSeq(1))
    }

    fn body(frame: &Bytes) -> Bytes {
        let header = FrameHeader::decode(frame).unwrap();
        frame.slice(FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + header.body_bytes)
    }

    #[test]
    fn a_frame_reads_back_as_it_was_written() {
        let frame = frame();
        let header = FrameHeader::decode(&frame).unwrap();
        assert_eq!(header.incarnation, Incarnation(1));
        assert_eq!(header.salt, Some(Salt(0x0123_4567_89ab_cdef)));
        assert_eq!((header.seq, header.synced_seq), (FrameSeq(2), FrameSeq(1)));
        assert_eq!(header.frame_bytes(), frame.len());
        let entries = decode_entries(&body(&frame)).unwrap();
        let Entry::Batch {
            target: at,
            tag: 9,
            from_coordinator: true,
            batch,
        } = &entries[0]
        else {
            panic!("{entries:?}");
        };
        assert_eq!((*at, &batch[..8]), (target(), &70_i64.to_be_bytes()[..]));
        assert_eq!(
            entries[1],
            Entry::LogStart {
                target: target(),
                offset: Offset(60)
            }
        );
        assert_eq!(
            entries[2],
            Entry::TopicDeleted {
                topic: target().topic
            }
        );
        assert_eq!(
            entries[3],
            Entry::DamageSkipped {
                target: target(),
                damage: damage()
            }
        );
        assert_eq!(entries.len(), 4);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_of_a_frame_is_noticed() {
        let frame = frame();
        let is_whole = |bytes: &[u8]| {
            FrameHeader::decode(bytes).is_some_and(|header| {
                let end = FRAME_HEADER_BYTES + header.body_bytes;
                bytes
                    .get(FRAME_HEADER_BYTES..end)
                    .is_some_and(|body| header.covers(body))
            })
        };
        let end = FRAME_HEADER_BYTES + body(&frame).len();
        for at in 0..end {
            assert!(!is_whole(&frame[..at]), "cut at {at}");
            for bit in 0..8 {
                let mut bytes = frame.to_vec();
                bytes[at] ^= 1 << bit;
                assert!(!is_whole(&bytes), "bit {bit} of byte {at}");
            }
        }
        assert!(is_whole(&frame));
    }

    #[test]
    fn entries_that_make_no_sense_are_refused_wherever_they_are_cut() {
        let body = body(&frame());
        let ends = [0, 93, 133, 165, 213];
        for at in 0..=body.len() {
            assert_eq!(
                decode_entries(&body.slice(..at)).is_some(),
                ends.contains(&at),
                "{at}"
            );
        }
    }

    #[test]
    fn a_slot_header_is_whole_or_free_or_of_a_newer_format() {
        let header = SlotHeader {
            incarnation: Incarnation(3),
            first_seq: FrameSeq(9),
            salt: Some(Salt(7)),
        };
        let sector = header.encode();
        assert_eq!(SlotHeader::decode(&sector), SlotState::Used(header));
        assert_eq!(SlotHeader::decode(&[0; SLOT_HEADER_BYTES]), SlotState::Free);
        assert_eq!(SlotHeader::decode(&[]), SlotState::Free);
        for at in 0..44 {
            let mut damaged = sector;
            damaged[at] ^= 1;
            assert_eq!(SlotHeader::decode(&damaged), SlotState::Free, "byte {at}");
        }
        let mut newer = sector;
        newer[11] = 4;
        let crc = crc32c(&newer[..SLOT_CRC_AT]);
        newer[SLOT_CRC_AT..SLOT_CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(SlotHeader::decode(&newer), SlotState::Newer(4));
    }
}
