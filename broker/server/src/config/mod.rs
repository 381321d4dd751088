//! The configuration of a broker: resolved values, no files, no environment. The names, types and
//! documentation of those that are Kafka configs are in `metadata::broker_config`.

pub(crate) mod start_config;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use avouch_log::{Durability, LOW_SPACE_BYTES};
use avouch_net::ConnectionLimits;

use avouch_coordinator::group::GroupConfig;

/// A broker's configuration.
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    /// Directory of the log and the metadata; created if it is missing.
    pub data_dir: PathBuf,
    /// Host and port that clients receive, instead of the address that each connected to.
    pub advertise: Option<(String, u16)>,
    /// Condition for acknowledging an append.
    pub durability: Durability,
    /// This broker's id in metadata.
    pub node_id: i32,
    /// Number of partitions of a topic that is created without one. Default 1.
    pub default_partition_count: i32,
    /// Creates topics when a client requests their metadata and permits it. Default true.
    pub auto_create_topics: bool,
    /// Rejects replication factors above 1 instead of reducing them to 1. Default false.
    pub strict_replication: bool,
    /// Topics without automatic contracts, as patterns with `*`.
    pub auto_exclude: Vec<String>,
    /// Interval between passes of retention and compaction. Default 15 s, as of Kafka's cleaner.
    pub retention_check: Duration,
    /// Free disk space below which produce requests are rejected, in bytes. Default 512 MiB.
    pub low_space_bytes: u64,
    /// Stores schemas in the data directory, for a broker with a remote registry. Default false.
    pub keep_schemas: bool,
    /// Limits and delays of consumer groups.
    pub groups: GroupConfig,
    /// Limits of what clients can allocate.
    pub limits: Limits,
    /// The configs that were set under Kafka's names, see [`BrokerConfig::configure`]. Defaults of
    /// topic configs are nowhere else.
    pub configs: BTreeMap<String, String>,
}

/// Limits of what clients can allocate.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Limits of connections and of single requests.
    pub connections: ConnectionLimits,
    /// Bytes of requests that were read and have no response yet, over all connections; beyond it,
    /// only the rest of one request is read. Default 256 MiB.
    pub in_flight_bytes_max: usize,
    /// Segment files held open for reading; each can cost up to
    /// [`crate::HANDLES_PER_OPEN_FILE`] file handles. Default 512.
    pub open_segments_max: usize,
    /// Partitions of all topics; more cost memory and time at startup. Default 10,000.
    pub partitions_max: usize,
    /// Partitions created and deleted per second, over all clients (`controller_mutation_rate`,
    /// KIP-599). Each topic costs a commit of the metadata, each partition file handles. Default
    /// 100.
    pub mutations_per_second: u32,
    /// Partitions that can be created or deleted at once after a pause. Default 4,000.
    pub mutations_burst: u32,
    /// Maximum size of a fetch response. Default 55 MiB, as Kafka's.
    pub fetch_bytes_max: usize,
    /// Maximum time that a fetch waits for records, whatever it requests (Kafka: no limit). Default
    /// 60 s.
    pub fetch_wait: Duration,
    /// Bytes held by fetches that wait for records, over all connections; beyond it, they return at
    /// once. Default 64 MiB.
    pub delayed_fetch_bytes_max: usize,
    /// Bytes read from memory for consumers and not sent yet, over all connections; beyond it, a
    /// fetch returns one batch. Default 128 MiB.
    pub hot_read_bytes_max: usize,
    /// Bytes read from files for consumers and not sent yet, over all connections; beyond it, a
    /// fetch returns one batch. Default 64 MiB.
    pub cold_read_bytes_max: usize,
    /// Bytes of decompressed batches that are not checked yet, over all connections; beyond it,
    /// decompression waits. Default 128 MiB.
    pub decompressed_in_flight_bytes_max: usize,
    /// Idempotent producers with state, each counted for every partition it writes to; beyond it,
    /// the state of the least recently used is dropped. Default 100,000.
    pub producers_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            connections: ConnectionLimits::default(),
            in_flight_bytes_max: 256 * MIB,
            open_segments_max: 512,
            partitions_max: 10_000,
            mutations_per_second: 100,
            mutations_burst: 4_000,
            // Kafka's default; consumers request up to 50 MiB by default.
            fetch_bytes_max: 55 * MIB,
            fetch_wait: Duration::from_secs(60),
            delayed_fetch_bytes_max: 64 * MIB,
            hot_read_bytes_max: 128 * MIB,
            cold_read_bytes_max: 64 * MIB,
            decompressed_in_flight_bytes_max: 128 * MIB,
            producers_max: 100_000,
        }
    }
}

impl BrokerConfig {
    /// Returns the defaults, with data in `data_dir`.
    #[must_use]
    pub fn new(data_dir: PathBuf) -> Self {
        Self {
            data_dir,
            advertise: None,
            // Acknowledged means durable unless the user decides otherwise.
            durability: Durability::Fsync,
            node_id: 1,
            default_partition_count: 1,
            auto_create_topics: true,
            strict_replication: false,
            auto_exclude: avouch_contract::AUTO_EXCLUDE_DEFAULT
                .iter()
                .map(|pattern| (*pattern).to_owned())
                .collect(),
            retention_check: Duration::from_secs(15),
            low_space_bytes: LOW_SPACE_BYTES,
            keep_schemas: false,
            groups: GroupConfig::default(),
            limits: Limits::default(),
            configs: BTreeMap::new(),
        }
    }
}
