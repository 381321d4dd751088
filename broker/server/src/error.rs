//! Kafka error codes of all typed errors. No other module chooses a code.

use std::fmt::Display;

use avouch_coordinator::group::GroupError;
use avouch_log::{AppendOutcome, LogError, ReadError};
use avouch_protocol::batch::HeaderError;
use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::records::ClientBatchError;
use thiserror::Error;

use crate::admin::AdminError;
use crate::admin::features::FeatureError;
use crate::admission::Rejection;
use crate::metadata::{AlterError, CreateError, MetadataError, StoreError};

/// An error, or an outcome, that has a code in the Kafka protocol.
pub(crate) trait KafkaError {
    /// Returns the code.
    fn error_code(&self) -> ErrorCode;
}

/// Returns the error code of a response; 0 for success.
pub(crate) fn code_of<Value, Error: KafkaError>(result: &Result<Value, Error>) -> i16 {
    match result {
        Ok(_) => ErrorCode::None.code(),
        Err(error) => error.error_code().code(),
    }
}

/// Returns the error code and message of a response; 0 and no message for success.
pub(crate) fn code_and_message<Value, Error: KafkaError + Display>(
    result: &Result<Value, Error>,
) -> (i16, Option<String>) {
    (
        code_of(result),
        result.as_ref().err().map(ToString::to_string),
    )
}

/// An error that a handler finds in a request, before or without calling a service.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum RequestError {
    /// The topic or the partition does not exist.
    #[error("This server does not host this topic-partition.")]
    UnknownPartition,
    /// No topic has this id.
    #[error("This server does not host this topic ID.")]
    UnknownTopicId,
    /// The name breaks the rule for topic names.
    #[error("The topic name is not valid.")]
    InvalidTopicName,
    /// The topic has no leader yet; clients retry.
    #[error("The topic is not created yet because too many partitions were created.")]
    LeaderNotAvailable,
    /// The request contains a topic name twice.
    #[error("Duplicate topic name.")]
    DuplicateTopicName,
    /// The request contains a topic id twice.
    #[error("Duplicate topic id.")]
    DuplicateTopicId,
    /// The request contains a topic once by name and once by id.
    #[error("The provided topic name maps to an ID that was already supplied.")]
    DuplicateTopic,
    /// The request contains a partition twice.
    #[error("Duplicate partition.")]
    DuplicatePartition,
    /// The request contains a config resource twice.
    #[error("Each resource must appear at most once.")]
    DuplicateResource,
    /// A topic has both a name and an id.
    #[error("You may not specify both topic name and topic id.")]
    TopicNameAndId,
    /// A topic has neither a name nor an id.
    #[error("Neither topic name nor id were specified.")]
    NoTopicNameOrId,
    /// The timestamp is a sentinel that the request's version does not define.
    #[error("The timestamp {0} is not supported in this version of the request.")]
    UnsupportedTimestamp(i64),
    /// The client's leader epoch is older than the partition's.
    #[error("The leader epoch in the request is older than the epoch on the broker.")]
    FencedLeaderEpoch,
    /// The client's leader epoch is newer than the partition's.
    #[error("The leader epoch in the request is newer than the epoch on the broker.")]
    UnknownLeaderEpoch,
    /// The client's software name or version breaks the rule of KIP-511.
    #[error("The client software name or version is not valid.")]
    InvalidClientSoftware,
    /// There is no authorizer, so access control lists do not exist.
    #[error("{0}")]
    SecurityDisabled(&'static str),
    /// The client requested controllers, which have no listener of their own.
    #[error("The request was sent to an endpoint of the wrong type.")]
    MismatchedEndpointType,
    /// The endpoint type is unknown.
    #[error("Unsupported endpoint type {0}.")]
    UnsupportedEndpointType(i8),
    /// The broker leads every partition.
    #[error("Leader election not needed for topic partition.")]
    ElectionNotNeeded,
    /// The client cancels a reassignment that does not exist.
    #[error("No partition reassignment is in progress.")]
    NoReassignmentInProgress,
    /// The replicas are not on the cluster's only broker.
    #[error("The replicas {replicas:?} are not available; the only broker is {node_id}.")]
    InvalidReplicaAssignment {
        /// The requested replicas.
        replicas: Vec<i32>,
        /// The id of the only broker.
        node_id: i32,
    },
    /// Share groups and unknown types have no coordinator.
    #[error("Coordinator key type {0} is not supported; only groups (0) are.")]
    UnsupportedCoordinatorType(i8),
    /// Only one of cluster id and node id is present (KIP-1242).
    #[error("Cluster id and node id must be present together.")]
    IncompleteBrokerIdentity,
    /// The client expects another cluster or broker at this address (KIP-1242).
    #[error("This is another cluster or broker than the client expects.")]
    OtherBroker,
    /// The user has no SCRAM credential.
    #[error("Attempt to describe a user credential that does not exist: {0}")]
    UnknownScramUser(String),
    /// The request contains a user twice.
    #[error("Cannot describe SCRAM credentials for the same user twice in a single request: {0}")]
    DuplicateScramUser(String),
    /// `__consumer_offsets` could not be created.
    #[error("The offsets topic is not available: {0}")]
    CoordinatorNotAvailable(String),
    /// A transactional id is the empty string.
    #[error("The transactional id is empty.")]
    EmptyTransactionalId,
    /// The client starts a transactional producer.
    #[error("Transactions are not supported by this broker; remove transactional.id.")]
    TransactionsUnsupported,
    /// A filter is not a valid regular expression (RE2).
    #[error("The regular expression is not valid.")]
    InvalidRegularExpression,
    /// A task of the broker failed.
    #[error("The request failed on the broker.")]
    Internal,
}

