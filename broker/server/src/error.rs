//! Kafka's error codes for our typed errors: the one place where the two meet. (What refuses a
//! produced batch is mapped beside its definition, in `handler::produce`.)

use avouch_coordinator::group::GroupError;
use avouch_log::{AppendOutcome, LogError, ReadError};
use avouch_protocol::error_code::ErrorCode;

use crate::metadata::{AlterError, CreateError, MetadataError};

/// The code for a change of the metadata that failed.
pub(crate) fn metadata_error(error: &MetadataError) -> ErrorCode {
    match error {
        MetadataError::Create(CreateError::InvalidName(_)) => ErrorCode::InvalidTopicException,
        MetadataError::Create(CreateError::Exists(_)) => ErrorCode::TopicAlreadyExists,
        MetadataError::Create(CreateError::InvalidPartitions(_)) => ErrorCode::InvalidPartitions,
        MetadataError::Create(CreateError::TooManyPartitions { .. }) => ErrorCode::PolicyViolation,
        MetadataError::Create(CreateError::InvalidReplicationFactor(_)) => {
            ErrorCode::InvalidReplicationFactor
        }
        MetadataError::Create(CreateError::InvalidAssignment(_)) => {
            ErrorCode::InvalidReplicaAssignment
        }
        MetadataError::Create(CreateError::InvalidConfig(_) | CreateError::UnsetConfig(_)) => {
            ErrorCode::InvalidConfig
        }
        MetadataError::Create(CreateError::Contradictory(_))
        | MetadataError::Alter(AlterError::Malformed(_) | AlterError::ReadOnly(_)) => {
            ErrorCode::InvalidRequest
        }
        MetadataError::Alter(AlterError::Config(_)) => ErrorCode::InvalidConfig,
        MetadataError::UnknownTopic => ErrorCode::UnknownTopicOrPartition,
        MetadataError::Throttled { .. } => ErrorCode::ThrottlingQuotaExceeded,
        MetadataError::NotInTime { .. } => ErrorCode::RequestTimedOut,
        MetadataError::Store(_) => ErrorCode::KafkaStorageError,
    }
}

/// The code for a batch that the log did not append.
pub(crate) fn append_error(outcome: AppendOutcome) -> ErrorCode {
    match outcome {
        AppendOutcome::Appended { .. } | AppendOutcome::Duplicate { .. } => ErrorCode::None,
        AppendOutcome::OutOfOrderSequence => ErrorCode::OutOfOrderSequenceNumber,
        AppendOutcome::DuplicateSequence => ErrorCode::DuplicateSequenceNumber,
        AppendOutcome::InvalidProducerEpoch => ErrorCode::InvalidProducerEpoch,
        AppendOutcome::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
        AppendOutcome::GuardChanged => ErrorCode::NotEnoughReplicas,
        AppendOutcome::Malformed => ErrorCode::CorruptMessage,
        AppendOutcome::StorageFailed => ErrorCode::KafkaStorageError,
    }
}

/// The code for a partition that could not be read.
pub(crate) fn read_error(error: &ReadError) -> ErrorCode {
    match error {
        ReadError::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
        ReadError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        ReadError::Corrupt { .. } => ErrorCode::CorruptMessage,
        ReadError::Io(_) => ErrorCode::KafkaStorageError,
    }
}

/// The code for a change of the log that failed.
pub(crate) fn log_error(error: &LogError) -> ErrorCode {
    match error {
        LogError::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
        LogError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        LogError::StorageFailed(_) => ErrorCode::KafkaStorageError,
    }
}

/// The code for a refused group request.
pub(crate) fn group_error(error: &GroupError) -> ErrorCode {
    match error {
        GroupError::CoordinatorLoading => ErrorCode::CoordinatorLoadInProgress,
        GroupError::CoordinatorNotAvailable | GroupError::StoreFailed(_) => {
            ErrorCode::CoordinatorNotAvailable
        }
        GroupError::InvalidGroupId { .. } => ErrorCode::InvalidGroupId,
        GroupError::GroupIdNotFound => ErrorCode::GroupIdNotFound,
        GroupError::NonEmptyGroup => ErrorCode::NonEmptyGroup,
        GroupError::GroupSubscribedToTopic => ErrorCode::GroupSubscribedToTopic,
        GroupError::TooManyGroups { .. }
        | GroupError::GroupMaxSize { .. }
        | GroupError::MembersTooLarge { .. } => ErrorCode::GroupMaxSizeReached,
        GroupError::MetadataTooLarge { .. } => ErrorCode::InvalidRequest,
        GroupError::OffsetMetadataTooLarge { .. } => ErrorCode::OffsetMetadataTooLarge,
        GroupError::InvalidSessionTimeout { .. } => ErrorCode::InvalidSessionTimeout,
        GroupError::MemberIdRequired { .. } => ErrorCode::MemberIdRequired,
        GroupError::UnknownMember => ErrorCode::UnknownMemberId,
        GroupError::FencedInstance => ErrorCode::FencedInstanceId,
        GroupError::IllegalGeneration { .. } => ErrorCode::IllegalGeneration,
        GroupError::InconsistentProtocol => ErrorCode::InconsistentGroupProtocol,
        GroupError::RebalanceInProgress => ErrorCode::RebalanceInProgress,
    }
}
