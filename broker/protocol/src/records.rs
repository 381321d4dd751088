//! The records of a batch, walked in place: no allocation, no copy.
//!
//! Invariant: an iteration that ends without an error has seen exactly the records that the header
//! counts, and they fill the section exactly. Knows nothing of compression: a section is what
//! stands behind the header once decompressed.
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

/// Headers of one record.
pub const MAX_HEADERS: i32 = 1000;

/// A record, as slices of its section.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Which record of the batch it is, from 0.
    pub index: i32,
    /// Byte of the section at which it starts.
    pub position: usize,
    /// Offset less the batch's base offset.
    pub offset_delta: i32,
    /// Timestamp in ms less the batch's base timestamp.
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
    /// Its key; clients write UTF-8, nobody checks.
    pub key: &'a [u8],
    /// Its value, `None` for null.
    pub value: Option<&'a [u8]>,
}

/// A record's headers, in order.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a> {
    bytes: &'a [u8],
    left: i32,
}

/// What is wrong with a section, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("record {index}, byte {at}: {fault}")]
pub struct RecordError {
    /// Which record, from 0.
    pub index: i32,
    /// Byte of the section.
    pub at: usize,
    /// What is wrong.
    pub fault: RecordFault,
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RecordFault {
    /// The section or the record ends inside a value.
    #[error("truncated")]
    Truncated,
    /// A variable-length integer has more bits than its type.
    #[error("variable-length integer is too long")]
    BadVarint,
    /// A length below -1, or null where there is none.
    #[error("length {0} is impossible")]
    BadLength(i32),
    /// A count of headers below 0 or above [`MAX_HEADERS`].
    #[error("{0} headers, {MAX_HEADERS} are possible")]
    BadHeaderCount(i32),
    /// The record's fields end before its length says.
    #[error("{0} bytes left over in the record")]
    LongRecord(usize),
    /// The last record ends before the section does.
    #[error("{0} bytes left over behind the last record")]
    LongSection(usize),
    /// A client's record does not have its index for offset delta.
    #[error("offset delta {0} is not the record's index")]
    BadOffsetDelta(i32),
}

/// What is wrong with a batch that a client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ClientBatchError {
    /// There is more than one batch, or something behind it.
    #[error("{0} bytes behind the batch, one batch a partition is allowed")]
    MoreThanOneBatch(usize),
    /// The base offset is the broker's to give.
    #[error("base offset {0} is not 0")]
    BaseOffset(i64),
    /// No record, or another number than the offsets span.
    #[error("{record_count} records and a last offset delta of {last_offset_delta}")]
    BadCount {
        /// Records, says the header.
        record_count: i32,
        /// Offset of the last less that of the first, says the header.
        last_offset_delta: i32,
    },
    /// Control batches are the broker's.
    #[error("a client must not write control batches")]
    Control,
    /// Append times are the broker's.
    #[error("a client must not set the append time")]
    AppendTime,
    /// A producer without a sequence.
    #[error("producer without a sequence")]
    NoSequence,
    /// A record is broken.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Checks what a header alone tells of a batch from a client; `sent_bytes` is how much the client
/// sent for the partition.
///
/// # Errors
/// The first rule of Kafka 4's `LogValidator` that the header breaks.
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

/// Checks header and records of a batch from a client, and returns the greatest timestamp of its
/// records, which the header may have wrong. `section` is what stands behind the header,
/// decompressed; `sent_bytes` as for [`verify_client_header`].
///
/// # Errors
/// The first rule broken; of the records, that they fill the section exactly and their offset
/// deltas are 0, 1, 2 and so on.
pub fn verify_client_batch(
    header: &BatchHeader,
    sent_bytes: usize,
    section: &[u8],
) -> Result<TimestampMs, ClientBatchError> {
    verify_client_header(header, sent_bytes)?;
    let mut greatest_delta = i64::MIN;
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
        greatest_delta = greatest_delta.max(record.timestamp_delta);
    }
    Ok(TimestampMs(
        header.base_timestamp.0.saturating_add(greatest_delta),
    ))
}

/// Walks a section. Ends after the first error.
#[derive(Clone, Debug)]
pub struct RecordIter<'a> {
    rest: Cursor<'a>,
    index: i32,
    count: i32,
    ended: bool,
}

impl<'a> RecordIter<'a> {
    /// A walk over `section`, which should hold `record_count` records.
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
                left => Err(Fault {
                    at: position,
                    fault: RecordFault::LongSection(left),
                }),
            };
        }
        let mut fields = self.rest.sized()?;
        fields.take(1)?;
        let timestamp_delta = fields.varlong()?;
        let offset_delta = fields.varint()?;
        let key = fields.nullable()?;
        let value = fields.nullable()?;
        let headers = fields.headers()?;
        if !fields.bytes.is_empty() {
            let fault = RecordFault::LongRecord(fields.bytes.len());
            return Err(Fault {
                at: fields.at,
                fault,
            });
        }
        let index = self.index;
        self.index += 1;
        let record = Record {
            index,
            position,
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
            .map_err(|Fault { at, fault }| RecordError { index, at, fault });
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
        // The record was walked when this was made, so the headers are whole.
        let header = rest.header().ok();
        self.bytes = rest.bytes;
        header
    }
}

/// What is left of a section or of a record, and where that starts in the section.
#[derive(Clone, Debug)]
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

struct Fault {
    at: usize,
    fault: RecordFault,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let Some((taken, rest)) = self.bytes.split_at_checked(count) else {
            return Err(self.fault(RecordFault::Truncated));
        };
        self.bytes = rest;
        self.at += count;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<i32, Fault> {
        let read = varint::read_i32(self.bytes);
        self.integer(read)
    }

    fn varlong(&mut self) -> Result<i64, Fault> {
        let read = varint::read_i64(self.bytes);
        self.integer(read)
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

    /// Bytes with their length before them, `None` for null.
    fn nullable(&mut self) -> Result<Option<&'a [u8]>, Fault> {
        let at = self.at;
        match self.varint()? {
            -1 => Ok(None),
            length => match usize::try_from(length) {
                Ok(length) => self.take(length).map(Some),
                Err(_) => Err(Fault {
                    at,
                    fault: RecordFault::BadLength(length),
                }),
            },
        }
    }

    /// A part with its length before it, as a cursor of its own.
    fn sized(&mut self) -> Result<Self, Fault> {
        let start = self.at;
        let Some(bytes) = self.nullable()? else {
            return Err(Fault {
                at: start,
                fault: RecordFault::BadLength(-1),
            });
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

    /// Walks the headers once, so that their iterator cannot fail.
    fn headers(&mut self) -> Result<Headers<'a>, Fault> {
        let at = self.at;
        let count = self.varint()?;
        if !(0..=MAX_HEADERS).contains(&count) {
            return Err(Fault {
                at,
                fault: RecordFault::BadHeaderCount(count),
            });
        }
        let bytes = self.bytes;
        for _ in 0..count {
            self.header()?;
        }
        Ok(Headers { bytes, left: count })
    }

    fn fault(&self, fault: RecordFault) -> Fault {
        Fault { at: self.at, fault }
    }
}