/// An error in Produce's and Fetch's functions, which return codes.
impl From<RequestError> for ErrorCode {
    fn from(error: RequestError) -> Self {
        error.error_code()
    }
}

impl KafkaError for RequestError {
    fn error_code(&self) -> ErrorCode {
        match self {
            Self::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
            Self::UnknownTopicId => ErrorCode::UnknownTopicId,
            Self::InvalidTopicName => ErrorCode::InvalidTopicException,
            Self::LeaderNotAvailable => ErrorCode::LeaderNotAvailable,
            Self::DuplicateTopicName
            | Self::DuplicateTopicId
            | Self::DuplicateTopic
            | Self::DuplicatePartition
            | Self::DuplicateResource
            | Self::TopicNameAndId
            | Self::NoTopicNameOrId
            | Self::InvalidClientSoftware
            | Self::UnsupportedCoordinatorType(_)
            | Self::IncompleteBrokerIdentity
            | Self::EmptyTransactionalId => ErrorCode::InvalidRequest,
            Self::OtherBroker => ErrorCode::RebootstrapRequired,
            Self::UnknownScramUser(_) => ErrorCode::ResourceNotFound,
            Self::DuplicateScramUser(_) => ErrorCode::DuplicateResource,
            Self::UnsupportedTimestamp(_) => ErrorCode::UnsupportedVersion,
            Self::FencedLeaderEpoch => ErrorCode::FencedLeaderEpoch,
            Self::UnknownLeaderEpoch => ErrorCode::UnknownLeaderEpoch,
            Self::SecurityDisabled(_) => ErrorCode::SecurityDisabled,
            Self::MismatchedEndpointType => ErrorCode::MismatchedEndpointType,
            Self::UnsupportedEndpointType(_) => ErrorCode::UnsupportedEndpointType,
            Self::ElectionNotNeeded => ErrorCode::ElectionNotNeeded,
            Self::NoReassignmentInProgress => ErrorCode::NoReassignmentInProgress,
            Self::InvalidReplicaAssignment { .. } => ErrorCode::InvalidReplicaAssignment,
            Self::CoordinatorNotAvailable(_) => ErrorCode::CoordinatorNotAvailable,
            Self::TransactionsUnsupported => ErrorCode::TransactionalIdAuthorizationFailed,
            Self::InvalidRegularExpression => ErrorCode::InvalidRegularExpression,
            Self::Internal => ErrorCode::UnknownServerError,
        }
    }
}

impl KafkaError for AdminError {
    fn error_code(&self) -> ErrorCode {
        match self {
            Self::Metadata(error) => error.error_code(),
            Self::Alter(error) => error.error_code(),
            Self::Group(error) => error.error_code(),
            Self::Log(error) => error.error_code(),
            Self::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
            Self::InternalTopic(_) => ErrorCode::InvalidTopicException,
            Self::InternalTopicDeletion(_) | Self::Resource(_) => ErrorCode::InvalidRequest,
            Self::DeleteRecordsPolicy(_) => ErrorCode::PolicyViolation,
            Self::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            Self::LogClosed => ErrorCode::KafkaStorageError,
            Self::UnknownLogDir(_) => ErrorCode::LogDirNotFound,
            Self::UnlistableResource(_) => ErrorCode::UnsupportedVersion,
        }
    }
}

impl KafkaError for FeatureError {
    fn error_code(&self) -> ErrorCode {
        ErrorCode::InvalidUpdateVersion
    }
}

impl KafkaError for MetadataError {
    fn error_code(&self) -> ErrorCode {
        match self {
            Self::Create(error) => error.error_code(),
            Self::Alter(error) => error.error_code(),
            Self::UnknownTopic => ErrorCode::UnknownTopicOrPartition,
            Self::Throttled { .. } => ErrorCode::ThrottlingQuotaExceeded,
            Self::QuotaTimeout { .. } => ErrorCode::RequestTimedOut,
            Self::Store(error) => error.error_code(),
        }
    }
}

impl KafkaError for CreateError {
    fn error_code(&self) -> ErrorCode {
        match self {
            Self::InvalidName(_) => ErrorCode::InvalidTopicException,
            Self::Exists(_) => ErrorCode::TopicAlreadyExists,
            Self::InvalidPartitions(_) => ErrorCode::InvalidPartitions,
            Self::TooManyPartitions { .. } => ErrorCode::PolicyViolation,
            Self::InvalidReplicationFactor(_) => ErrorCode::InvalidReplicationFactor,
            Self::InvalidAssignment(_) => ErrorCode::InvalidReplicaAssignment,
            Self::InvalidConfig(_) | Self::UnsetConfig(_) => ErrorCode::InvalidConfig,
            Self::Contradictory(_) => ErrorCode::InvalidRequest,
        }
    }
}

