//! Maps outcomes and rejections of batches to partitions of a Produce response.

use avouch_contract::RecordError;
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
            record_errors: record_errors(error, errors),
            ..failed(index, error, Some(message))
        },
        _ => failed(index, error, Some(message)),
    }
}

/// Returns the entries of `record_errors`, in the order of the records.
///
/// librdkafka (up to 2.16.1) reports the record of a single entry for all records of the batch, but
/// distinguishes the records of two entries. Therefore a single entry is repeated; other clients
/// use one of two equal entries. With other codes than INVALID_RECORD it is not repeated: Java then
/// throws the exception of the code only for a single entry.
fn record_errors(code: ErrorCode, errors: Vec<RecordError>) -> Vec<BatchIndexAndErrorMessage> {
    let mut entries: Vec<_> = errors
        .into_iter()
        .map(|error| BatchIndexAndErrorMessage {
            batch_index: error.index,
            batch_index_error_message: error.message,
        })
        .collect();
    if let ([entry], ErrorCode::InvalidRecord) = (entries.as_slice(), code) {
        entries.push(entry.clone());
    }
    entries
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

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: broker/produce-17
    #[test]
    fn single_record_error_is_repeated() {
        let error = |index| RecordError {
            index,
            message: Some(format!("record {index}")),
        };
        let indexes = |code, listed: &[i32]| {
            let errors = listed.iter().copied().map(error).collect();
            let entries = record_errors(code, errors);
            entries
                .iter()
                .map(|entry| entry.batch_index)
                .collect::<Vec<_>>()
        };
        assert_eq!(indexes(ErrorCode::InvalidRecord, &[4]), [4, 4]);
        assert_eq!(indexes(ErrorCode::InvalidRecord, &[1, 3]), [1, 3]);
        assert!(indexes(ErrorCode::InvalidRecord, &[]).is_empty());
        assert_eq!(indexes(ErrorCode::InvalidTimestamp, &[4]), [4]);
    }
}
