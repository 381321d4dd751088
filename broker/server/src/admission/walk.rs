//! The walk over all records of a decompressed batch.

use std::panic::{AssertUnwindSafe, catch_unwind};

use avouch_contract::{Accepted, InlineCheck, LISTED_MAX, RecordError};
use avouch_protocol::batch::{BatchHeader, Codec};
use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::records::{self, ClientBatchError, RecordFault, RecordIter};
use avouch_protocol::section::Section;
use avouch_protocol::types::TimestampMs;

use super::Rejection;
use crate::metadata::{RECORD_DECOMPRESSED_BYTES, Topic};

/// Maximum number of records of a batch whose error has a message.
const MESSAGES_MAX: usize = 16;
/// Timestamp of a record without one.
const NO_TIMESTAMP: i64 = -1;

/// Result of a walk over valid records.
pub(super) struct Walked {
    pub(super) max_timestamp: TimestampMs,
    /// Present if the contract accepts every record.
    pub(super) accepted: Option<Accepted>,
}

/// Walks over all records and checks them against the contract on the way. A panic of a validator
/// rejects the batch.
pub(super) fn walk(
    topic: &Topic,
    header: &BatchHeader,
    section: Section<'_>,
    now: TimestampMs,
    contract: Option<InlineCheck<'_>>,
) -> Result<Walked, Rejection> {
    let walk = || walk_records(topic, header, section, now, contract);
    catch_unwind(AssertUnwindSafe(walk)).unwrap_or_else(|_| {
        tracing::error!(
            topic = topic.name(),
            "the validator panicked, batch rejected"
        );
        Err(Rejection::Storage("the validator failed".to_owned()))
    })
}

/// Checks that records are well-formed, have keys in compacted topics, and sizes and timestamps
/// within the bounds of the topic.
fn walk_records(
    topic: &Topic,
    header: &BatchHeader,
    section: Section<'_>,
    now: TimestampMs,
    mut contract: Option<InlineCheck<'_>>,
) -> Result<Walked, Rejection> {
    let settings = &topic.settings;
    let mut errors = RecordErrors::default();
    let mut max_timestamp = i64::MIN;
    let earliest = now.0.saturating_sub(settings.timestamp_before_max_ms);
    let latest = now.0.saturating_add(settings.timestamp_after_max_ms);
    // With LogAppendTime the broker replaces the timestamps, so their values do not matter.
    let in_bounds = |timestamp| {
        settings.log_append_time
            || timestamp == NO_TIMESTAMP
            || (earliest..=latest).contains(&timestamp)
    };
    // As in Kafka, records of uncompressed batches are limited by `max.message.bytes` only.
    let record_bytes_max = match header.codec()? {
        Codec::None => usize::MAX,
        _ => settings.decompressed_record_bytes_max,
    };
    for record in RecordIter::new(section, header.record_count) {
        let record = record.map_err(ClientBatchError::from)?;
        // Offsets are base offset plus delta, so a wrong delta would leave gaps or overlaps.
        if record.offset_delta != record.index {
            let fault = RecordFault::BadOffsetDelta(record.offset_delta);
            let (index, at) = (record.index, record.position);
            return Err(ClientBatchError::from(records::RecordError { index, at, fault }).into());
        }
        let timestamp = header
            .base_timestamp
            .0
            .saturating_add(record.timestamp_delta);
        max_timestamp = max_timestamp.max(timestamp);
        if let Some(contract) = &mut contract {
            contract.record(section, &record);
        }
        if settings.compacted && record.key.is_none() {
            errors.add(ErrorCode::InvalidRecord, record.index, || {
                "Compacted topic cannot accept message without key.".to_owned()
            });
        } else if record.body_bytes > record_bytes_max {
            errors.add(ErrorCode::InvalidRecord, record.index, || {
                let bytes = record.body_bytes;
                format!(
                    "record of {bytes} bytes exceeds {RECORD_DECOMPRESSED_BYTES}={record_bytes_max}"
                )
            });
        } else if !in_bounds(timestamp) {
            errors.add(ErrorCode::InvalidTimestamp, record.index, || {
                format!("timestamp {timestamp} is not between {earliest} and {latest}")
            });
        }
    }
    errors.into_result().map(|()| Walked {
        max_timestamp: TimestampMs(max_timestamp),
        accepted: contract.and_then(InlineCheck::accepted),
    })
}

/// Errors of a walk. The first one determines the code and message of the batch.
#[derive(Default)]
struct RecordErrors {
    first: Option<(ErrorCode, String)>,
    errors: Vec<RecordError>,
}

impl RecordErrors {
    fn add(&mut self, error: ErrorCode, index: i32, message: impl FnOnce() -> String) {
        let message = (self.errors.len() < MESSAGES_MAX).then(message);
        if self.first.is_none() {
            self.first = Some((error, message.clone().unwrap_or_default()));
        }
        if self.errors.len() < LISTED_MAX {
            self.errors.push(RecordError { index, message });
        }
    }

    fn into_result(self) -> Result<(), Rejection> {
        match self.first {
            None => Ok(()),
            Some((error, message)) => Err(Rejection::Records {
                error,
                errors: self.errors,
                message,
            }),
        }
    }
}
