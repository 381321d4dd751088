//! The header of a record batch, magic 2: 61 bytes, read and stamped in place.
//!
//! ```text
//! 0 base offset i64 | 8 batch length i32 | 12 leader epoch i32 | 16 magic i8 | 17 crc u32
//! 21 attributes i16 | 23 last offset delta i32 | 27 base timestamp i64 | 35 max timestamp i64
//! 43 producer id i64 | 51 producer epoch i16 | 53 base sequence i32 | 57 record count i32
//! 61 records
//! ```
//! The batch length counts from byte 12. The CRC-32C covers byte 21 to the end, so base offset and
//! leader epoch are stamped without touching it. Source: KIP-98, Kafka's `DefaultRecordBatch`.
//! Knows nothing of the records behind the header; `records` does.

use thiserror::Error;

use crate::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};

/// Bytes of a batch before its records.
pub const HEADER_BYTES: usize = 61;
/// Bytes of a batch before the part that its length field counts.
pub const LENGTH_PREFIX_BYTES: usize = 12;
const CRC_FROM: usize = 21;

/// How a batch's records are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Records stand as they are.
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy, raw or in xerial's frames.
    Snappy,
    /// LZ4 frames.
    Lz4,
    /// Zstandard.
    Zstd,
}

impl Codec {
    /// Its bits in a batch's attributes.
    #[must_use]
    pub fn bits(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }
}

/// What is wrong with a batch's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// Fewer bytes than a header, or than its length field names.
    #[error("batch is truncated: {have} of {need} bytes")]
    Truncated {
        /// Bytes the batch should have.
        need: u64,
        /// Bytes there are.
        have: u64,
    },
    /// The length field is below the least a header needs.
    #[error("batch length {0} is impossible")]
    BadLength(i32),
    /// Magic 0, 1 or above 2.
    #[error("batch magic {0} is not supported")]
    UnsupportedMagic(i8),
    /// Codec bits 5 to 7.
    #[error("codec {0} is unknown")]
    UnknownCodec(u8),
}

/// A parsed header, by value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the batch's first record (of what was its first, once compacted).
    pub base_offset: Offset,
    /// Bytes of the whole batch, header included.
    pub size_bytes: usize,
    /// Leader epoch stamped at append.
    pub leader_epoch: LeaderEpoch,
    /// CRC-32C as written.
    pub crc: u32,
    /// Raw attribute bits.
    pub attributes: i16,
    /// Offset of the last record less the base offset.
    pub last_offset_delta: i32,
    /// Timestamp that the records' deltas count from.
    pub base_timestamp: TimestampMs,
    /// Greatest record timestamp, or the append time.
    pub max_timestamp: TimestampMs,
    /// Producer, -1 for none.
    pub producer_id: ProducerId,
    /// Its epoch, -1 for none.
    pub producer_epoch: ProducerEpoch,
    /// Sequence of the first record, -1 for none.
    pub base_sequence: Sequence,
    /// Records in the batch.
    pub record_count: i32,
}

