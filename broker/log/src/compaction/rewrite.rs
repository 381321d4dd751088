//! Compaction of one batch: returns the same batch, another one, or none. Pure.
//!
//! Invariant: records keep offset, timestamp, key, value and headers; batches keep base offset,
//! last offset delta, leader epoch, producer and codec. Sources: KIP-98 for empty batches, KIP-534
//! for delete horizons, Kafka's `Cleaner` for the removed records.

use avouch_protocol::batch::{
    BatchHeader, Codec, HEADER_BYTES, HeaderError, LENGTH_PREFIX_BYTES, crc32c,
};
use avouch_protocol::compress::{DecompressError, Decompressor, Limits, compress};
use avouch_protocol::records::{Record, RecordError, RecordIter};
use avouch_protocol::types::TimestampMs;
use avouch_protocol::varint;
use bytes::Bytes;
use thiserror::Error;

use super::latest::Latest;

/// Attribute bit of a batch whose base timestamp is its delete horizon.
const DELETE_HORIZON_BIT: i16 = 0x40;
const CODEC_BITS: i16 = 0x07;
const NO_TIMESTAMP: TimestampMs = TimestampMs(-1);

/// Result of compacting a batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rewritten {
    Same,
    Other(Bytes),
    Gone,
}

/// Rules of compacting a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) latest: &'a Latest,
    pub(crate) now: TimestampMs,
    pub(crate) delete_retention_ms: i64,
    /// Whether the batch is kept as a header if no record remains.
    pub(crate) keep_empty: bool,
    pub(crate) limits: Limits,
}

/// Errors of batches with a correct CRC.
#[derive(Debug, Error)]
pub(crate) enum BadBatch {
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error(transparent)]
    Decompress(#[from] DecompressError),
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Returns the time after which a batch's tombstones can be removed, if it is set.
pub(crate) fn delete_horizon(header: &BatchHeader) -> Option<TimestampMs> {
    (header.attributes & DELETE_HORIZON_BIT != 0).then_some(header.base_timestamp)
}

/// Returns whether compaction changes a batch. Control and transactional batches are kept.
pub(crate) fn is_open(header: &BatchHeader) -> bool {
    !header.is_control() && !header.is_transactional()
}

/// Compacts `batch`, which is exactly one batch with a correct CRC.
pub(crate) fn rewrite(
    batch: &[u8],
    decompressor: &mut Decompressor,
    rules: Rules<'_>,
) -> Result<Rewritten, BadBatch> {
    let header = BatchHeader::parse(batch)?;
    if !is_open(&header) {
        return Ok(Rewritten::Same);
    }
    let compressed = batch.get(HEADER_BYTES..).unwrap_or_default();
    let section = decompressor.decompress(header.codec()?, compressed, rules.limits)?;
    let kept = keep(&header, section.bytes(), rules)?;
    if kept.records.is_empty() {
        let is_empty_already = header.record_count == 0;
        return Ok(match (rules.keep_empty, is_empty_already) {
            (false, _) => Rewritten::Gone,
            (true, true) => Rewritten::Same,
            (true, false) => Rewritten::Other(empty(batch, &header)),
        });
    }
    let settled = delete_horizon(&header);
    let horizon = match settled {
        // The horizon is set by the first compaction that sees the tombstone and never changes
        // (KIP-534).
        None if kept.has_tombstone => Some(TimestampMs(
            rules.now.0.saturating_add(rules.delete_retention_ms).max(0),
        )),
        settled => settled,
    };
    // Unchanged batches keep their bytes, so their CRC still protects what the producer sent.
    if kept.all && horizon == settled {
        return Ok(Rewritten::Same);
    }
    Ok(Rewritten::Other(build(batch, &header, &kept, horizon)))
}

struct Kept<'a> {
    records: Vec<Record<'a>>,
    all: bool,
    has_tombstone: bool,
}

fn keep<'a>(
    header: &BatchHeader,
    section: &'a [u8],
    rules: Rules<'_>,
) -> Result<Kept<'a>, RecordError> {
    let horizon = delete_horizon(header);
    let may_forget = horizon.is_some_and(|horizon| horizon <= rules.now);
    let mut kept = Kept {
        records: Vec::new(),
        all: true,
        has_tombstone: false,
    };
    for record in RecordIter::new(section, header.record_count) {
        let record = record?;
        let offset = header.base_offset.plus(i64::from(record.offset_delta));
        // Records after the compared part may be the newest of their key.
        let was_compared = offset < rules.latest.end();
        let is_tombstone = was_compared && record.value.is_none();
        let goes = match record.key {
            _ if !was_compared => false,
            // Compacted topics require keys, so a record without one precedes that setting. Kafka's
            // cleaner removes it too.
            None => true,
            Some(key) => rules.latest.is_superseded(key, offset) || (is_tombstone && may_forget),
        };
        if goes {
            kept.all = false;
        } else {
            kept.has_tombstone |= is_tombstone;
            kept.records.push(record);
        }
    }
    Ok(kept)
}

