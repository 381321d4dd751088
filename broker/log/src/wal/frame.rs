//! Encoding of the write-ahead log: file headers, frames and their entries, as specified in
//! docs/log-format.md.
//!
//! Pure functions over bytes. A frame decodes only if its checksums match.

use avouch_protocol::batch::{Crc32c, crc32c, stamp, stamp_append_time};
use avouch_protocol::types::{
    LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicId, TopicPartition,
};
use bytes::{BufMut, Bytes, BytesMut};

use crate::api::CorruptRange;
use crate::codec::Reader;
use crate::disk::{SECTOR_BYTES, sector_buffer};
use crate::failpoints::{self, Bug};

/// Bytes of a WAL file before its first frame.
pub(crate) const WAL_HEADER_BYTES: usize = 512;
/// Bytes of a frame before its body.
pub(crate) const FRAME_HEADER_BYTES: usize = 52;
/// Bytes of a frame before its body in formats 1 and 2.
const UNSALTED_HEADER_BYTES: usize = 44;
/// Alignment of frames in all formats; frames of format 3 are aligned to sectors.
pub(crate) const FRAME_ALIGN: usize = 8;
/// Size of the entries from which a frame is built in a sector-aligned buffer and written without
/// a copy. Shorter frames are copied by the disk layer.
const WHOLE_SECTORS_FROM_BYTES: usize = 32 << 10;
/// First bytes of a frame.
pub(crate) const FRAME_MAGIC: [u8; 4] = *b"AVFR";
/// Maximum body of a frame.
pub(crate) const FRAME_BODY_BYTES_MAX: usize = 1 << 30;
/// Bytes of an entry before its body.
pub(crate) const ENTRY_HEADER_BYTES: usize = 32;
/// Format version of new files; earlier versions can be read.
pub(crate) const FORMAT_VERSION: u32 = 3;

const WAL_MAGIC: [u8; 8] = *b"AVOUCHWL";
// This CRC is at the same position in every version, so that old versions detect newer files.
const HEADER_CRC_AT: usize = 28;
const SALT_CRC_AT: usize = 40;
const SUCCESSOR_AT: usize = 44;
const SALTED_SINCE: u32 = 3;
const FRAME_TYPE_UNSALTED: u8 = 1;
const FRAME_TYPE_SALTED: u8 = 2;
const FRAME_CRC_BYTES: usize = 4;
const KIND_BATCH: u8 = 1;
const KIND_LOG_START: u8 = 2;
const KIND_TOPIC_DELETED: u8 = 3;
const KIND_RANGE_SKIPPED: u8 = 4;
const FLAG_COORDINATOR: u8 = 1;

/// Sequence number of a frame, from 1; increases over all files and starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FrameSeq(pub(crate) u64);

impl FrameSeq {
    pub(crate) fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Number of a start that opened the data directory for writing, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Incarnation(pub(crate) u64);

/// Random number generated at each start and contained in each of its frames. Recycled WAL files
/// contain old record data, which can be an image of a frame; only the salt distinguishes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Salt(pub(crate) u64);

/// One start that writes: its number and its salt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) incarnation: Incarnation,
    pub(crate) salt: Salt,
}

/// Header of a WAL file that was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WalFileHeader {
    pub(crate) incarnation: Incarnation,
    pub(crate) first_seq: FrameSeq,
    /// Salt of its frames; none in formats 1 and 2.
    pub(crate) salt: Option<Salt>,
    /// First sequence of the next file, written when that file is durable. If there is no such
    /// file later, it was removed.
    pub(crate) successor: Option<FrameSeq>,
}

/// Result of decoding the header of a WAL file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WalFileState {
    Used(WalFileHeader),
    /// The file was never started, or its header is incomplete: it holds no frames.
    Free,
    /// The file has this newer format version.
    Newer(u32),
}

