//! Kafka's topic configs as one table: name, kind, default, what it means here. Contract configs
//! (`avouch.*` and their aliases) are a table of their own in `avouch_contract::keys`.
//!
//! Source of names and defaults: Kafka 4.0 `TopicConfig` and `LogConfig`.

use std::collections::BTreeMap;

use avouch_contract::{Policy, keys};
use avouch_log::{CompactionSettings, PartitionSettings};
use thiserror::Error;

use super::broker_config::BrokerConfigs;
pub(crate) use super::config_kind::{Kind, ValueType};

/// One config a topic can have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConfigDef {
    /// Kafka's name.
    pub(crate) name: &'static str,
    /// What it takes.
    pub(crate) kind: Kind,
    /// Its value when nobody sets it.
    pub(crate) default: &'static str,
    /// What it does here.
    pub(crate) doc: &'static str,
}

const fn def(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    doc: &'static str,
) -> ConfigDef {
    ConfigDef {
        name,
        kind,
        default,
        doc,
    }
}

const FOREVER: &str = "9223372036854775807";
const REMOTE_STORAGE: &str = "remote.storage.enable";
const LEAST_LAG: &str = "min.compaction.lag.ms";
const GREATEST_LAG: &str = "max.compaction.lag.ms";
const INERT: &str = "Accepted and shown for Kafka's tools; has no effect here.";

/// Every Kafka topic config, sorted by name.
pub(crate) const CONFIGS: &[ConfigDef] = &[
    def(
        "cleanup.policy",
        Kind::ListOf(&["delete", "compact"]),
        "delete",
        "How old data goes.",
    ),
    def(
        "compression.gzip.level",
        Kind::Within(&[(-1, -1), (1, 9)]),
        "-1",
        INERT,
    ),
    def(
        "compression.lz4.level",
        Kind::Within(&[(1, 17)]),
        "9",
        INERT,
    ),
    def(
        "compression.type",
        Kind::OneOf(&["producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"]),
        "producer",
        "Batches are stored as they were produced, whatever this says.",
    ),
    def(
        "compression.zstd.level",
        Kind::Within(&[(-131_072, 22)]),
        "3",
        INERT,
    ),
    def(
        "delete.retention.ms",
        Kind::Long(0),
        "86400000",
        "How long tombstones stay.",
    ),
    def("file.delete.delay.ms", Kind::Long(0), "60000", INERT),
    def(
        "flush.messages",
        Kind::Long(1),
        FOREVER,
        "With --durability os: this many records are acknowledged without a sync at most; 1: none.",
    ),
    def(
        "flush.ms",
        Kind::Long(0),
        FOREVER,
        "With --durability os: appends are synced at most this long after their ack.",
    ),
    def(
        "follower.replication.throttled.replicas",
        Kind::Replicas,
        "",
        INERT,
    ),
    def("index.interval.bytes", Kind::Int(0), "4096", INERT),
    def(
        "leader.replication.throttled.replicas",
        Kind::Replicas,
        "",
        INERT,
    ),
    def("local.retention.bytes", Kind::Long(-2), "-2", INERT),
    def("local.retention.ms", Kind::Long(-2), "-2", INERT),
    def(
        "max.compaction.lag.ms",
        Kind::Long(1),
        FOREVER,
        "A record older than this is compacted without waiting for the dirty ratio; no segment of \
         a compacted topic spans more.",
    ),
    def(
        "max.message.bytes",
        Kind::Int(0),
        "1048588",
        "The largest batch, compressed, in bytes.",
    ),
    def(
        "message.timestamp.after.max.ms",
        Kind::Long(0),
        "3600000",
        "How far a record's timestamp may lie ahead of the broker's clock.",
    ),
    def(
        "message.timestamp.before.max.ms",
        Kind::Long(0),
        FOREVER,
        "How far a record's timestamp may lie behind the broker's clock.",
    ),
    def(
        "message.timestamp.type",
        Kind::OneOf(&["CreateTime", "LogAppendTime"]),
        "CreateTime",
        "Whose clock a record's timestamp is.",
    ),
    def(
        "min.cleanable.dirty.ratio",
        Kind::Ratio,
        "0.5",
        "Compaction waits until more than this share of the closed segments is new.",
    ),
    def(
        "min.compaction.lag.ms",
        Kind::Long(0),
        "0",
        "Closed segments with records younger than this are not compacted.",
    ),
    def(
        "min.insync.replicas",
        Kind::Int(1),
        "1",
        "Clamped to 1, there is one broker; with strict.replication, acks=all is refused above 1.",
    ),
    def("preallocate", Kind::Boolean, "false", INERT),
    def("remote.log.copy.disable", Kind::Boolean, "false", INERT),
    def(
        "remote.log.delete.on.disable",
        Kind::Boolean,
        "false",
        INERT,
    ),
    def(
        REMOTE_STORAGE,
        Kind::Boolean,
        "false",
        "There is no remote storage here: true is refused.",
    ),
    def(
        "retention.bytes",
        Kind::Long(-1),
        "-1",
        "Closed segments beyond this size go; -1: none.",
    ),
    def(
        "retention.ms",
        Kind::Long(-1),
        "604800000",
        "Closed segments older than this go.",
    ),
    def(
        "segment.bytes",
        Kind::Int(14),
        "1073741824",
        "A segment is closed before it grows beyond this.",
    ),
    def("segment.index.bytes", Kind::Int(4), "10485760", INERT),
    def(
        "segment.jitter.ms",
        Kind::Long(0),
        "0",
        "Up to this much is taken off segment.ms, another part for each segment.",
    ),
    def(
        "segment.ms",
        Kind::Long(1),
        "604800000",
        "A segment is closed before a batch this much newer than its first.",
    ),
    def(
        "unclean.leader.election.enable",
        Kind::Boolean,
        "false",
        INERT,
    ),
];

