//! Kafka's topic configs: one row with name, accepted values, default and documentation. Contract
//! configs (`avouch.*` and their aliases) have a table of their own in `avouch_contract::keys`.
//!
//! Source of names, types, defaults and ranges: Kafka 4.4 `TopicConfig` and `LogConfig`.

use std::collections::BTreeMap;

use avouch_contract::{Policy, keys};
use avouch_log::{CompactionSettings, PartitionSettings};
use avouch_protocol::compress;
use thiserror::Error;

use super::broker_config::BrokerConfigs;
use super::config_kind::words_of;
pub(crate) use super::config_kind::{ConfigValueError, Kind, ValueType};

/// One topic config.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ConfigDef {
    /// Kafka's name.
    pub(crate) name: &'static str,
    /// The accepted values.
    pub(crate) kind: Kind,
    /// The default, as Kafka prints it.
    pub(crate) default: &'static str,
    /// The effect in this broker.
    pub(crate) doc: &'static str,
}

/// A row is `"name": kind = default, doc;`. Without documentation the config has no effect.
macro_rules! configs {
    ($($name:literal: $kind:expr, = $default:expr $(, $doc:expr)?;)*) => {
        &[$(ConfigDef {
            name: $name,
            kind: $kind,
            default: $default,
            doc: configs!(@doc $($doc)?),
        }),*]
    };
    (@doc) => { NO_EFFECT };
    (@doc $doc:expr) => { $doc };
}

const UNLIMITED: &str = "9223372036854775807";
const CODECS: &[&str] = &["producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"];
const REMOTE_STORAGE: &str = "remote.storage.enable";
const MIN_LAG: &str = "min.compaction.lag.ms";
const MAX_LAG: &str = "max.compaction.lag.ms";
/// Limit of the records of a batch after decompression, in bytes.
pub(crate) const BATCH_DECOMPRESSED_BYTES: &str = "avouch.max.batch.decompressed.bytes";
/// Limit of one record after decompression, in bytes (Kafka 4.4).
pub(crate) const RECORD_DECOMPRESSED_BYTES: &str = "max.decompressed.message.bytes";
/// Documentation of a config that is stored and described, and changes nothing.
pub(crate) const NO_EFFECT: &str = "Accepted for Kafka's tools; has no effect.";

