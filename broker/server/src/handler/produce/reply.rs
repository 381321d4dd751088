//! What a batch's fate is called on the wire.

use avouch_log::AppendOutcome;
use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::messages::produce::{BatchIndexAndErrorMessage, PartitionProduceResponse};
use avouch_protocol::types::{Offset, PartitionIndex, TimestampMs};

use super::admit::Refusal;
use crate::error::append_error;

/// The reply for a batch that the log has decided on.
pub(super) fn outcome(index: PartitionIndex, outcome: AppendOutcome) -> PartitionProduceResponse {
    let appended =
        |base: Offset, log_start: Offset, time: Option<TimestampMs>| PartitionProduceResponse {
            index: index.0,
            base_offset: base.0,
            log_append_time_ms: time.map_or(-1, |time| time.0),
            log_start_offset: log_start.0,
            ..Default::default()
        };
    match outcome {
        AppendOutcome::Appended {
            base_offset,
            log_start,
            append_time,
        } => appended(base_offset, log_start, append_time),
        AppendOutcome::Duplicate {
            base_offset,
            log_start,
        } => appended(base_offset, log_start, None),
        AppendOutcome::OutOfOrderSequence
        | AppendOutcome::DuplicateSequence
        | AppendOutcome::InvalidProducerEpoch
        | AppendOutcome::UnknownPartition
        | AppendOutcome::GuardChanged
        | AppendOutcome::Malformed
        | AppendOutcome::StorageFailed => failed(index, append_error(outcome), None),
    }
}

/// The reply for a batch that never reached the log. `record_errors` stands only beside an error.
pub(super) fn refusal(index: PartitionIndex, refusal: Refusal) -> PartitionProduceResponse {
    let error = refusal.code();
    let message = refusal.to_string();
    match refusal {
        Refusal::Records { errors, .. } => PartitionProduceResponse {
            record_errors: errors
                .into_iter()
                .map(|error| BatchIndexAndErrorMessage {
                    batch_index: error.index,
                    batch_index_error_message: error.message,
                })
                .collect(),
            ..failed(index, error, Some(message))
        },
        _ => failed(index, error, Some(message)),
    }
}

fn failed(
    index: PartitionIndex,
    error: ErrorCode,
    message: Option<String>,
) -> PartitionProduceResponse {
    PartitionProduceResponse {
        index: index.0,
        error_code: error.code(),
        base_offset: -1,
        log_append_time_ms: -1,
        log_start_offset: -1,
        error_message: message,
        ..Default::default()
    }
}