/// Why a config was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{name}: {reason}")]
pub struct ConfigError {
    /// The config's name.
    pub(crate) name: String,
    /// What is wrong and what would be right.
    pub(crate) reason: String,
}

impl From<keys::ConfigError> for ConfigError {
    fn from(error: keys::ConfigError) -> Self {
        Self {
            name: error.key,
            reason: error.reason.to_string(),
        }
    }
}

/// What a topic config, a contract's included, takes, and its value when nobody sets it.
#[must_use]
pub(crate) fn kind_and_default(name: &str) -> Option<(Kind, &'static str)> {
    if let Some(def) = CONFIGS.iter().find(|def| def.name == name) {
        return Some((def.kind, def.default));
    }
    let def = keys::CONFIGS.iter().find(|def| def.name == name)?;
    Some((contract_kind(def.name), def.default))
}

/// What a contract config takes; whether the text fits is for the contract to say.
#[must_use]
pub(crate) fn contract_kind(name: &str) -> Kind {
    match name {
        "avouch.key.subjects" | "avouch.value.subjects" => Kind::List(','),
        "avouch.bypass.principals" => Kind::List(';'),
        _ => Kind::Text,
    }
}

/// What the broker itself reads of a topic's configs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TopicSettings {
    /// The largest batch, in bytes as produced.
    pub(crate) max_message_bytes: usize,
    /// Whether keys are required, as in Kafka's compacted topics.
    pub(crate) compacted: bool,
    /// How many replicas an acknowledgement of all asks for.
    pub(crate) min_insync_replicas: i64,
    /// Whether old segments are deleted.
    pub(crate) deletes: bool,
    /// Whether the broker's clock overwrites record timestamps.
    pub(crate) log_append_time: bool,
    /// How far ahead of the clock a record may be, in milliseconds.
    pub(crate) timestamp_after_max_ms: i64,
    /// How far behind it, in milliseconds.
    pub(crate) timestamp_before_max_ms: i64,
    /// How long an append may stay unsynced in mode `os`, in milliseconds.
    pub(crate) flush_ms: i64,
    /// What the log does with each partition's data.
    pub(crate) log: PartitionSettings,
}

/// Checks every config a topic is to have, contract configs included, over the broker's defaults.
///
/// # Errors
/// The first name that is unknown or value that does not fit.
pub(crate) fn check(
    configs: &BTreeMap<String, String>,
    defaults: &BrokerConfigs,
) -> Result<(), ConfigError> {
    for (name, value) in configs {
        if keys::is_contract_key(name) {
            continue;
        }
        let Some(def) = CONFIGS.iter().find(|def| def.name == name) else {
            return Err(keys::unknown_key(name).into());
        };
        def.kind.check(value).map_err(|reason| ConfigError {
            name: name.clone(),
            reason,
        })?;
    }
    agree(|name| value_of(configs, defaults, name))?;
    contract(configs, defaults).map(|_| ())
}

/// Checks configs that contradict each other, or what there is here; each fits its own kind.
///
/// # Errors
/// The first contradiction.
pub(super) fn agree<'a>(value_of: impl Fn(&'static str) -> &'a str) -> Result<(), ConfigError> {
    let refused = |name: &str, reason: String| {
        let name = name.to_owned();
        Err(ConfigError { name, reason })
    };
    if value_of(REMOTE_STORAGE) == "true" {
        let reason = "Tiered Storage functionality is disabled in the broker.".to_owned();
        return refused(REMOTE_STORAGE, reason);
    }
    let lag = |name| value_of(name).parse::<i64>().unwrap_or_default();
    let (least, greatest) = (lag(LEAST_LAG), lag(GREATEST_LAG));
    if least > greatest {
        let reason = format!("{least} is more than {GREATEST_LAG}, which is {greatest}");
        return refused(LEAST_LAG, reason);
    }
    Ok(())
}

/// A config's value: the topic's own, or the broker's, or Kafka's default.
fn value_of<'a>(
    configs: &'a BTreeMap<String, String>,
    defaults: &'a BrokerConfigs,
    name: &str,
) -> &'a str {
    let set = configs.get(name).map(String::as_str);
    set.or_else(|| defaults.topic_default(name))
        .unwrap_or_else(|| default_of(name))
}

