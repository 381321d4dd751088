//! Division of the file handles of the process. Without it, idle connections could take the handles
//! with which the log and the databases open their next file.
//!
//! Handles that are always reserved:
//!
//! | handles | for |
//! |---|---|
//! | 60 | runtimes, HTTP threads, listeners, locks, standard streams, signals |
//! | 24 | SQLite: two per connection and one per database; or connections to PostgreSQL |
//! | 32 | requests to a remote registry, and connections that are being closed |
//! | 12 | files that are read or written once: formats, ids, schemas, ready file |
//! | [`OTHER_LOG_HANDLES`] | the log, apart from segments |
//!
//! The segments of the log get up to half of the rest, and the connections everything else: the
//! HTTP listener up to a quarter, so that health and metrics are served while Kafka clients hold
//! all other handles.

use avouch_broker::{HANDLES_PER_OPEN_FILE, OTHER_LOG_HANDLES};
use thiserror::Error;

/// Handles of all parts except the log and the connections.
const PROCESS_HANDLES: usize = 60 + 24 + 32 + 12;
/// The smallest number of open segments with which the log works.
const SEGMENTS_MIN: usize = 4;
/// The smallest number of connections of both listeners.
const CONNECTIONS_MIN: usize = 16;

/// A limit of open files with which a node cannot work.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("the limit of open files is {limit}; expected at least {needed} (ulimit -n)")]
pub struct TooFewFileHandles {
    /// The limit of the process.
    pub limit: usize,
    /// The smallest accepted limit.
    pub needed: usize,
}

/// Maxima of what holds file handles in numbers: configured, or possible under a limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct FileHandles {
    /// Segments that the log caches; each needs [`HANDLES_PER_OPEN_FILE`]. 0 without a broker.
    pub(crate) open_segments: usize,
    /// Connections of the Kafka listener. 0 without a broker.
    pub(crate) kafka_connections: usize,
    /// Connections of the HTTP listener.
    pub(crate) http_connections: usize,
}

impl FileHandles {
    /// Returns the maxima for a process that can open `limit` files, given the `configured` ones.
    ///
    /// # Errors
    /// If `limit` is too low to serve.
    pub(crate) fn divide(limit: u64, configured: Self) -> Result<Self, TooFewFileHandles> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_log = configured.open_segments > 0;
        let segments_min = SEGMENTS_MIN.min(configured.open_segments);
        let reserved = PROCESS_HANDLES + if has_log { OTHER_LOG_HANDLES } else { 0 };
        let needed = reserved + segments_min * HANDLES_PER_OPEN_FILE + CONNECTIONS_MIN;
        if limit < needed {
            return Err(TooFewFileHandles { limit, needed });
        }
        let rest = limit - reserved;
        let open_segments =
            (rest / 2 / HANDLES_PER_OPEN_FILE).clamp(segments_min, configured.open_segments);
        let connections = rest - open_segments * HANDLES_PER_OPEN_FILE;
        let http_share = if has_log {
            connections / 4
        } else {
            connections
        };
        let http_connections = configured.http_connections.min(http_share);
        Ok(Self {
            open_segments,
            kafka_connections: configured
                .kafka_connections
                .min(connections - http_connections),
            http_connections,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIGURED: FileHandles = FileHandles {
        open_segments: 512,
        kafka_connections: 10_000,
        http_connections: 1_000,
    };

    fn used(handles: FileHandles) -> usize {
        let segments = handles.open_segments * HANDLES_PER_OPEN_FILE;
        segments + handles.kafka_connections + handles.http_connections
    }

    // Conformance: operation/11
    #[test]
    fn parts_stay_below_the_limit() {
        for limit in (0..100_000).chain([1 << 20, u64::from(u32::MAX), u64::MAX]) {
            match FileHandles::divide(limit, CONFIGURED) {
                Ok(handles) => {
                    let reserved = PROCESS_HANDLES + OTHER_LOG_HANDLES;
                    assert!(
                        (used(handles) + reserved) as u64 <= limit,
                        "{limit}: {handles:?}"
                    );
                    assert!(
                        handles.open_segments >= SEGMENTS_MIN,
                        "{limit}: {handles:?}"
                    );
                    assert!(handles.http_connections >= CONNECTIONS_MIN / 4, "{limit}");
                    assert!(handles.kafka_connections >= CONNECTIONS_MIN / 2, "{limit}");
                }
                Err(error) => assert!(error.limit < error.needed && error.needed < 400, "{error}"),
            }
        }
    }

    // Conformance: operation/11
    #[test]
    fn usual_limits_keep_the_configured_values() {
        for limit in [40_000, 1 << 20, u64::MAX] {
            assert_eq!(FileHandles::divide(limit, CONFIGURED), Ok(CONFIGURED));
        }
    }

    // Conformance: operation/11
    #[test]
    fn registry_needs_no_log_handles() {
        let registry = FileHandles {
            open_segments: 0,
            kafka_connections: 0,
            http_connections: 1_000,
        };
        let handles = FileHandles::divide(256, registry).unwrap();
        assert_eq!(handles.http_connections, 256 - PROCESS_HANDLES);
        assert_eq!(used(handles), handles.http_connections);
    }
}
