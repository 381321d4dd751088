//! Reasons for which a batch is rejected before it reaches the log.

use avouch_contract::RecordError;
use avouch_protocol::batch::HeaderError;
use avouch_protocol::compress::{DecompressError, Limits};
use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::records::ClientBatchError;
use thiserror::Error;

use super::ZSTD_VERSION;
use crate::metadata::BATCH_DECOMPRESSED_BYTES;

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
    #[error(
        "batch of {compressed} compressed bytes exceeds {BATCH_DECOMPRESSED_BYTES}={max} after \
         decompression"
    )]
    DecompressedTooLarge { compressed: usize, max: usize },
    #[error(
        "batch of {compressed} compressed bytes decompresses to more than {ratio} times its size; \
         the maximum ratio applies above {free} decompressed bytes"
    )]
    CompressionRatio {
        compressed: usize,
        ratio: usize,
        free: usize,
    },
    #[error("{0}")]
    Decompression(DecompressError),
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

impl Rejection {
    /// Returns the rejection of a batch whose decompression failed under `limits`.
    pub(crate) fn decompression(error: DecompressError, limits: Limits) -> Self {
        match error {
            // The lower one of the two limits is the cap.
            DecompressError::TooLarge { cap, compressed } if cap < limits.max_bytes => {
                Self::CompressionRatio {
                    compressed,
                    ratio: limits.ratio,
                    free: limits.ratio_free_bytes,
                }
            }
            DecompressError::TooLarge { compressed, .. } => Self::DecompressedTooLarge {
                compressed,
                max: limits.max_bytes,
            },
            DecompressError::Corrupt => Self::Decompression(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: broker/input-8
    #[test]
    fn exceeded_decompression_limit_is_named() {
        let limits = Limits {
            max_bytes: 10_000,
            ratio: 50,
            ratio_free_bytes: 2_000,
        };
        for (compressed, text) in [
            (
                200,
                "batch of 200 compressed bytes exceeds \
                 avouch.max.batch.decompressed.bytes=10000 after decompression",
            ),
            (
                199,
                "batch of 199 compressed bytes decompresses to more than 50 times its size; the \
                 maximum ratio applies above 2000 decompressed bytes",
            ),
        ] {
            let cap = limits.cap(compressed);
            let error = DecompressError::TooLarge { cap, compressed };
            let rejection = Rejection::decompression(error, limits);
            assert_eq!(rejection.to_string(), text);
        }
    }
}