impl BatchHeader {
    /// Parses the header at the start of `bytes`, which may go on behind the batch.
    ///
    /// # Errors
    /// When fewer bytes are there than the batch claims, or its magic or codec is not one we know.
    pub fn parse(bytes: &[u8]) -> Result<Self, HeaderError> {
        let Some(head) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Err(HeaderError::Truncated {
                need: HEADER_BYTES as u64,
                have: bytes.len() as u64,
            });
        };
        let magic = i8::from_be_bytes([head[16]]);
        if magic != 2 {
            return Err(HeaderError::UnsupportedMagic(magic));
        }
        let length = i32::from_be_bytes(field(head, 8));
        let size_bytes = usize::try_from(length).unwrap_or(0) + LENGTH_PREFIX_BYTES;
        if size_bytes < HEADER_BYTES {
            return Err(HeaderError::BadLength(length));
        }
        if bytes.len() < size_bytes {
            return Err(HeaderError::Truncated {
                need: size_bytes as u64,
                have: bytes.len() as u64,
            });
        }
        let header = Self {
            base_offset: Offset(i64::from_be_bytes(field(head, 0))),
            size_bytes,
            leader_epoch: LeaderEpoch(i32::from_be_bytes(field(head, 12))),
            crc: u32::from_be_bytes(field(head, 17)),
            attributes: i16::from_be_bytes(field(head, 21)),
            last_offset_delta: i32::from_be_bytes(field(head, 23)),
            base_timestamp: TimestampMs(i64::from_be_bytes(field(head, 27))),
            max_timestamp: TimestampMs(i64::from_be_bytes(field(head, 35))),
            producer_id: ProducerId(i64::from_be_bytes(field(head, 43))),
            producer_epoch: ProducerEpoch(i16::from_be_bytes(field(head, 51))),
            base_sequence: Sequence(i32::from_be_bytes(field(head, 53))),
            record_count: i32::from_be_bytes(field(head, 57)),
        };
        header.codec()?;
        Ok(header)
    }

    /// The compression of the records.
    ///
    /// # Errors
    /// [`HeaderError::UnknownCodec`] for codec bits 5 to 7; never after a successful parse.
    pub fn codec(&self) -> Result<Codec, HeaderError> {
        match self.attributes & 0x07 {
            0 => Ok(Codec::None),
            1 => Ok(Codec::Gzip),
            2 => Ok(Codec::Snappy),
            3 => Ok(Codec::Lz4),
            4 => Ok(Codec::Zstd),
            other => Err(HeaderError::UnknownCodec(other.to_be_bytes()[1])),
        }
    }

    /// Whether the batch belongs to a transaction.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.attributes & 0x10 != 0
    }

    /// Whether the batch is a control batch (transaction markers).
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.attributes & 0x20 != 0
    }

    /// Whether `max_timestamp` is the broker's append time.
    #[must_use]
    pub fn is_log_append_time(&self) -> bool {
        self.attributes & 0x08 != 0
    }

    /// Whether an idempotent or transactional producer wrote the batch.
    #[must_use]
    pub fn has_producer(&self) -> bool {
        self.producer_id.0 >= 0
    }

    /// Offset of the batch's last record.
    #[must_use]
    pub fn last_offset(&self) -> Offset {
        self.base_offset.plus(i64::from(self.last_offset_delta))
    }

    /// The offset after the batch.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        self.last_offset().plus(1)
    }

    /// Sequence of the last record; wraps from 2^31-1 to 0.
    #[must_use]
    pub fn last_sequence(&self) -> Sequence {
        Sequence(self.base_sequence.0.wrapping_add(self.last_offset_delta) & i32::MAX)
    }
}

/// Whether the CRC-32C in the header is that of the batch, which is exactly `batch`.
#[must_use]
pub fn crc_matches(batch: &[u8]) -> bool {
    match (batch.first_chunk::<CRC_FROM>(), batch.get(CRC_FROM..)) {
        (Some(head), Some(covered)) => u32::from_be_bytes(field(head, 17)) == crc32c(covered),
        _ => false,
    }
}

/// CRC-32C (Castagnoli) of `bytes`.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    let sum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes);
    u32::try_from(sum).expect("a 32-bit CRC fits 32 bits")
}

/// The CRC-32C of bytes that come one after the other.
#[derive(Clone, Debug)]
pub struct Crc32c(crc_fast::Digest);

/// Of no bytes.
impl Default for Crc32c {
    fn default() -> Self {
        Self(crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi))
    }
}

impl Crc32c {
    /// More bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Of all bytes so far.
    #[must_use]
    pub fn sum(&self) -> u32 {
        u32::try_from(self.0.finalize()).expect("a 32-bit CRC fits 32 bits")
    }
}

/// Writes offset and leader epoch into a batch; its CRC stays valid. `batch` is at least a header.
pub fn stamp(batch: &mut [u8], base_offset: Offset, leader_epoch: LeaderEpoch) {
    batch[0..8].copy_from_slice(&base_offset.0.to_be_bytes());
    batch[12..16].copy_from_slice(&leader_epoch.0.to_be_bytes());
}

/// Makes `now` the timestamp of every record of a batch and seals it with a new CRC. `batch` is
/// exactly one whole batch.
pub fn stamp_append_time(batch: &mut [u8], now: TimestampMs) {
    batch[22] |= 0x08;
    stamp_max_timestamp(batch, now);
}

/// Writes the greatest timestamp into a batch and seals it with a new CRC. `batch` is exactly one
/// whole batch.
pub fn stamp_max_timestamp(batch: &mut [u8], greatest: TimestampMs) {
    batch[35..43].copy_from_slice(&greatest.0.to_be_bytes());
    let crc = crc32c(&batch[CRC_FROM..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}

fn field<const N: usize, const HEAD: usize>(head: &[u8; HEAD], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&head[at..at + N]);
    bytes
}
