//! The header of a record batch of magic 2: 61 bytes, decoded and updated in place.
//!
//! ```text
//! 0 base offset i64 | 8 batch length i32 | 12 leader epoch i32 | 16 magic i8 | 17 crc u32
//! 21 attributes i16 | 23 last offset delta i32 | 27 base timestamp i64 | 35 max timestamp i64
//! 43 producer id i64 | 51 producer epoch i16 | 53 base sequence i32 | 57 record count i32
//! 61 records
//! ```
//! The batch length counts from byte 12. The CRC-32C covers byte 21 to the end, so base offset and
//! leader epoch can change without a new CRC. Source: KIP-98, Kafka's `DefaultRecordBatch`.

use thiserror::Error;

use crate::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};

/// Size of the header in bytes.
pub const HEADER_BYTES: usize = 61;
/// Number of bytes before the part that the batch length counts.
pub const LENGTH_PREFIX_BYTES: usize = 12;
const CRC_FROM: usize = 21;

/// A compression codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// No compression.
    None,
    /// Gzip (RFC 1952).
    Gzip,
    /// Snappy, raw or in xerial framing.
    Snappy,
    /// The LZ4 frame format.
    Lz4,
    /// Zstandard (RFC 8878).
    Zstd,
}

impl Codec {
    /// Returns the bits of the codec in a batch's attributes.
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

/// An invalid batch header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// Fewer bytes than a header, or than its length field declares.
    #[error("batch is truncated: {have} of {need} bytes")]
    Truncated {
        /// Size of the batch in bytes.
        need: u64,
        /// Bytes found.
        have: u64,
    },
    /// The length field is smaller than the rest of a header.
    #[error("batch length {0} is invalid; expected 49 or more")]
    BadLength(i32),
    /// Magic 0, 1 or above 2.
    #[error("batch magic {0} is not supported; expected 2")]
    UnsupportedMagic(i8),
    /// Codec bits 5 to 7.
    #[error("unknown codec {0}; expected 0 to 4")]
    UnknownCodec(u8),
}

/// A decoded batch header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record. Compaction can delete that record and keeps the offset.
    pub base_offset: Offset,
    /// Size of the batch in bytes, header included.
    pub size_bytes: usize,
    /// Leader epoch, set at append.
    pub leader_epoch: LeaderEpoch,
    /// The stored CRC-32C.
    pub crc: u32,
    /// The attribute bits.
    pub attributes: i16,
    /// Offset of the last record minus the base offset.
    pub last_offset_delta: i32,
    /// Timestamp to which the records' deltas are added.
    pub base_timestamp: TimestampMs,
    /// Maximum timestamp of the records, or the append time.
    pub max_timestamp: TimestampMs,
    /// Producer id, -1 for none.
    pub producer_id: ProducerId,
    /// Producer epoch, -1 for none.
    pub producer_epoch: ProducerEpoch,
    /// Sequence of the first record, -1 for none.
    pub base_sequence: Sequence,
    /// Number of records.
    pub record_count: i32,
}

impl BatchHeader {
    /// Parses the header at the start of `bytes`. Bytes after the batch are ignored.
    ///
    /// # Errors
    /// If the batch is truncated, or its magic or codec is not supported.
    pub fn parse(bytes: &[u8]) -> Result<Self, HeaderError> {
        let Some(head) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Err(HeaderError::Truncated {
                need: HEADER_BYTES as u64,
                have: bytes.len() as u64,
            });
        };
        // Magic 0 and 1 have another layout, so nothing else is read before this check.
        let magic = i8::from_be_bytes([head[16]]);
        if magic != 2 {
            return Err(HeaderError::UnsupportedMagic(magic));
        }
        let length = i32::from_be_bytes(field(head, 8));
        // A negative length becomes 0, which the next check rejects.
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

    /// Returns the codec of the records.
    ///
    /// # Errors
    /// [`HeaderError::UnknownCodec`] for codec bits 5 to 7; never after [`Self::parse`] succeeded.
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

    /// Returns true if the batch belongs to a transaction.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.attributes & 0x10 != 0
    }

    /// Returns true for a control batch (transaction markers).
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.attributes & 0x20 != 0
    }

    /// Returns true if `max_timestamp` is the broker's append time.
    #[must_use]
    pub fn is_log_append_time(&self) -> bool {
        self.attributes & 0x08 != 0
    }

    /// Returns true if an idempotent or transactional producer wrote the batch.
    #[must_use]
    pub fn has_producer(&self) -> bool {
        self.producer_id.0 >= 0
    }

    /// Returns the offset of the last record.
    #[must_use]
    pub fn last_offset(&self) -> Offset {
        self.base_offset.plus(i64::from(self.last_offset_delta))
    }

    /// Returns the offset after the last record.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        self.last_offset().plus(1)
    }

    /// Returns the sequence of the last record. It wraps from 2^31-1 to 0.
    #[must_use]
    pub fn last_sequence(&self) -> Sequence {
        // Clearing the sign bit after the overflow continues with 0, as in Kafka.
        Sequence(self.base_sequence.0.wrapping_add(self.last_offset_delta) & i32::MAX)
    }
}

/// Returns true if the stored CRC-32C is correct. `batch` must be exactly one batch.
#[must_use]
pub fn crc_matches(batch: &[u8]) -> bool {
    match (batch.first_chunk::<CRC_FROM>(), batch.get(CRC_FROM..)) {
        (Some(head), Some(covered)) => u32::from_be_bytes(field(head, 17)) == crc32c(covered),
        _ => false,
    }
}

/// Returns the CRC-32C (Castagnoli) of `bytes`.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    let sum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes);
    u32::try_from(sum).expect("a 32-bit CRC fits 32 bits")
}

/// An incremental CRC-32C.
#[derive(Clone, Debug)]
pub struct Crc32c(crc_fast::Digest);

impl Default for Crc32c {
    fn default() -> Self {
        Self(crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi))
    }
}

impl Crc32c {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Returns the CRC-32C of all bytes added.
    #[must_use]
    pub fn sum(&self) -> u32 {
        u32::try_from(self.0.finalize()).expect("a 32-bit CRC fits 32 bits")
    }
}

/// Sets the base offset and the leader epoch of a batch, which its CRC does not cover.
///
/// # Panics
/// If `batch` is shorter than a header.
pub fn stamp(batch: &mut [u8], base_offset: Offset, leader_epoch: LeaderEpoch) {
    batch[0..8].copy_from_slice(&base_offset.0.to_be_bytes());
    batch[12..16].copy_from_slice(&leader_epoch.0.to_be_bytes());
}

/// Sets `now` as the append time of a batch, and updates the CRC. `batch` must be exactly one
/// batch.
pub fn stamp_append_time(batch: &mut [u8], now: TimestampMs) {
    // With this bit, the maximum timestamp applies to every record; the deltas are ignored.
    batch[22] |= 0x08;
    stamp_max_timestamp(batch, now);
}

/// Sets the maximum timestamp of a batch and updates the CRC. `batch` must be exactly one batch.
pub fn stamp_max_timestamp(batch: &mut [u8], max_timestamp: TimestampMs) {
    batch[35..43].copy_from_slice(&max_timestamp.0.to_be_bytes());
    let crc = crc32c(&batch[CRC_FROM..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}

fn field<const N: usize, const HEAD: usize>(head: &[u8; HEAD], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&head[at..at + N]);
    bytes
}
