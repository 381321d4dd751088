//! Kafka's topic configs as one table: name, kind, default, what it means here. Contract configs
//! (`avouch.*` and their aliases) are a table of their own in `contract::policy`.
//!
//! Source of names and defaults: Kafka 4.0 `TopicConfig` and `LogConfig`.

use std::collections::BTreeMap;

use thiserror::Error;

use super::broker_config::BrokerConfigs;
use crate::contract::{Policy, policy};
use crate::log::{CompactionSettings, PartitionSettings};

/// What values a config takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// A 32-bit integer of at least this.
    Int(i32),
    /// A 64-bit integer of at least this.
    Long(i64),
    /// A number from 0 to 1.
    Ratio,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A comma-separated list of these words.
    ListOf(&'static [&'static str]),
    /// A list of anything, separated by this.
    List(char),
    /// Anything.
    Text,
}

/// What a config's values are, as Kafka tells clients (`DescribeConfigsResponse.ConfigType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// `true` or `false`.
    Boolean,
    /// Any text.
    Text,
    /// A 32-bit integer.
    Int,
    /// A 16-bit integer.
    Short,
    /// A 64-bit integer.
    Long,
    /// A floating-point number.
    Double,
    /// A list of texts.
    List,
    /// The name of a Java class.
    Class,
    /// A text that is never shown.
    Password,
}

impl ValueType {
    /// Kafka's number for it.
    #[must_use]
    pub fn code(self) -> i8 {
        match self {
            Self::Boolean => 1,
            Self::Text => 2,
            Self::Int => 3,
            Self::Short => 4,
            Self::Long => 5,
            Self::Double => 6,
            Self::List => 7,
            Self::Class => 8,
            Self::Password => 9,
        }
    }
}

impl Kind {
    /// What its values are.
    #[must_use]
    pub fn value_type(self) -> ValueType {
        match self {
            Self::Boolean => ValueType::Boolean,
            Self::Int(_) => ValueType::Int,
            Self::Long(_) => ValueType::Long,
            Self::Ratio => ValueType::Double,
            Self::OneOf(_) | Self::Text => ValueType::Text,
            Self::ListOf(_) | Self::List(_) => ValueType::List,
        }
    }

    /// What stands between the words of a list; `None` when it is no list.
    #[must_use]
    pub fn separator(self) -> Option<char> {
        match self {
            Self::ListOf(_) => Some(','),
            Self::List(separator) => Some(separator),
            Self::Boolean
            | Self::Int(_)
            | Self::Long(_)
            | Self::Ratio
            | Self::OneOf(_)
            | Self::Text => None,
        }
    }

    /// Checks a value.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(self, value: &str) -> Result<(), String> {
        fits(self, value)
    }
}

/// One config a topic can have.
#[derive(Clone, Copy, Debug)]
pub struct ConfigDef {
    /// Kafka's name.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Its value when nobody sets it.
    pub default: &'static str,
    /// What it does here.
    pub doc: &'static str,
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
const INERT: &str = "Accepted and shown for Kafka's tools; has no effect here.";

/// Every Kafka topic config, sorted by name.
pub const CONFIGS: &[ConfigDef] = &[
    def(
        "cleanup.policy",
        Kind::ListOf(&["delete", "compact"]),
        "delete",
        "How old data goes.",
    ),
    def("compression.gzip.level", Kind::Int(-1), "-1", INERT),
    def("compression.lz4.level", Kind::Int(1), "9", INERT),
    def(
        "compression.type",
        Kind::OneOf(&["producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"]),
        "producer",
        "Batches are stored as they were produced, whatever this says.",
    ),
    def("compression.zstd.level", Kind::Int(-131_072), "3", INERT),
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
        Kind::Text,
        "",
        INERT,
    ),
    def("index.interval.bytes", Kind::Int(0), "4096", INERT),
    def(
        "leader.replication.throttled.replicas",
        Kind::Text,
        "",
        INERT,
    ),
    def("local.retention.bytes", Kind::Long(-2), "-2", INERT),
    def("local.retention.ms", Kind::Long(-2), "-2", INERT),
    def(
        "max.compaction.lag.ms",
        Kind::Long(1),
        FOREVER,
        "A record older than this is compacted without waiting for the dirty ratio.",
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
        "Clamped to 1: there is one broker.",
    ),
    def("preallocate", Kind::Boolean, "false", INERT),
    def("remote.log.copy.disable", Kind::Boolean, "false", INERT),
    def(
        "remote.log.delete.on.disable",
        Kind::Boolean,
        "false",
        INERT,
    ),
    def("remote.storage.enable", Kind::Boolean, "false", INERT),
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
    pub name: String,
    /// What is wrong and what would be right.
    pub reason: String,
}

impl From<policy::ConfigError> for ConfigError {
    fn from(error: policy::ConfigError) -> Self {
        Self {
            name: error.key,
            reason: error.reason,
        }
    }
}

/// What a topic config, a contract's included, takes, and its value when nobody sets it.
#[must_use]
pub fn kind_and_default(name: &str) -> Option<(Kind, &'static str)> {
    if let Some(def) = CONFIGS.iter().find(|def| def.name == name) {
        return Some((def.kind, def.default));
    }
    let def = policy::CONFIGS.iter().find(|def| def.name == name)?;
    Some((contract_kind(def.name), def.default))
}

