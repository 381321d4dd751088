//! Reasons for which a batch is rejected before it reaches the log.

use avouch_contract::RecordError;
use avouch_protocol::batch::HeaderError;
use avouch_protocol::compress::DecompressError;
use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::records::ClientBatchError;
use thiserror::Error;

use super::ZSTD_VERSION;

/// A rejected batch.
#[derive(Clone, Debug, Error)]
pub(crate) enum Rejection {
    #[error("acks={0}; expected 0, 1 or -1")]
    InvalidAcks(i16),
    #[error("transactions are not supported")]
    Transactional,
    #[error("unknown topic or partition")]
    UnknownPartition,
    #[error("unknown topic id")]
    UnknownTopicId,
    #[error("topic {0} is internal and cannot be written to")]
    InternalTopic(String),
    #[error("min.insync.replicas={0} but the cluster has 1 broker")]
    NotEnoughReplicas(i64),
    #[error("the request contains no record batch")]
    NoBatch,
    #[error("zstd requires Produce version {ZSTD_VERSION} or later")]
    ZstdTooEarly,
    #[error("batch of {bytes} bytes exceeds max.message.bytes={max}")]
    TooLarge { bytes: usize, max: usize },
    #[error("{0}")]
    Decompression(#[from] DecompressError),
    #[error("the CRC of the batch does not match its bytes")]
    BadCrc,
    #[error("{0}")]
    Header(#[from] HeaderError),
    #[error("{0}")]
    Structure(#[from] ClientBatchError),
    #[error("{message}")]
    Records {
        error: ErrorCode,
        errors: Vec<RecordError>,
        message: String,
    },
    #[error("{0}")]
    Unavailable(String),
    #[error("{0}")]
    Storage(String),
}
