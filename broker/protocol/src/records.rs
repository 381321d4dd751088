//! Iteration over the records of a batch, without allocation or copy.
//!
//! Invariant: an iteration that ends without an error has returned exactly as many records as the
//! header counts, and they fill the section exactly. The section is the part after the header,
//! decompressed.
//!
//! ```text
//! length varint | attributes i8 | timestamp delta varlong | offset delta varint
//! key length varint, key | value length varint, value        (length -1 is null)
//! header count varint, per header: key length varint, key, value length varint, value
//! ```
//! Source: KIP-98, Kafka's `DefaultRecord`.

use thiserror::Error;

use super::batch::BatchHeader;
use super::section::Section;
use super::varint::{self, VarintFault};
use crate::types::TimestampMs;

/// Maximum number of headers in one record.
pub const MAX_HEADERS: i32 = 1000;

/// A record, as slices of its section.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Index of the record in its batch, from 0.
    pub index: i32,
    /// Position of the record in the section.
    pub position: usize,
    /// Size of the record without its length prefix, in bytes.
    pub body_bytes: usize,
    /// Offset minus the batch's base offset.
    pub offset_delta: i32,
    /// Timestamp minus the batch's base timestamp, in ms.
    pub timestamp_delta: i64,
    /// Key, `None` for null.
    pub key: Option<&'a [u8]>,
    /// Value, `None` for null (a tombstone).
    pub value: Option<&'a [u8]>,
    /// Headers in order, repeated keys included.
    pub headers: Headers<'a>,
}

/// A record's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// The key, UTF-8 by convention. Not checked.
    pub key: &'a [u8],
    /// The value, `None` for null.
    pub value: Option<&'a [u8]>,
}

/// A record's headers, in order.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a> {
    bytes: &'a [u8],
    left: i32,
}

/// An invalid record section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("record {index}, byte {at}: {fault}")]
pub struct RecordError {
    /// Index of the record, from 0.
    pub index: i32,
    /// Position in the section.
    pub at: usize,
    /// The kind of error.
    pub fault: RecordFault,
}

/// A kind of invalid record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RecordFault {
    /// The section or the record ends inside a value.
    #[error("truncated")]
    Truncated,
    /// A variable-length integer has more bits than its type.
    #[error("variable-length integer is too long")]
    BadVarint,
    /// A length below -1, or null in a field that is never null.
    #[error("length {0} is invalid")]
    BadLength(i32),
    /// A count of headers below 0 or above [`MAX_HEADERS`].
    #[error("header count {0} is invalid; expected 0 to {MAX_HEADERS}")]
    BadHeaderCount(i32),
    /// The record is longer than its fields.
    #[error("{0} unexpected bytes at the end of the record")]
    LongRecord(usize),
    /// The section continues after the last record.
    #[error("{0} unexpected bytes after the last record")]
    LongSection(usize),
    /// The offset delta of a client's record is not its index.
    #[error("offset delta {0} differs from the record's index")]
    BadOffsetDelta(i32),
}

/// A batch that a client must not send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ClientBatchError {
    /// More than one batch, or other bytes after the batch.
    #[error("{0} bytes after the batch; expected one batch for each partition")]
    MoreThanOneBatch(usize),
    /// A base offset, which only the broker sets.
    #[error("base offset is {0}; expected 0")]
    BaseOffset(i64),
    /// No records, or a record count that differs from the offsets.
    #[error("record count {record_count} does not match last offset delta {last_offset_delta}")]
    BadCount {
        /// Number of records in the header.
        record_count: i32,
        /// Last offset delta in the header.
        last_offset_delta: i32,
    },
    /// A control batch, which only the broker writes.
    #[error("a client must not write control batches")]
    Control,
    /// An append time, which only the broker sets.
    #[error("a client must not set the append time")]
    AppendTime,
    /// A producer id without a sequence.
    #[error("producer id without a sequence")]
    NoSequence,
    /// An invalid record.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Checks the header of a batch from a client. `sent_bytes` is the size of all bytes that the
/// client sent for the partition.
///
/// # Errors
/// The first rule of Kafka 4's `LogValidator` that the header violates.
pub fn verify_client_header(
    header: &BatchHeader,
    sent_bytes: usize,
) -> Result<(), ClientBatchError> {
    let (record_count, last_offset_delta) = (header.record_count, header.last_offset_delta);
    if sent_bytes > header.size_bytes {
        return Err(ClientBatchError::MoreThanOneBatch(
            sent_bytes - header.size_bytes,
        ));
    }
    if header.base_offset.0 != 0 {
        return Err(ClientBatchError::BaseOffset(header.base_offset.0));
    }
    // A client's batch is not compacted, so its offsets have no gaps.
    if record_count <= 0 || last_offset_delta != record_count - 1 {
        return Err(ClientBatchError::BadCount {
            record_count,
            last_offset_delta,
        });
    }
    if header.is_control() {
        return Err(ClientBatchError::Control);
    }
    if header.is_log_append_time() {
        return Err(ClientBatchError::AppendTime);
    }
    if header.has_producer() && header.base_sequence.0 < 0 {
        return Err(ClientBatchError::NoSequence);
    }
    Ok(())
}