/// What a contract config takes; whether the text fits is for the contract to say.
#[must_use]
pub fn contract_kind(name: &str) -> Kind {
    match name {
        "avouch.key.subjects" | "avouch.value.subjects" => Kind::List(','),
        "avouch.bypass.principals" => Kind::List(';'),
        _ => Kind::Text,
    }
}

/// What the broker itself reads of a topic's configs.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicSettings {
    /// The largest batch, in bytes as produced.
    pub max_message_bytes: usize,
    /// Whether keys are required, as in Kafka's compacted topics.
    pub compacted: bool,
    /// Whether old segments are deleted.
    pub deletes: bool,
    /// Whether the broker's clock overwrites record timestamps.
    pub log_append_time: bool,
    /// How far ahead of the clock a record may be, in milliseconds.
    pub timestamp_after_max_ms: i64,
    /// How far behind it, in milliseconds.
    pub timestamp_before_max_ms: i64,
    /// How long an append may stay unsynced in mode `os`, in milliseconds.
    pub flush_ms: i64,
    /// What the log does with each partition's data.
    pub log: PartitionSettings,
}

/// Checks every config a topic is to have, contract configs included, over the broker's defaults.
///
/// # Errors
/// The first name that is unknown or value that does not fit.
pub fn check(
    configs: &BTreeMap<String, String>,
    defaults: &BrokerConfigs,
) -> Result<(), ConfigError> {
    for (name, value) in configs {
        if policy::is_contract_key(name) {
            continue;
        }
        let Some(def) = CONFIGS.iter().find(|def| def.name == name) else {
            return Err(policy::unknown_key(name).into());
        };
        fits(def.kind, value).map_err(|reason| ConfigError {
            name: name.clone(),
            reason,
        })?;
    }
    contract(configs, defaults).map(|_| ())
}

/// The contract that a topic's configs ask for, over the broker's defaults.
///
/// # Errors
/// When they contradict each other or a value does not fit.
pub fn contract(
    configs: &BTreeMap<String, String>,
    defaults: &BrokerConfigs,
) -> Result<Policy, ConfigError> {
    let set = |name: &str| configs.get(name).map(String::as_str);
    Policy::from_layers(set, |name| defaults.value(name)).map_err(ConfigError::from)
}

impl TopicSettings {
    /// Reads the settings out of configs that [`check`] let pass, over the broker's defaults.
    #[must_use]
    pub fn resolve(configs: &BTreeMap<String, String>, defaults: &BrokerConfigs) -> Self {
        let text = |name: &str| {
            let set = configs.get(name).map(String::as_str);
            set.or_else(|| defaults.topic_default(name))
                .unwrap_or_else(|| default_of(name))
        };
        let long = |name: &str| text(name).parse::<i64>().unwrap_or(i64::MAX);
        let cleanup = text("cleanup.policy");
        let has = |policy| cleanup.split(',').any(|word| word.trim() == policy);
        let (deletes, compacted) = (has("delete"), has("compact"));
        let limit = |name: &str| Some(long(name)).filter(|&value| deletes && value >= 0);
        let flush_ms = long("flush.ms");
        let log = PartitionSettings {
            segment_bytes: u64::try_from(long("segment.bytes")).unwrap_or(0),
            segment_ms: long("segment.ms"),
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
            deletes,
            log_append_time: text("message.timestamp.type") == "LogAppendTime",
            timestamp_after_max_ms: long("message.timestamp.after.max.ms"),
            timestamp_before_max_ms: long("message.timestamp.before.max.ms"),
            flush_ms,
            log,
        }
    }
}

fn default_of(name: &str) -> &'static str {
    CONFIGS
        .iter()
        .find(|def| def.name == name)
        .map_or("", |def| def.default)
}

fn fits(kind: Kind, value: &str) -> Result<(), String> {
    let at_least = |parsed: Option<i64>, least: i64, what: &str| match parsed {
        Some(number) if number >= least => Ok(()),
        Some(_) => Err(format!("{value} is below the least value {least}")),
        None => Err(format!("{value:?} is not {what}")),
    };
    match kind {
        Kind::Boolean => match value {
            "true" | "false" => Ok(()),
            _ => Err(format!("{value:?} is not true or false")),
        },
        Kind::Int(least) => at_least(
            value.parse::<i32>().ok().map(i64::from),
            i64::from(least),
            "a 32-bit integer",
        ),
        Kind::Long(least) => at_least(value.parse().ok(), least, "a 64-bit integer"),
        Kind::Ratio => match value.parse::<f64>() {
            Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(()),
            _ => Err(format!("{value:?} is not a number from 0 to 1")),
        },
        Kind::OneOf(words) => one_of(words, value),
        Kind::ListOf(words) => words_of(value, ',').try_for_each(|word| one_of(words, word)),
        Kind::List(_) | Kind::Text => Ok(()),
    }
}

/// The words of a list; none in an empty text.
pub(super) fn words_of(value: &str, separator: char) -> impl Iterator<Item = &str> {
    value
        .split(separator)
        .map(str::trim)
        .filter(|word| !word.is_empty())
}

fn one_of(words: &[&str], value: &str) -> Result<(), String> {
    if words.contains(&value) {
        Ok(())
    } else {
        Err(format!("{value:?} is not one of {}", words.join(", ")))
    }
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
            assert_eq!(fits(def.kind, def.default), Ok(()), "{}", def.name);
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