impl WalFileHeader {
    pub(crate) fn encode(self) -> [u8; WAL_HEADER_BYTES] {
        let mut sector = [0; WAL_HEADER_BYTES];
        let mut at = &mut sector[..];
        at.put_slice(&WAL_MAGIC);
        at.put_u32(FORMAT_VERSION);
        at.put_u64(self.incarnation.0);
        at.put_u64(self.first_seq.0);
        let crc = crc32c(&sector[..HEADER_CRC_AT]);
        sector[HEADER_CRC_AT..HEADER_CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
        let salt = self.salt.map_or(0, |salt| salt.0);
        sector[HEADER_CRC_AT + 4..SALT_CRC_AT].copy_from_slice(&salt.to_be_bytes());
        let crc = crc32c(&sector[..SALT_CRC_AT]);
        sector[SALT_CRC_AT..SALT_CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
        if let Some(successor) = self.successor {
            let bytes = successor.0.to_be_bytes();
            sector[SUCCESSOR_AT..SUCCESSOR_AT + 8].copy_from_slice(&bytes);
            let crc = crc32c(&bytes).to_be_bytes();
            sector[SUCCESSOR_AT + 8..SUCCESSOR_AT + 12].copy_from_slice(&crc);
        }
        sector
    }

    pub(crate) fn decode(sector: &[u8]) -> WalFileState {
        let parse = || {
            let mut reader = Reader::new(sector);
            let magic = reader.take::<8>()?;
            let version = reader.u32()?;
            let incarnation = Incarnation(reader.u64()?);
            let first_seq = FrameSeq(reader.u64()?);
            let crc = reader.u32()?;
            let covered = sector.get(..HEADER_CRC_AT)?;
            if magic != WAL_MAGIC || crc != crc32c(covered) {
                return None;
            }
            if version > FORMAT_VERSION {
                return Some(WalFileState::Newer(version));
            }
            let (mut salt, mut successor) = (None, None);
            if version >= SALTED_SINCE {
                salt = Some(Salt(reader.u64()?));
                if reader.u32()? != crc32c(sector.get(..SALT_CRC_AT)?) {
                    return None;
                }
                successor = decode_successor(&mut reader);
            }
            Some(WalFileState::Used(Self {
                incarnation,
                first_seq,
                salt,
                successor,
            }))
        };
        parse().unwrap_or(WalFileState::Free)
    }
}

/// Returns the successor of a file; `None` if it has none yet, or in earlier versions.
fn decode_successor(reader: &mut Reader<'_>) -> Option<FrameSeq> {
    let bytes = reader.take::<8>()?;
    let is_right = reader.u32()? == crc32c(&bytes);
    let successor = u64::from_be_bytes(bytes);
    (is_right && successor > 0).then_some(FrameSeq(successor))
}

/// Header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) salt: Option<Salt>,
    pub(crate) incarnation: Incarnation,
    pub(crate) seq: FrameSeq,
    /// Frames up to this one were durable when this frame was written.
    pub(crate) synced_seq: FrameSeq,
    pub(crate) body_bytes: usize,
    pub(crate) body_crc: u32,
}

impl FrameHeader {
    /// Decodes the header at the start of `bytes`; returns `None` if it is invalid.
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

    /// Returns the bytes before the body.
    pub(crate) fn header_bytes(&self) -> usize {
        match self.salt {
            Some(_) => FRAME_HEADER_BYTES,
            None => UNSALTED_HEADER_BYTES,
        }
    }

    /// Returns the bytes of the frame with its padding; the next frame starts there or later.
    pub(crate) fn frame_bytes(&self) -> usize {
        (self.header_bytes() + self.body_bytes).next_multiple_of(FRAME_ALIGN)
    }

    /// Returns whether the frame belongs to the file with this header.
    pub(crate) fn is_of(&self, wal_file: &WalFileHeader) -> bool {
        let is_salted = self.salt == wal_file.salt || failpoints::is_on(Bug::SaltIgnored);
        is_salted && self.incarnation == wal_file.incarnation
    }