/// Checks header and records of a batch from a client, and returns the maximum timestamp of the
/// records. `section` is the decompressed part after the header; `sent_bytes` is as for
/// [`verify_client_header`].
///
/// # Errors
/// The first rule violated. The records must fill the section exactly and have the offset deltas 0,
/// 1, 2 and so on.
pub fn verify_client_batch(
    header: &BatchHeader,
    sent_bytes: usize,
    section: &[u8],
) -> Result<TimestampMs, ClientBatchError> {
    verify_client_header(header, sent_bytes)?;
    // Clients can send a wrong maximum in the header, so it is computed from the records.
    let mut max_delta = i64::MIN;
    for record in RecordIter::new(section, header.record_count) {
        let record = record?;
        if record.offset_delta != record.index {
            let fault = RecordFault::BadOffsetDelta(record.offset_delta);
            return Err(RecordError {
                index: record.index,
                at: record.position,
                fault,
            }
            .into());
        }
        max_delta = max_delta.max(record.timestamp_delta);
    }
    Ok(TimestampMs(
        header.base_timestamp.0.saturating_add(max_delta),
    ))
}

/// Iterates over the records of a section. Ends after the first error.
#[derive(Clone, Debug)]
pub struct RecordIter<'a> {
    rest: Cursor<'a>,
    index: i32,
    count: i32,
    ended: bool,
}

impl<'a> RecordIter<'a> {
    /// Returns an iterator over `section`, which must hold `record_count` records.
    #[must_use]
    pub fn new(section: impl Into<Section<'a>>, record_count: i32) -> Self {
        let rest = Cursor {
            bytes: section.into().bytes(),
            at: 0,
        };
        Self {
            rest,
            index: 0,
            count: record_count,
            ended: false,
        }
    }

    fn step(&mut self) -> Result<Option<Record<'a>>, Fault> {
        let position = self.rest.at;
        if self.index >= self.count {
            return match self.rest.bytes.len() {
                0 => Ok(None),
                left => Err((position, RecordFault::LongSection(left))),
            };
        }
        let mut fields = self.rest.sized()?;
        let body_bytes = fields.bytes.len();
        // The attributes of a record are unused.
        fields.take(1)?;
        let timestamp_delta = fields.varlong()?;
        let offset_delta = fields.varint()?;
        let key = fields.nullable()?;
        let value = fields.nullable()?;
        let headers = fields.headers()?;
        if !fields.bytes.is_empty() {
            return Err((fields.at, RecordFault::LongRecord(fields.bytes.len())));
        }
        let index = self.index;
        self.index += 1;
        let record = Record {
            index,
            position,
            body_bytes,
            offset_delta,
            timestamp_delta,
            key,
            value,
            headers,
        };
        Ok(Some(record))
    }
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<Record<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let index = self.index;
        let step = self
            .step()
            .map_err(|(at, fault)| RecordError { index, at, fault });
        // After an error the position of the next record is unknown.
        self.ended = !matches!(step, Ok(Some(_)));
        step.transpose()
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        if self.left <= 0 {
            return None;
        }
        self.left -= 1;
        let mut rest = Cursor {
            bytes: self.bytes,
            at: 0,
        };
        // `Cursor::headers` has decoded these bytes before, so this cannot fail.
        let header = rest.header().ok();
        self.bytes = rest.bytes;
        header
    }
}

/// The unread rest of a section or a record, and its position in the section.
#[derive(Clone, Debug)]
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// A position in the section, and the error there.
type Fault = (usize, RecordFault);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let Some((taken, rest)) = self.bytes.split_at_checked(count) else {
            return Err(self.fault(RecordFault::Truncated));
        };
        self.bytes = rest;
        self.at += count;
        Ok(taken)
    }

    // Called four times a record.
    #[inline]
    fn varint(&mut self) -> Result<i32, Fault> {
        self.integer(varint::read_i32(self.bytes))
    }

    fn varlong(&mut self) -> Result<i64, Fault> {
        self.integer(varint::read_i64(self.bytes))
    }

    fn integer<T>(&mut self, read: Result<(T, usize), VarintFault>) -> Result<T, Fault> {
        match read {
            Ok((value, length)) => {
                self.take(length)?;
                Ok(value)
            }
            Err(VarintFault::Truncated) => Err(self.fault(RecordFault::Truncated)),
            Err(VarintFault::TooLong) => Err(self.fault(RecordFault::BadVarint)),
        }
    }

    /// Reads bytes after their length, `None` for null.
    fn nullable(&mut self) -> Result<Option<&'a [u8]>, Fault> {
        let at = self.at;
        match self.varint()? {
            -1 => Ok(None),
            length => match usize::try_from(length) {
                Ok(length) => self.take(length).map(Some),
                Err(_) => Err((at, RecordFault::BadLength(length))),
            },
        }
    }

    /// Reads bytes after their length and returns them as a cursor.
    fn sized(&mut self) -> Result<Self, Fault> {
        let start = self.at;
        let Some(bytes) = self.nullable()? else {
            return Err((start, RecordFault::BadLength(-1)));
        };
        Ok(Self {
            bytes,
            at: self.at - bytes.len(),
        })
    }

    fn header(&mut self) -> Result<Header<'a>, Fault> {
        let key = self.sized()?.bytes;
        Ok(Header {
            key,
            value: self.nullable()?,
        })
    }

    /// Decodes the headers once, so that their iterator cannot fail.
    fn headers(&mut self) -> Result<Headers<'a>, Fault> {
        let at = self.at;
        let count = self.varint()?;
        if !(0..=MAX_HEADERS).contains(&count) {
            return Err((at, RecordFault::BadHeaderCount(count)));
        }
        // The count needs no check against the bytes: the loop ends at the first missing header.
        let bytes = self.bytes;
        for _ in 0..count {
            self.header()?;
        }
        Ok(Headers { bytes, left: count })
    }

    fn fault(&self, fault: RecordFault) -> Fault {
        (self.at, fault)
    }
}
