//! Maps outcomes and rejections of batches to partitions of a Produce response.

use avouch_log::AppendOutcome;
use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::messages::produce::{BatchIndexAndErrorMessage, PartitionProduceResponse};
use avouch_protocol::types::{Offset, PartitionIndex, TimestampMs};

use crate::admission::Rejection;
use crate::error::KafkaError as _;

/// Returns the response for a batch that was handed to the log.
pub(super) fn appended(index: PartitionIndex, outcome: AppendOutcome) -> PartitionProduceResponse {
    let success =
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
        } => success(base_offset, log_start, append_time),
        // As Kafka: a duplicate succeeds with the offset of its original.
        AppendOutcome::Duplicate {
            base_offset,
            log_start,
        } => success(base_offset, log_start, None),
        AppendOutcome::OutOfOrderSequence
        | AppendOutcome::DuplicateSequence
        | AppendOutcome::InvalidProducerEpoch
        | AppendOutcome::UnknownPartition
        | AppendOutcome::GuardChanged
        | AppendOutcome::Malformed
        | AppendOutcome::StorageFailed => failed(index, outcome.error_code(), None),
    }
}

/// Returns the response for a batch that was not handed to the log.
pub(super) fn rejected(index: PartitionIndex, rejection: Rejection) -> PartitionProduceResponse {
    let error = rejection.error_code();
    let message = rejection.to_string();
    match rejection {
        Rejection::Records { errors, .. } => PartitionProduceResponse {
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