    /// Returns whether `body` has the length and CRC of the body that was written.
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

/// An entry of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A batch with its final offsets; shares the bytes of the frame's body.
    Batch {
        target: TopicPartition,
        tag: u32,
        from_coordinator: bool,
        batch: Bytes,
    },
    /// A new log start offset.
    LogStart {
        target: TopicPartition,
        offset: Offset,
    },
    /// The deletion of a topic.
    TopicDeleted { topic: TopicId },
    /// A corrupt range that reads skip.
    RangeSkipped {
        target: TopicPartition,
        range: CorruptRange,
    },
}

/// Decodes the entries of a frame's body; returns `None` if they are invalid although the CRC
/// of the body matches.
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
            KIND_RANGE_SKIPPED => Entry::RangeSkipped {
                target,
                range: CorruptRange {
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

/// Fields that the log writes into a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    pub(crate) base_offset: Offset,
    pub(crate) leader_epoch: LeaderEpoch,
    pub(crate) append_time: Option<TimestampMs>,
}

/// Builds one frame. Fetches of recent batches share its buffer.
#[derive(Debug)]
pub(crate) struct FrameBuilder {
    frame: BytesMut,
    /// CRC of the entries so far, updated while they are in the processor's cache.
    body_sum: Crc32c,
    /// The length of the frame becomes a multiple of this.
    align: usize,
}

impl FrameBuilder {
    /// Creates a builder with space for `bytes` of entries.
    pub(crate) fn new(bytes: usize) -> Self {
        // A short frame in a sector-aligned buffer would be mostly padding, which stays in memory
        // as long as the batches in it.
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

    /// Copies a batch, which has at least a complete header, into the frame and sets its offset,
    /// leader epoch and append time. Returns its range in the frame.
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

    pub(crate) fn range_skipped(&mut self, target: TopicPartition, range: CorruptRange) {
        let mut body = [0; 16];
        body[..8].copy_from_slice(&range.from.0.to_be_bytes());
        body[8..].copy_from_slice(&range.to.0.to_be_bytes());
        self.entry(KIND_RANGE_SKIPPED, 0, target, 0, &body);
    }

    /// Completes the frame with its header and zero padding.
    pub(crate) fn seal(mut self, session: Session, seq: FrameSeq, synced_seq: FrameSeq) -> Bytes {
        let body_bytes = self.frame.len() - FRAME_HEADER_BYTES;
        let body_crc = self.body_sum.sum();
        let Session { incarnation, salt } = session;
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

    /// Adds an entry without updating the CRC; returns its start.
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

    fn range() -> CorruptRange {
        CorruptRange {
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
        builder.range_skipped(target(), range());
        let session = Session {
            incarnation: Incarnation(1),
            salt: Salt(0x0123_4567_89ab_cdef),
        };
        builder.seal(session, FrameSeq(2), FrameSeq(1))
    }

    fn body(frame: &Bytes) -> Bytes {
        let header = FrameHeader::decode(frame).unwrap();
        frame.slice(FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + header.body_bytes)
    }

    #[test]
    fn frame_round_trips() {
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
            Entry::RangeSkipped {
                target: target(),
                range: range()
            }
        );
        assert_eq!(entries.len(), 4);
    }

    #[test]
    fn frame_bit_flips_and_truncation_are_detected() {
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
    fn truncated_entries_are_rejected() {
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
    fn wal_header_is_valid_free_or_newer() {
        let header = WalFileHeader {
            incarnation: Incarnation(3),
            first_seq: FrameSeq(9),
            salt: Some(Salt(7)),
            successor: Some(FrameSeq(12)),
        };
        let sector = header.encode();
        assert_eq!(WalFileHeader::decode(&sector), WalFileState::Used(header));
        assert_eq!(
            WalFileHeader::decode(&[0; WAL_HEADER_BYTES]),
            WalFileState::Free
        );
        assert_eq!(WalFileHeader::decode(&[]), WalFileState::Free);
        for at in 0..44 {
            let mut corrupt = sector;
            corrupt[at] ^= 1;
            assert_eq!(
                WalFileHeader::decode(&corrupt),
                WalFileState::Free,
                "byte {at}"
            );
        }
        let mut newer = sector;
        newer[11] = 4;
        let crc = crc32c(&newer[..HEADER_CRC_AT]);
        newer[HEADER_CRC_AT..HEADER_CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(WalFileHeader::decode(&newer), WalFileState::Newer(4));
    }
}