impl KafkaError for AlterError {
    fn error_code(&self) -> ErrorCode {
        match self {
            Self::Malformed(_) | Self::ReadOnly(_) => ErrorCode::InvalidRequest,
            Self::Config(_) => ErrorCode::InvalidConfig,
        }
    }
}

impl KafkaError for StoreError {
    fn error_code(&self) -> ErrorCode {
        ErrorCode::KafkaStorageError
    }
}

impl KafkaError for Rejection {
    fn error_code(&self) -> ErrorCode {
        match self {
            Self::InvalidAcks(_) => ErrorCode::InvalidRequiredAcks,
            Self::Transactional => ErrorCode::InvalidTxnState,
            Self::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
            Self::UnknownTopicId => ErrorCode::UnknownTopicId,
            Self::InternalTopic(_) => ErrorCode::InvalidTopicException,
            Self::TooLarge { .. }
            | Self::DecompressedTooLarge { .. }
            | Self::CompressionRatio { .. } => ErrorCode::MessageTooLarge,
            Self::Structure(ClientBatchError::AppendTime) => ErrorCode::InvalidTimestamp,
            // Retriable: the network may have corrupted the bytes.
            Self::BadCrc | Self::Header(HeaderError::Truncated { .. }) => ErrorCode::CorruptMessage,
            Self::ZstdTooEarly | Self::Header(HeaderError::UnknownCodec(_)) => {
                ErrorCode::UnsupportedCompressionType
            }
            // Not retriable: with a matching CRC the producer sent these bytes and would again.
            Self::NoBatch | Self::Decompression(_) | Self::Header(_) | Self::Structure(_) => {
                ErrorCode::InvalidRecord
            }
            Self::Records { error, .. } => *error,
            Self::Unavailable(_) | Self::NotEnoughReplicas(_) => ErrorCode::NotEnoughReplicas,
            Self::Storage(_) => ErrorCode::KafkaStorageError,
        }
    }
}

impl KafkaError for AppendOutcome {
    fn error_code(&self) -> ErrorCode {
        match self {
            Self::Appended { .. } | Self::Duplicate { .. } => ErrorCode::None,
            Self::OutOfOrderSequence => ErrorCode::OutOfOrderSequenceNumber,
            Self::DuplicateSequence => ErrorCode::DuplicateSequenceNumber,
            Self::InvalidProducerEpoch => ErrorCode::InvalidProducerEpoch,
            Self::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
            Self::GuardChanged => ErrorCode::NotEnoughReplicas,
            Self::Malformed => ErrorCode::CorruptMessage,
            Self::StorageFailed => ErrorCode::KafkaStorageError,
        }
    }
}

impl KafkaError for ReadError {
    fn error_code(&self) -> ErrorCode {
        match self {
            Self::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
            Self::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            Self::Corrupt { .. } => ErrorCode::CorruptMessage,
            Self::Io(_) => ErrorCode::KafkaStorageError,
        }
    }
}

impl KafkaError for LogError {
    fn error_code(&self) -> ErrorCode {
        match self {
            Self::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
            Self::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            Self::StorageFailed(_) => ErrorCode::KafkaStorageError,
        }
    }
}

impl KafkaError for GroupError {
    fn error_code(&self) -> ErrorCode {
        match self {
            Self::CoordinatorLoading => ErrorCode::CoordinatorLoadInProgress,
            Self::CoordinatorNotAvailable | Self::StoreFailed(_) => {
                ErrorCode::CoordinatorNotAvailable
            }
            Self::InvalidGroupId { .. } => ErrorCode::InvalidGroupId,
            Self::GroupIdNotFound => ErrorCode::GroupIdNotFound,
            Self::NonEmptyGroup => ErrorCode::NonEmptyGroup,
            Self::GroupSubscribedToTopic => ErrorCode::GroupSubscribedToTopic,
            Self::TooManyGroups { .. }
            | Self::GroupMaxSize { .. }
            | Self::MembersTooLarge { .. } => ErrorCode::GroupMaxSizeReached,
            Self::MetadataTooLarge { .. } => ErrorCode::InvalidRequest,
            Self::OffsetsTooLarge { .. } => ErrorCode::InvalidCommitOffsetSize,
            Self::OffsetMetadataTooLarge { .. } => ErrorCode::OffsetMetadataTooLarge,
            Self::InvalidSessionTimeout { .. } => ErrorCode::InvalidSessionTimeout,
            Self::MemberIdRequired { .. } => ErrorCode::MemberIdRequired,
            Self::UnknownMember => ErrorCode::UnknownMemberId,
            Self::FencedInstance => ErrorCode::FencedInstanceId,
            Self::IllegalGeneration { .. } => ErrorCode::IllegalGeneration,
            Self::InconsistentProtocol => ErrorCode::InconsistentGroupProtocol,
            Self::RebalanceInProgress => ErrorCode::RebalanceInProgress,
        }
    }
}