/// Builds the batch with the remaining records, relative to its delete horizon if it has one.
fn build(
    batch: &[u8],
    header: &BatchHeader,
    kept: &Kept<'_>,
    horizon: Option<TimestampMs>,
) -> Bytes {
    let base = horizon.unwrap_or(header.base_timestamp);
    let timestamp = |record: &Record<'_>| {
        header
            .base_timestamp
            .0
            .saturating_add(record.timestamp_delta)
    };
    let mut section = Vec::new();
    for record in &kept.records {
        put_record(
            &mut section,
            record,
            timestamp(record).saturating_sub(base.0),
        );
    }
    let newest = kept.records.iter().map(timestamp).max();
    let attributes = match horizon {
        Some(_) => header.attributes | DELETE_HORIZON_BIT,
        None => header.attributes,
    };
    let fields = Fields {
        attributes,
        base_timestamp: base,
        max_timestamp: match newest {
            Some(newest) if !header.is_log_append_time() => TimestampMs(newest),
            Some(_) | None => header.max_timestamp,
        },
        record_count: i32::try_from(kept.records.len()).unwrap_or(header.record_count),
    };
    let codec = header.codec().unwrap_or(Codec::None);
    seal(batch, fields, &compress(codec, &section))
}

/// Builds the batch without records, which preserves the state of its producer. It has no
/// timestamp, so that lookups by time skip it.
fn empty(batch: &[u8], header: &BatchHeader) -> Bytes {
    let fields = Fields {
        attributes: header.attributes & !(CODEC_BITS | DELETE_HORIZON_BIT),
        base_timestamp: NO_TIMESTAMP,
        max_timestamp: NO_TIMESTAMP,
        record_count: 0,
    };
    seal(batch, fields, &[])
}

/// Header fields that differ in a rewritten batch.
#[derive(Clone, Copy)]
struct Fields {
    attributes: i16,
    base_timestamp: TimestampMs,
    max_timestamp: TimestampMs,
    record_count: i32,
}

/// Builds a batch from the header of `batch`, with `fields` replaced, and `section`.
fn seal(batch: &[u8], fields: Fields, section: &[u8]) -> Bytes {
    let length = HEADER_BYTES - LENGTH_PREFIX_BYTES + section.len();
    let length = i32::try_from(length)
        .expect("a batch that was decompressed within its limit is below 2 GiB");
    let mut sealed = Vec::with_capacity(HEADER_BYTES + section.len());
    sealed.extend_from_slice(&batch[..HEADER_BYTES]);
    sealed.extend_from_slice(section);
    sealed[8..12].copy_from_slice(&length.to_be_bytes());
    sealed[21..23].copy_from_slice(&fields.attributes.to_be_bytes());
    sealed[27..35].copy_from_slice(&fields.base_timestamp.0.to_be_bytes());
    sealed[35..43].copy_from_slice(&fields.max_timestamp.0.to_be_bytes());
    sealed[57..61].copy_from_slice(&fields.record_count.to_be_bytes());
    let crc = crc32c(&sealed[21..]);
    sealed[17..21].copy_from_slice(&crc.to_be_bytes());
    sealed.into()
}

fn put_record(section: &mut Vec<u8>, record: &Record<'_>, timestamp_delta: i64) {
    let mut fields = vec![0];
    varint::write(&mut fields, timestamp_delta);
    varint::write(&mut fields, i64::from(record.offset_delta));
    put_bytes(&mut fields, record.key);
    put_bytes(&mut fields, record.value);
    varint::write(&mut fields, wide(record.headers.count()));
    for header in record.headers {
        put_bytes(&mut fields, Some(header.key));
        put_bytes(&mut fields, header.value);
    }
    varint::write(section, wide(fields.len()));
    section.extend_from_slice(&fields);
}

fn put_bytes(fields: &mut Vec<u8>, bytes: Option<&[u8]>) {
    varint::write(fields, bytes.map_or(-1, |bytes| wide(bytes.len())));
    fields.extend_from_slice(bytes.unwrap_or_default());
}

fn wide(length: usize) -> i64 {
    i64::try_from(length).expect("no slice has more than 2^63-1 bytes")
}
