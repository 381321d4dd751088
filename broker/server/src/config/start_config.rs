//! The configs that a broker is started with, under Kafka's names: one table that both reads and
//! tells them, so that what is shown is what was set.
//!
//! Beside the broker's own there are those that topics fall back to; they are kept as they were
//! given, below whatever is changed while the broker runs.

use std::ops::RangeInclusive;
use std::time::Duration;

use thiserror::Error;

use crate::config::BrokerConfig;
use crate::metadata::broker_config;
use crate::metadata::create::PARTITIONS_MAX;
use crate::metadata::topic_config::ConfigError;

/// Why a broker cannot be started with a config. One line each.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StartConfigError {
    /// Kafka has no such broker config, nor have we.
    #[error("there is no broker config \"{0}\"")]
    Unknown(String),
    /// It is shown for Kafka's tools only.
    #[error("\"{0}\" is a config of Kafka's that has no effect here")]
    NoEffect(String),
    /// It has a flag of its own.
    #[error("\"{name}\" is given by {flag}")]
    HasFlag {
        /// The config.
        name: String,
        /// The flag.
        flag: &'static str,
    },
    /// The value does not fit.
    #[error("{name}: {reason}")]
    BadValue {
        /// The config.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl From<ConfigError> for StartConfigError {
    fn from(ConfigError { name, reason }: ConfigError) -> Self {
        Self::BadValue { name, reason }
    }
}

/// Configs that are told by flags of their own, and the flags.
const FLAGS: &[(&str, &str)] = &[
    ("advertised.listeners", "--advertise"),
    ("listeners", "--kafka-listen"),
    ("log.dir", "--data-dir"),
    ("log.dirs", "--data-dir"),
];

/// A config of the broker's own: how it is told and how it is read.
struct Own {
    name: &'static str,
    tell: fn(&BrokerConfig) -> String,
    set: fn(&mut BrokerConfig, &str) -> Result<(), String>,
}

/// A row is `"name": kind(..) at field;`. A whole number is given with its range, times in the unit
/// that Kafka gives them in.
macro_rules! own {
    ($($name:literal: $kind:ident $(($range:expr))? at $($field:ident).+;)*) => {
        &[$(Own {
            name: $name,
            tell: |config| own!(@tell $kind, config.$($field).+),
            set: |config, value| {
                config.$($field).+ = own!(@set $kind, value, $($range)?);
                Ok(())
            },
        }),*]
    };
    (@tell ms, $field:expr) => { $field.as_millis().to_string() };
    (@tell minutes, $field:expr) => { ($field / MINUTE_MS).to_string() };
    (@tell list, $field:expr) => { $field.join(",") };
    (@tell $plain:ident, $field:expr) => { $field.to_string() };
    (@set switch, $value:expr,) => { switch($value)? };
    (@set list, $value:expr,) => { list($value) };
    (@set ms, $value:expr, $range:expr) => {
        Duration::from_millis(number($value, &($range))?.unsigned_abs())
    };
    (@set minutes, $value:expr, $range:expr) => { number($value, &($range))? * MINUTE_MS };
    (@set count, $value:expr, $range:expr) => {
        number($value, &($range))?.try_into().map_err(|_| "is out of range".to_owned())?
    };
}

const MINUTE_MS: i64 = 60_000;
const INT_MAX: i64 = i32::MAX as i64;
/// No sum of two such times overflows.
const MS_MAX: i64 = i64::MAX / 4;