/// Every Kafka topic config, sorted by name.
pub(crate) const CONFIGS: &[ConfigDef] = configs! {
    "avouch.max.batch.decompressed.bytes": Kind::Int(1_024, 1 << 30), = "67108864",
        "Maximum size of the records of a compressed batch after decompression, in bytes. Above \
         4 MiB, also at most 1,000 times their compressed size.";
    "cleanup.policy": Kind::ListOf(&["delete", "compact"]), = "delete",
        "Retention policy: delete, compact or both. Empty: records are kept without limit.";
    "compression.gzip.level": Kind::IntWithin(&[(-1, -1), (1, 9)]), = "-1";
    "compression.lz4.level": Kind::IntWithin(&[(1, 17)]), = "9";
    "compression.type": Kind::OneOf(CODECS), = "producer",
        "Has no effect: batches are stored as produced.";
    "compression.zstd.level": Kind::IntWithin(&[(-131_072, 22)]), = "3";
    "delete.retention.ms": Kind::long(0), = "86400000",
        "Time before compaction removes a tombstone, in milliseconds.";
    "errors.deadletterqueue.group.enable": Kind::Boolean, = "false";
    "file.delete.delay.ms": Kind::long(0), = "60000";
    "flush.messages": Kind::long(1), = UNLIMITED,
        "With durability os: maximum number of records acknowledged without a sync.";
    "flush.ms": Kind::long(0), = UNLIMITED,
        "With durability os: maximum time between an acknowledgement and its sync, in \
         milliseconds.";
    "follower.replication.throttled.replicas": Kind::Replicas, = "";
    "index.interval.bytes": Kind::int(0), = "4096";
    "leader.replication.throttled.replicas": Kind::Replicas, = "";
    "local.retention.bytes": Kind::long(-2), = "-2";
    "local.retention.ms": Kind::long(-2), = "-2";
    "max.compaction.lag.ms": Kind::long(1), = UNLIMITED,
        "Maximum age of a record before compaction ignores the dirty ratio, and maximum time \
         span of a segment of a compacted topic, in milliseconds.";
    "max.decompressed.message.bytes": Kind::int(0), = "2147483639",
        "Maximum size of a record of a compressed batch after decompression, in bytes.";
    "max.message.bytes": Kind::int(0), = "1048588", "Maximum size of a compressed batch, in bytes.";
    "message.timestamp.after.max.ms": Kind::long(0), = "3600000",
        "Maximum time that a record's timestamp is after the broker's clock, in milliseconds.";
    "message.timestamp.before.max.ms": Kind::long(0), = UNLIMITED,
        "Maximum time that a record's timestamp is before the broker's clock, in milliseconds.";
    "message.timestamp.type": Kind::OneOf(&["CreateTime", "LogAppendTime"]), = "CreateTime",
        "Source of a record's timestamp: its producer, or the broker's clock.";
    "min.cleanable.dirty.ratio": Kind::Double(0.0, 1.0), = "0.5",
        "Minimum share of uncompacted bytes in closed segments before compaction.";
    "min.compaction.lag.ms": Kind::long(0), = "0",
        "Minimum age of a record before compaction, in milliseconds.";
    "min.insync.replicas": Kind::int(1), = "1",
        "Capped at 1, the number of replicas. With strict.replication, a higher value rejects \
         acks=all.";
    "preallocate": Kind::Boolean, = "false";
    "remote.copy.lag.bytes": Kind::long(-1), = "-1";
    "remote.copy.lag.ms": Kind::long(-1), = "0";
    "remote.log.copy.disable": Kind::Boolean, = "false";
    "remote.log.delete.on.disable": Kind::Boolean, = "false";
    "remote.storage.enable": Kind::Boolean, = "false",
        "Remote storage is not supported; only false is accepted.";
    "retention.bytes": Kind::long(-1), = "-1",
        "Maximum size of a partition before closed segments are deleted, in bytes; -1: no limit.";
    "retention.ms": Kind::long(-1), = "604800000",
        "Maximum age of a closed segment before it is deleted, in milliseconds; -1: no limit.";
    "segment.bytes": Kind::int(1024 * 1024), = "1073741824", "Maximum size of a segment, in bytes.";
    "segment.index.bytes": Kind::int(4), = "10485760";
    "segment.jitter.ms": Kind::long(0), = "0",
        "Maximum random time subtracted from segment.ms of each segment, in milliseconds.";
    "segment.ms": Kind::long(1), = "604800000",
        "Maximum time between the first and the last batch of a segment, in milliseconds.";
    "unclean.leader.election.enable": Kind::Boolean, = "false";
};

/// Replaces `segment.bytes` in tests, without its minimum. As in Kafka 4.1, it is described only
/// where it is set.
const INTERNAL_SEGMENT_BYTES: ConfigDef = ConfigDef {
    name: "internal.segment.bytes",
    kind: Kind::int(14),
    default: "",
    doc: "Maximum size of a segment in tests, in bytes.",
};

/// A rejected config.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No broker config has this name.
    #[error("unknown broker config \"{0}\"")]
    UnknownBrokerConfig(String),
    /// The value is invalid, alone or with the other configs.
    #[error(transparent)]
    Value(#[from] ConfigValueError),
    /// The operation needs a list.
    #[error("{0} is not a list; APPEND and SUBTRACT need a list")]
    NotAList(String),
    /// The contract configs are invalid.
    #[error(transparent)]
    Contract(#[from] keys::ConfigError),
    /// A broker's contract config contradicts those of a topic.
    #[error("topic {topic}: {error}")]
    Topic {
        /// The topic.
        topic: String,
        /// The contradiction.
        error: Box<Self>,
    },
}

/// Returns the topic config called `name`; fails to compile if there is none.
pub(super) const fn named(name: &str) -> &'static ConfigDef {
    let mut at = 0;
    while at < CONFIGS.len() {
        if equal(CONFIGS[at].name.as_bytes(), name.as_bytes()) {
            return &CONFIGS[at];
        }
        at += 1;
    }
    panic!("unknown topic config")
}