/// The contract that a topic's configs ask for, over the broker's defaults.
///
/// # Errors
/// When they contradict each other or a value does not fit.
pub(crate) fn contract(
    configs: &BTreeMap<String, String>,
    defaults: &BrokerConfigs,
) -> Result<Policy, ConfigError> {
    let set = |name: &str| configs.get(name).map(String::as_str);
    Policy::from_layers(set, |name| defaults.value(name)).map_err(ConfigError::from)
}

impl TopicSettings {
    /// Reads the settings out of configs that [`check`] let pass, over the broker's defaults.
    #[must_use]
    pub(crate) fn resolve(configs: &BTreeMap<String, String>, defaults: &BrokerConfigs) -> Self {
        let text = |name: &str| value_of(configs, defaults, name);
        let long = |name: &str| text(name).parse::<i64>().unwrap_or(i64::MAX);
        let cleanup = text("cleanup.policy");
        let has = |policy| cleanup.split(',').any(|word| word.trim() == policy);
        let (deletes, compacted) = (has("delete"), has("compact"));
        let limit = |name: &str| Some(long(name)).filter(|&value| deletes && value >= 0);
        let flush_ms = long("flush.ms");
        let segment_ms = if compacted {
            long("segment.ms").min(long(GREATEST_LAG))
        } else {
            long("segment.ms")
        };
        let log = PartitionSettings {
            segment_bytes: u64::try_from(long("segment.bytes")).unwrap_or(0),
            segment_ms,
            segment_jitter_ms: long("segment.jitter.ms"),
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
            max_message_bytes: usize::try_from(long("max.message.bytes")).unwrap_or(0),
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
    CONFIGS
        .iter()
        .find(|def| def.name == name)
        .map_or("", |def| def.default)
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

    #[test]
    fn every_default_fits_its_own_kind_and_the_table_is_sorted() {
        for def in CONFIGS {
            assert_eq!(def.kind.check(def.default), Ok(()), "{}", def.name);
        }
        assert!(CONFIGS.is_sorted_by_key(|def| def.name));
    }

    #[test]
    fn bad_configs_are_refused_by_name() {
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
        ] {
            let error = check(&configs(&[(name, value)]), &BrokerConfigs::default()).unwrap_err();
            assert_eq!(error.name, name, "{value}");
        }
        assert_eq!(
            check(
                &configs(&[("cleanup.policy", "compact,delete")]),
                &BrokerConfigs::default()
            ),
            Ok(())
        );
    }

    // Conformance: broker/admin-6
    #[test]
    fn levels_and_throttled_replicas_that_kafka_takes_are_taken() {
        for (name, value) in [
            ("compression.gzip.level", "-1"),
            ("compression.gzip.level", "9"),
            ("compression.lz4.level", "17"),
            ("compression.zstd.level", "-131072"),
            ("leader.replication.throttled.replicas", "*"),
            ("follower.replication.throttled.replicas", "0:1, 1:1"),
        ] {
            let checked = check(&configs(&[(name, value)]), &BrokerConfigs::default());
            assert_eq!(checked, Ok(()), "{name}={value}");
        }
    }

    // Conformance: broker/admin-6
    #[test]
    fn a_least_lag_above_the_greatest_is_refused_wherever_the_two_are_set() {
        let lags = |least: &str, greatest: &str| {
            let set = configs(&[(LEAST_LAG, least), (GREATEST_LAG, greatest)]);
            check(&set, &BrokerConfigs::default())
        };
        assert_eq!(lags("5", "5"), Ok(()));
        assert_eq!(lags("6", "5").unwrap_err().name, LEAST_LAG);
        let brokers = configs(&[("log.cleaner.max.compaction.lag.ms", "5")]);
        let brokers = BrokerConfigs {
            cluster: brokers,
            ..BrokerConfigs::default()
        };
        assert!(check(&configs(&[(LEAST_LAG, "6")]), &brokers).is_err());
        let both = [
            ("log.cleaner.max.compaction.lag.ms", "5"),
            ("log.cleaner.min.compaction.lag.ms", "6"),
        ];
        let brokers = BrokerConfigs {
            cluster: configs(&both),
            ..BrokerConfigs::default()
        };
        assert!(brokers.check().is_err());
    }

    // Conformance: broker/produce-14
    #[test]
    fn a_compacted_topics_segments_span_no_more_than_its_greatest_lag() {
        let span = |policy: &str, lag: &str| {
            let set = [
                ("cleanup.policy", policy),
                (GREATEST_LAG, lag),
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
            ]),
            &BrokerConfigs::default(),
        );
        assert!(settings.compacted && settings.log_append_time);
        assert_eq!(settings.log.retention_ms, None);
        assert_eq!(settings.log.compaction, Some(CompactionSettings::default()));
        assert_eq!(settings.max_message_bytes, 1_048_588);
    }

    // Conformance: log/12
    #[test]
    fn the_log_hears_of_what_the_cleanup_policy_asks_for() {
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
            "Kafka's defaults are the log's"
        );
        let flushed = resolved(&[("flush.ms", "0")]);
        assert_eq!(flushed.log.flush_messages, 1);
    }
}