/// Sorted by name.
const OWN: &[Own] = own! {
    "auto.create.topics.enable": switch at auto_create_topics;
    "avouch.auto.exclude": list at auto_exclude;
    "connections.max.idle.ms": ms(1..=MS_MAX) at limits.connections.idle_timeout;
    "fetch.max.bytes": count(1_024..=INT_MAX) at limits.fetch_bytes_max;
    "group.initial.rebalance.delay.ms": count(0..=INT_MAX) at groups.initial_rebalance_delay_ms;
    "group.max.session.timeout.ms": count(1..=INT_MAX) at groups.session_timeout_max_ms;
    "group.max.size": count(1..=INT_MAX) at groups.members_max;
    "group.min.session.timeout.ms": count(1..=INT_MAX) at groups.session_timeout_min_ms;
    "log.retention.check.interval.ms": ms(1..=MS_MAX) at retention_check;
    "max.connection.creation.rate": count(1..=INT_MAX)
        at limits.connections.connections_per_ip_and_second_max;
    "max.connections": count(1..=INT_MAX) at limits.connections.connections_max;
    "max.connections.per.ip": count(1..=INT_MAX) at limits.connections.connections_per_ip_max;
    "max.decompressed.message.bytes": count(1_024..=INT_MAX) at limits.inflated_bytes_max;
    "num.partitions": count(1..=PARTITIONS_MAX.into()) at default_partition_count;
    "offset.metadata.max.bytes": count(0..=INT_MAX) at groups.offset_metadata_bytes_max;
    "offsets.retention.check.interval.ms": count(1..=MS_MAX) at groups.retention_check_interval_ms;
    "offsets.retention.minutes": minutes(1..=INT_MAX) at groups.offsets_retention_ms;
    "offsets.topic.num.partitions": count(1..=PARTITIONS_MAX.into()) at groups.offsets_partitions;
    "offsets.topic.segment.bytes": count(1_024..=INT_MAX) at groups.offsets_segment_bytes;
    "partitions.max": count(1..=INT_MAX) at limits.partitions_max;
    "queued.max.request.bytes": count(1_048_576..=MS_MAX) at limits.in_flight_bytes_max;
    "socket.request.max.bytes": count(1_024..=INT_MAX) at limits.connections.request_bytes_max;
    "strict.replication": switch at strict_replication;
};

impl BrokerConfig {
    /// Puts configs in force under Kafka's names, those that topics fall back to included.
    ///
    /// # Errors
    /// The first that is none, has no effect, or whose value does not fit it or the others.
    pub fn configure<'a>(
        &mut self,
        configs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<(), StartConfigError> {
        for (name, value) in configs {
            self.configure_one(name, value)?;
            self.configs.insert(name.to_owned(), value.to_owned());
        }
        self.topic_defaults().check()?;
        let (least, most) = (
            self.groups.session_timeout_min_ms,
            self.groups.session_timeout_max_ms,
        );
        if least > most {
            return Err(StartConfigError::BadValue {
                name: "group.min.session.timeout.ms".to_owned(),
                reason: format!("{least} is more than group.max.session.timeout.ms, {most}"),
            });
        }
        Ok(())
    }

    /// The names that [`Self::configure`] takes, to suggest one of them.
    pub fn config_names() -> impl Iterator<Item = &'static str> {
        let own = OWN.iter().map(|own| own.name);
        own.chain(broker_config::changeable_names())
    }

    fn configure_one(&mut self, name: &str, value: &str) -> Result<(), StartConfigError> {
        let bad = |reason| StartConfigError::BadValue {
            name: name.to_owned(),
            reason,
        };
        if let Some(own) = OWN.iter().find(|own| own.name == name) {
            return (own.set)(self, value).map_err(bad);
        }
        if let Some((kind, _)) = broker_config::changeable(name) {
            return kind.check(value).map_err(bad);
        }
        let name = name.to_owned();
        Err(match FLAGS.iter().find(|(given, _)| *given == name) {
            Some((_, flag)) => StartConfigError::HasFlag { name, flag },
            None if broker_config::exists(&name) => StartConfigError::NoEffect(name),
            None => StartConfigError::Unknown(name),
        })
    }

    /// What topics fall back to as far as it was given at start.
    pub(crate) fn topic_defaults(&self) -> broker_config::BrokerConfigs {
        broker_config::BrokerConfigs {
            started: self.configs.clone(),
            ..broker_config::BrokerConfigs::default()
        }
    }

    /// The broker's own configs as they are in force.
    pub(crate) fn own_configs(&self) -> impl Iterator<Item = (&'static str, String)> {
        OWN.iter().map(|own| (own.name, (own.tell)(self)))
    }
}