/// Compares at compile time, where `==` is not available.
const fn equal(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

fn kafka_config(name: &str) -> Option<&'static ConfigDef> {
    let mut defs = CONFIGS.iter().chain([&INTERNAL_SEGMENT_BYTES]);
    defs.find(|def| def.name == name)
}

/// Returns the Kafka configs to describe for a topic with `configs`.
pub(crate) fn described(
    configs: &BTreeMap<String, String>,
) -> impl Iterator<Item = &'static ConfigDef> {
    let internal = Some(&INTERNAL_SEGMENT_BYTES).filter(|def| configs.contains_key(def.name));
    CONFIGS.iter().chain(internal)
}

/// Returns the kind and the default of a topic config, contract configs included.
#[must_use]
pub(crate) fn kind_and_default(name: &str) -> Option<(Kind, &'static str)> {
    if let Some(def) = kafka_config(name) {
        return Some((def.kind, def.default));
    }
    let def = keys::CONFIGS.iter().find(|def| def.name == name)?;
    Some((contract_kind(def), def.default))
}

/// Returns the kind of a contract config. The contract itself checks the value.
#[must_use]
pub(crate) fn contract_kind(def: &keys::ConfigDef) -> Kind {
    match def.value_type {
        keys::ValueType::Text => Kind::Text,
        keys::ValueType::List(separator) => Kind::List(separator),
        keys::ValueType::Integer { min, max } => Kind::Int(min, max),
    }
}

/// The topic configs that the broker itself uses.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TopicSettings {
    /// Maximum size of a produced batch, in bytes.
    pub(crate) max_message_bytes: usize,
    /// Limits of the decompressed size of a compressed batch.
    pub(crate) decompression: compress::Limits,
    /// Maximum size of a record of a compressed batch, in bytes.
    pub(crate) decompressed_record_bytes_max: usize,
    /// True if keys are required, as in Kafka's compacted topics.
    pub(crate) compacted: bool,
    /// Number of replicas that acks=all requires.
    pub(crate) min_insync_replicas: i64,
    /// True if old segments are deleted.
    pub(crate) deletes: bool,
    /// True if the broker's clock replaces record timestamps.
    pub(crate) log_append_time: bool,
    /// Maximum time that a record is after the clock, in milliseconds.
    pub(crate) timestamp_after_max_ms: i64,
    /// Maximum time that a record is before the clock, in milliseconds.
    pub(crate) timestamp_before_max_ms: i64,
    /// Maximum time between an append and its sync with durability `os`, in milliseconds.
    pub(crate) flush_ms: i64,
    /// Settings of each partition's log.
    pub(crate) log: PartitionSettings,
}

/// Checks the configs that a topic is to have over the broker's defaults, and returns them as they
/// are stored. A value that `current` has too is not checked again, because an older version may
/// have accepted it.
///
/// # Errors
/// If a name is unknown, a value is invalid, or values contradict each other.
pub(crate) fn check(
    current: &BTreeMap<String, String>,
    mut configs: BTreeMap<String, String>,
    defaults: &BrokerConfigs,
) -> Result<BTreeMap<String, String>, ConfigError> {
    for (name, value) in &mut configs {
        // Stored values were valid when they were set; a new minimum must not block other changes.
        if current.get(name) == Some(value) {
            continue;
        }
        let (kind, _) = kind_and_default(name).ok_or_else(|| keys::unknown_key(name))?;
        *value = kind.parse(name, value)?.to_string();
    }
    check_combination(|name| value_of(&configs, defaults, name))?;
    contract(&configs, defaults)?;
    Ok(configs)
}

