//! What a broker is started with: resolved values, no files, no environment.

pub(crate) mod start_config;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use avouch_log::{Durability, LOW_SPACE_BYTES};
use avouch_net::ConnectionLimits;
use avouch_protocol::compress;

use avouch_coordinator::group::GroupConfig;

/// A broker's configuration.
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    /// Directory of the log and the metadata; created when missing.
    pub data_dir: PathBuf,
    /// Host and port that clients are told, instead of the address each of them connected to.
    pub advertise: Option<(String, u16)>,
    /// What an ack promises.
    pub durability: Durability,
    /// This broker's id in metadata.
    pub node_id: i32,
    /// `num.partitions`: partitions of a topic that does not say how many.
    pub default_partition_count: i32,
    /// `auto.create.topics.enable`: whether asking for a topic's metadata may create it.
    pub auto_create_topics: bool,
    /// Refuses replication factors above 1 instead of clamping them to 1.
    pub strict_replication: bool,
    /// Topics that `auto` never puts under contract, as patterns with `*`.
    pub auto_exclude: Vec<String>,
    /// How often it is looked what retention and compaction have to do. Default 15 s, as often as
    /// Kafka's cleaner does.
    pub retention_check: Duration,
    /// Space that the disk must have left for producers to be served. Default 512 MiB.
    pub low_space_bytes: u64,
    /// Whether schemas are kept in the data directory: for a broker whose registry is another
    /// process. Default no.
    pub keep_schemas: bool,
    /// Limits and delays of consumer groups.
    pub groups: GroupConfig,
    /// Bounds on what clients can make the broker hold.
    pub limits: Limits,
    /// What was given under Kafka's names, see [`BrokerConfig::configure`]; those that topics fall
    /// back to are in force through this alone.
    pub configs: BTreeMap<String, String>,
}

/// Bounds on what clients can make the broker hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Limits of connections and of single requests.
    pub connections: ConnectionLimits,
    /// `queued.max.request.bytes`: requests that are read, wait for their turn or for the log, over
    /// all connections; beyond it no more is read but for the rest of one request. Default 256 MiB.
    pub in_flight_bytes_max: usize,
    /// Partitions of all topics together; more cost memory and time at start. Default 10,000.
    pub partitions_max: usize,
    /// `controller_mutation_rate`: partitions made and deleted a second, over all clients. Each
    /// topic costs a commit of the metadata and each partition file handles. Default 100.
    pub mutations_per_second: u32,
    /// How many of them may be made or deleted at once after a quiet time. Default 4,000.
    pub mutations_burst: u32,
    /// `fetch.max.bytes`: the largest fetch response. Default 55 MiB, as Kafka's.
    pub fetch_bytes_max: usize,
    /// The longest that a fetch waits for records, whatever it asks for (Kafka: no limit). Default
    /// 60 s.
    pub fetch_wait: Duration,
    /// Memory of delayed fetches, over all connections; above it a fetch returns at once with the
    /// available records. Default 64 MiB.
    pub delayed_fetch_bytes_max: usize,
    /// Read from memory for consumers and not yet sent, over all connections; beyond it a fetch
    /// gets a batch at a time. Default 128 MiB.
    pub hot_read_bytes_max: usize,
    /// Read from files for consumers and not yet sent, over all connections; beyond it a fetch gets
    /// a batch at a time. Default 64 MiB.
    pub cold_read_bytes_max: usize,
    /// `max.decompressed.message.bytes`: what one batch may inflate to. Default 32 MiB.
    pub inflated_bytes_max: usize,
    /// Inflated batches that wait for their verdict, over all connections; beyond it no more is
    /// inflated. Default 128 MiB.
    pub inflated_in_flight_bytes_max: usize,
    /// Idempotent producers that are remembered, each counted for every partition it writes to;
    /// beyond it the least recently used are forgotten. Default 100,000.
    pub producers_max: usize,
}

impl Limits {
    /// The cap on decompression.
    #[must_use]
    pub fn inflation(&self) -> compress::Limits {
        compress::Limits {
            max_bytes: self.inflated_bytes_max,
            ..compress::Limits::default()
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            connections: ConnectionLimits::default(),
            in_flight_bytes_max: 256 * MIB,
            partitions_max: 10_000,
            mutations_per_second: 100,
            mutations_burst: 4_000,
            fetch_bytes_max: 55 * MIB,
            fetch_wait: Duration::from_secs(60),
            delayed_fetch_bytes_max: 64 * MIB,
            hot_read_bytes_max: 128 * MIB,
            cold_read_bytes_max: 64 * MIB,
            inflated_bytes_max: 32 * MIB,
            inflated_in_flight_bytes_max: 128 * MIB,
            producers_max: 100_000,
        }
    }
}

impl BrokerConfig {
    /// The defaults, with data in `data_dir`.
    #[must_use]
    pub fn new(data_dir: PathBuf) -> Self {
        Self {
            data_dir,
            advertise: None,
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