fn switch(value: &str) -> Result<bool, String> {
    value
        .parse()
        .map_err(|_| format!("{value:?} is not true or false"))
}

fn list(value: &str) -> Vec<String> {
    let words = value.split(',').map(str::trim);
    words
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

fn number(value: &str, range: &RangeInclusive<i64>) -> Result<i64, String> {
    let number: i64 = value
        .trim()
        .parse()
        .map_err(|_| format!("{value:?} is not a whole number"))?;
    if range.contains(&number) {
        return Ok(number);
    }
    let (least, most) = (range.start(), range.end());
    Err(format!("{number} is not {least} to {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::broker_config::Meaning;

    fn fresh() -> BrokerConfig {
        BrokerConfig::new("unused".into())
    }

    // Conformance: broker/admin-19
    #[test]
    fn every_own_config_is_a_start_config_of_kafkas_table_and_takes_what_it_tells() {
        assert!(OWN.is_sorted_by_key(|own| own.name));
        for (name, told) in fresh().own_configs() {
            let def = broker_config::all().iter().find(|def| def.name == name);
            assert_eq!(def.map(|def| def.meaning), Some(Meaning::Start), "{name}");
            let mut config = fresh();
            config.configure([(name, told.as_str())]).unwrap();
            let again = config.own_configs().find(|(own, _)| *own == name);
            assert_eq!(again.map(|(_, told)| told), Some(told), "{name}");
        }
    }

    #[test]
    fn configs_are_set_under_kafkas_names() {
        let mut config = fresh();
        let set = [
            ("auto.create.topics.enable", "false"),
            ("avouch.auto.exclude", "a*, b"),
            ("connections.max.idle.ms", "7"),
            ("offsets.retention.minutes", "2"),
            ("num.partitions", "12"),
            ("log.retention.ms", "1000"),
        ];
        config.configure(set).unwrap();
        assert!(!config.auto_create_topics);
        assert_eq!(config.auto_exclude, ["a*", "b"]);
        assert_eq!(
            config.limits.connections.idle_timeout,
            Duration::from_millis(7)
        );
        assert_eq!(config.groups.offsets_retention_ms, 120_000);
        assert_eq!(config.default_partition_count, 12);
        let defaults = config.topic_defaults();
        assert_eq!(defaults.topic_default("retention.ms"), Some("1000"));
    }

    #[test]
    fn what_cannot_be_set_is_refused_and_says_why() {
        let cases = [
            (
                "num.partition",
                "1",
                "there is no broker config \"num.partition\"",
            ),
            (
                "num.io.threads",
                "8",
                "\"num.io.threads\" is a config of Kafka's that has no effect here",
            ),
            ("log.dirs", "/tmp", "\"log.dirs\" is given by --data-dir"),
            ("num.partitions", "0", "num.partitions: 0 is not 1 to 1000"),
            (
                "num.partitions",
                "many",
                "num.partitions: \"many\" is not a whole number",
            ),
            (
                "strict.replication",
                "yes",
                "strict.replication: \"yes\" is not true or false",
            ),
            (
                "log.retention.ms",
                "-2",
                "log.retention.ms: -2 is below the least value -1",
            ),
            (
                "group.min.session.timeout.ms",
                "1800001",
                "group.min.session.timeout.ms: 1800001 is more than group.max.session.timeout.ms, \
                 1800000",
            ),
            ("avouch.enforcement", "perhaps", "avouch.enforcement: "),
        ];
        for (name, value, expected) in cases {
            let refused = fresh().configure([(name, value)]).unwrap_err().to_string();
            assert!(refused.starts_with(expected), "{refused}");
            assert!(!refused.contains('\n'), "{refused}");
        }
    }
}