/// Checks configs that contradict each other or need an unsupported feature. Each value is valid
/// for its own config.
///
/// # Errors
/// Returns the first contradiction.
pub(super) fn check_combination<'a>(
    value_of: impl Fn(&'static str) -> &'a str,
) -> Result<(), ConfigValueError> {
    let invalid = |key: &'static str, expected: String| {
        let (key, value) = (key.to_owned(), value_of(key).to_owned());
        Err(ConfigValueError {
            key,
            value,
            expected,
        })
    };
    if value_of(REMOTE_STORAGE) == "true" {
        let expected = "false; Tiered Storage functionality is disabled in the broker.";
        return invalid(REMOTE_STORAGE, expected.to_owned());
    }
    let lag = |name| value_of(name).parse::<i64>().unwrap_or_default();
    if lag(MIN_LAG) > lag(MAX_LAG) {
        return invalid(MIN_LAG, format!("at most {MAX_LAG}, {}", lag(MAX_LAG)));
    }
    Ok(())
}

/// Returns a config's value: the topic's own, or the broker's, or Kafka's default.
fn value_of<'a>(
    configs: &'a BTreeMap<String, String>,
    defaults: &'a BrokerConfigs,
    name: &str,
) -> &'a str {
    let set = configs.get(name).map(String::as_str);
    set.or_else(|| defaults.topic_default(name))
        .unwrap_or_else(|| default_of(name))
}

/// Returns the contract that a topic's configs define over the broker's defaults.
///
/// # Errors
/// If a value is invalid or values contradict each other.
pub(crate) fn contract(
    configs: &BTreeMap<String, String>,
    defaults: &BrokerConfigs,
) -> Result<Policy, ConfigError> {
    let set = |name: &str| configs.get(name).map(String::as_str);
    Policy::from_layers(set, |name| defaults.value(name)).map_err(ConfigError::from)
}

impl TopicSettings {
    /// Returns the settings of configs that [`check`] accepted, over the broker's defaults.
    #[must_use]
    pub(crate) fn resolve(configs: &BTreeMap<String, String>, defaults: &BrokerConfigs) -> Self {
        let text = |name: &str| value_of(configs, defaults, name);
        let long = |name: &str| text(name).parse::<i64>().unwrap_or(i64::MAX);
        let bytes = |name: &str| usize::try_from(long(name)).unwrap_or(0);
        let cleanup = text("cleanup.policy");
        let has = |policy| words_of(cleanup, ',').any(|word| word == policy);
        let (deletes, compacted) = (has("delete"), has("compact"));
        // -1 means no limit. Without the policy `delete`, retention does not apply.
        let limit = |name: &str| Some(long(name)).filter(|&value| deletes && value >= 0);
        let flush_ms = long("flush.ms");
        let segment_bytes = match configs.contains_key(INTERNAL_SEGMENT_BYTES.name) {
            true => INTERNAL_SEGMENT_BYTES.name,
            false => "segment.bytes",
        };
        // No segment of a compacted topic spans more than the maximum lag: the active segment is
        // never compacted.
        let segment_ms = if compacted {
            long("segment.ms").min(long(MAX_LAG))
        } else {
            long("segment.ms")
        };
        let log = PartitionSettings {
            segment_bytes: u64::try_from(long(segment_bytes)).unwrap_or(0),
            segment_ms,
            segment_jitter_ms: long("segment.jitter.ms"),
            // Kafka's `flush.ms=0` syncs every append.
            flush_messages: if flush_ms == 0 {
                1
            } else {
                long("flush.messages")
            },
            retention_ms: limit("retention.ms"),
            retention_bytes: limit("retention.bytes"),
            compaction: compacted.then(|| CompactionSettings {
                min_dirty_ratio: text("min.cleanable.dirty.ratio").parse().unwrap_or(0.5),
                min_lag_ms: long("min.compaction.lag.ms"),
                max_lag_ms: long("max.compaction.lag.ms"),
                delete_retention_ms: long("delete.retention.ms"),
            }),
        };
        Self {
            max_message_bytes: bytes("max.message.bytes"),
            decompression: compress::Limits {
                max_bytes: bytes(BATCH_DECOMPRESSED_BYTES),
                ..compress::Limits::default()
            },
            decompressed_record_bytes_max: bytes(RECORD_DECOMPRESSED_BYTES),
            compacted,
            min_insync_replicas: long("min.insync.replicas"),
            deletes,
            log_append_time: text("message.timestamp.type") == "LogAppendTime",
            timestamp_after_max_ms: long("message.timestamp.after.max.ms"),
            timestamp_before_max_ms: long("message.timestamp.before.max.ms"),
            flush_ms,
            log,
        }
    }
}

pub(super) fn default_of(name: &str) -> &'static str {
    kafka_config(name).map_or("", |def| def.default)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn check_new(pairs: &[(&str, &str)]) -> Result<BTreeMap<String, String>, ConfigError> {
        check(&BTreeMap::new(), configs(pairs), &BrokerConfigs::default())
    }

    #[test]
    fn table_is_sorted_with_valid_defaults() {
        for def in CONFIGS {
            let parsed = def.kind.parse(def.name, def.default).unwrap();
            assert_eq!(parsed.to_string(), def.default, "{}", def.name);
        }
        assert!(CONFIGS.is_sorted_by_key(|def| def.name));
    }

    #[test]
    fn invalid_configs_are_rejected_by_name() {
        for (name, value) in [
            ("retention.ms", "soon"),
            ("retention.ms", "-2"),
            ("max.message.bytes", "2147483648"),
            ("cleanup.policy", "compact,burn"),
            ("message.timestamp.type", "Never"),
            ("min.cleanable.dirty.ratio", "1.5"),
            ("preallocate", "yes"),
            ("retention.mss", "1"),
            ("compression.gzip.level", "0"),
            ("compression.gzip.level", "10"),
            ("compression.lz4.level", "18"),
            ("compression.zstd.level", "23"),
            ("leader.replication.throttled.replicas", "0:1,*"),
            ("follower.replication.throttled.replicas", "zero:one"),
            ("remote.storage.enable", "true"),
            ("segment.bytes", "1048575"),
            // A stored batch is decompressed to at most 1 GiB.
            (BATCH_DECOMPRESSED_BYTES, "1073741825"),
        ] {
            let error = check_new(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(name), "{value}: {error}");
        }
    }

    // Conformance: broker/admin-6
    #[test]
    fn values_that_kafka_accepts_are_accepted() {
        for (name, value) in [
            ("cleanup.policy", "compact,delete"),
            ("cleanup.policy", ""),
            ("compression.gzip.level", "-1"),
            ("compression.gzip.level", "9"),
            ("compression.lz4.level", "17"),
            ("compression.zstd.level", "-131072"),
            ("leader.replication.throttled.replicas", "*"),
            ("follower.replication.throttled.replicas", "0:1,1:1"),
            ("segment.bytes", "1048576"),
        ] {
            let checked = check_new(&[(name, value)]);
            assert_eq!(checked, Ok(configs(&[(name, value)])), "{name}={value}");
        }
    }

    // Conformance: broker/admin-24
    #[test]
    fn values_are_stored_as_kafka_prints_them() {
        for (name, value, stored) in [
            ("retention.ms", " 5 ", "5"),
            ("preallocate", "False", "false"),
            ("cleanup.policy", " compact , delete ", "compact,delete"),
            ("avouch.value.subjects", " a, b", "a,b"),
        ] {
            let checked = check_new(&[(name, value)]);
            assert_eq!(checked, Ok(configs(&[(name, stored)])), "{name}");
        }
    }

    #[test]
    fn stored_values_stay_acceptable() {
        let old = configs(&[("segment.bytes", "1000")]);
        let altered = configs(&[("segment.bytes", "1000"), ("retention.ms", "1")]);
        let defaults = BrokerConfigs::default();
        let checked = check(&old, altered.clone(), &defaults);
        assert_eq!(checked, Ok(altered));
        let smaller = configs(&[("segment.bytes", "999")]);
        assert!(check(&old, smaller, &defaults).is_err());
    }

    #[test]
    fn empty_cleanup_policy_keeps_all_records() {
        let pairs = [("cleanup.policy", ""), ("retention.ms", "5")];
        let resolved = TopicSettings::resolve(&configs(&pairs), &BrokerConfigs::default());
        assert!(!resolved.deletes && !resolved.compacted);
        assert_eq!(resolved.log.retention_ms, None);
        assert_eq!(resolved.log.compaction, None);
    }

    // Conformance: broker/admin-6
    #[test]
    fn minimum_lag_above_maximum_is_rejected() {
        let lags = |min: &str, max: &str| check_new(&[(MIN_LAG, min), (MAX_LAG, max)]);
        assert!(lags("5", "5").is_ok());
        let error = lags("6", "5").unwrap_err().to_string();
        assert!(
            error.contains("at most max.compaction.lag.ms, 5"),
            "{error}"
        );
        let broker = |pairs: &[(&str, &str)]| BrokerConfigs {
            cluster: configs(pairs),
            ..BrokerConfigs::default()
        };
        let max = ("log.cleaner.max.compaction.lag.ms", "5");
        let topic = configs(&[(MIN_LAG, "6")]);
        assert!(check(&BTreeMap::new(), topic, &broker(&[max])).is_err());
        let min = ("log.cleaner.min.compaction.lag.ms", "6");
        assert!(broker(&[max, min]).check().is_err());
    }

    // Conformance: broker/produce-14
    #[test]
    fn compacted_segments_span_at_most_maximum_lag() {
        let span = |policy: &str, lag: &str| {
            let set = [
                ("cleanup.policy", policy),
                (MAX_LAG, lag),
                ("segment.ms", "100"),
            ];
            let resolved = TopicSettings::resolve(&configs(&set), &BrokerConfigs::default());
            resolved.log.segment_ms
        };
        assert_eq!(span("compact", "60"), 60);
        assert_eq!(span("compact", "600"), 100);
        assert_eq!(span("delete", "60"), 100);
    }

    #[test]
    fn settings_follow_the_configs() {
        let settings = TopicSettings::resolve(
            &configs(&[
                ("cleanup.policy", "compact"),
                ("retention.ms", "-1"),
                ("message.timestamp.type", "LogAppendTime"),
                (RECORD_DECOMPRESSED_BYTES, "5"),
            ]),
            &BrokerConfigs {
                started: configs(&[(BATCH_DECOMPRESSED_BYTES, "2048")]),
                ..BrokerConfigs::default()
            },
        );
        assert!(settings.compacted && settings.log_append_time);
        assert_eq!(settings.decompression.max_bytes, 2_048);
        assert_eq!(settings.decompressed_record_bytes_max, 5);
        assert_eq!(settings.log.retention_ms, None);
        assert_eq!(settings.log.compaction, Some(CompactionSettings::default()));
        assert_eq!(settings.max_message_bytes, 1_048_588);
    }

    // Conformance: log/12
    #[test]
    fn cleanup_policy_determines_log_settings() {
        let resolved =
            |pairs: &[_]| TopicSettings::resolve(&configs(pairs), &BrokerConfigs::default());
        // Policy; whether it is compacted; retention.ms, retention.bytes.
        let cases = [
            ("delete", false, Some(5), Some(6)),
            ("compact", true, None, None),
            ("compact, delete", true, Some(5), Some(6)),
        ];
        for (policy, compacted, ms, bytes) in cases {
            let log = resolved(&[
                ("cleanup.policy", policy),
                ("retention.ms", "5"),
                ("retention.bytes", "6"),
            ])
            .log;
            let found = (
                log.compaction.is_some(),
                log.retention_ms,
                log.retention_bytes,
            );
            assert_eq!(found, (compacted, ms, bytes), "{policy}");
        }
        assert_eq!(
            resolved(&[]).log,
            PartitionSettings {
                retention_ms: Some(604_800_000),
                ..PartitionSettings::default()
            },
            "the log has Kafka's defaults"
        );
        let flushed = resolved(&[("flush.ms", "0")]);
        assert_eq!(flushed.log.flush_messages, 1);
    }
}
