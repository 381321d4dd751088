//! The configs that a broker is started with, under Kafka's names. `metadata::broker_config` has
//! the table.
//!
//! Those that are defaults of topic configs are stored as values and overridden by changes at run
//! time; all others set a field of [`BrokerConfig`].

use thiserror::Error;

use crate::config::BrokerConfig;
use crate::metadata::broker_config::{self, BrokerConfigs, Role};
use crate::metadata::topic_config::{ConfigError, ConfigValueError};

/// A config that a broker cannot be started with. One line each.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StartConfigError {
    /// Neither Kafka nor Avouch has a broker config of this name.
    #[error("unknown broker config \"{0}\"")]
    Unknown(String),
    /// Kafka's config has no effect in Avouch.
    #[error("broker config \"{0}\" of Kafka has no effect in Avouch")]
    NoEffect(String),
    /// The config has a flag of its own.
    #[error("broker config \"{name}\" is set by {flag}")]
    HasFlag {
        /// The config.
        name: String,
        /// The flag.
        flag: &'static str,
    },
    /// The value is invalid, alone or with the others.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl From<ConfigValueError> for StartConfigError {
    fn from(error: ConfigValueError) -> Self {
        Self::Config(error.into())
    }
}

impl BrokerConfig {
    /// Sets configs under Kafka's names, defaults of topic configs included.
    ///
    /// # Errors
    /// Returns the first config that is unknown, has no effect, or whose value is invalid, alone or
    /// with the others.
    pub fn configure<'a>(
        &mut self,
        configs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<(), StartConfigError> {
        for (name, value) in configs {
            let value = self.configure_one(name, value)?;
            // Kept although a field has the value: a config that was set is described as static
            // even if it equals the default.
            self.configs.insert(name.to_owned(), value);
        }
        // After all are set, because configs may depend on each other in any order.
        self.topic_defaults().check()?;
        self.check_combination()?;
        Ok(())
    }

    /// Returns the names that [`Self::configure`] accepts, to suggest one of them.
    pub fn config_names() -> impl Iterator<Item = &'static str> {
        let settable = broker_config::all().filter(|def| match def.role {
            Role::Setting(_) | Role::DefaultOf(_) | Role::Contract(_) => true,
            Role::Fixed(_) | Role::Stored | Role::NoEffect => false,
        });
        settable.map(|def| def.name)
    }

    /// Sets one config and returns its value as it is described.
    fn configure_one(&mut self, name: &str, value: &str) -> Result<String, StartConfigError> {
        let unknown = || StartConfigError::Unknown(name.to_owned());
        let def = broker_config::find(name).ok_or_else(unknown)?;
        let parsed = match def.role {
            Role::DefaultOf(_) | Role::Contract(_) => def.kind.parse(name, value)?,
            Role::Setting(setting) => {
                let parsed = def.kind.parse(name, value)?;
                (setting.write)(self, &parsed).ok_or_else(|| def.kind.invalid(name, value))?;
                parsed
            }
            Role::Fixed(Some(flag)) => {
                let name = name.to_owned();
                return Err(StartConfigError::HasFlag { name, flag });
            }
            Role::Fixed(None) | Role::Stored | Role::NoEffect => {
                return Err(StartConfigError::NoEffect(name.to_owned()));
            }
        };
        Ok(parsed.to_string())
    }

    /// Sets the fields whose configs were changed while a broker ran. Such a change takes effect at
    /// the next start.
    pub(crate) fn apply_changes(&mut self, changed: &BrokerConfigs) -> Result<(), ConfigError> {
        for def in broker_config::all() {
            if let Role::Setting(setting) = def.role
                && setting.is_dynamic
                // Includes those that were set at startup, which have the lowest precedence.
                && let Some(value) = changed.value(def.name)
            {
                let parsed = def.kind.parse(def.name, value)?;
                (setting.write)(self, &parsed).ok_or_else(|| def.kind.invalid(def.name, value))?;
            }
        }
        Ok(())
    }

    fn check_combination(&self) -> Result<(), ConfigValueError> {
        let (min, max) = (
            self.groups.session_timeout_min_ms,
            self.groups.session_timeout_max_ms,
        );
        if min <= max {
            return Ok(());
        }
        Err(ConfigValueError {
            key: "group.min.session.timeout.ms".to_owned(),
            value: min.to_string(),
            expected: format!("at most group.max.session.timeout.ms, {max}"),
        })
    }

    /// Returns the defaults of topic configs that were set at startup.
    pub(crate) fn topic_defaults(&self) -> BrokerConfigs {
        BrokerConfigs {
            started: self.configs.clone(),
            ..BrokerConfigs::default()
        }
    }

    /// Returns the effective values of the configs that set a field.
    pub(crate) fn own_configs(&self) -> impl Iterator<Item = (&'static str, String)> {
        broker_config::all().filter_map(|def| match def.role {
            Role::Setting(setting) => Some((def.name, (setting.read)(self).to_string())),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn fresh() -> BrokerConfig {
        BrokerConfig::new("unused".into())
    }

    // Conformance: broker/admin-19
    #[test]
    fn settings_accept_their_own_values() {
        for (name, value) in fresh().own_configs() {
            let mut config = fresh();
            config.configure([(name, value.as_str())]).unwrap();
            let again = config.own_configs().find(|(other, _)| *other == name);
            assert_eq!(again.map(|(_, value)| value), Some(value), "{name}");
        }
        assert!(fresh().own_configs().count() > 20);
    }

    // Conformance: operation/6
    #[test]
    fn own_configs_are_documented() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations.md");
        let page = std::fs::read_to_string(page).unwrap();
        for (name, _) in fresh().own_configs() {
            assert!(page.contains(&format!("`{name}`")), "{name}");
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

    // Conformance: broker/admin-24
    #[test]
    fn values_are_trimmed_and_case_insensitive() {
        let mut config = fresh();
        let set = [
            ("auto.create.topics.enable", " FALSE "),
            ("num.partitions", " 7\t"),
            ("log.retention.ms", " 1000 "),
            ("log.preallocate", "True"),
            ("confluent.value.schema.validation", "TRUE"),
        ];
        config.configure(set).unwrap();
        assert!(!config.auto_create_topics);
        assert_eq!(config.default_partition_count, 7);
        assert_eq!(config.configs["auto.create.topics.enable"], "false");
        assert_eq!(config.configs["log.retention.ms"], "1000");
        assert_eq!(config.configs["log.preallocate"], "true");
    }

    #[test]
    fn invalid_configs_are_rejected_with_reason() {
        let cases = [
            (
                "num.partition",
                "1",
                "unknown broker config \"num.partition\"",
            ),
            (
                "num.io.threads",
                "8",
                "broker config \"num.io.threads\" of Kafka has no effect in Avouch",
            ),
            (
                "log.dirs",
                "/tmp",
                "broker config \"log.dirs\" is set by --data-dir",
            ),
            (
                "num.partitions",
                "0",
                "invalid value \"0\" of num.partitions; expected a 32-bit integer from 1 to 1000",
            ),
            (
                "strict.replication",
                "yes",
                "invalid value \"yes\" of strict.replication; expected true or false",
            ),
            (
                "log.retention.ms",
                "-2",
                "invalid value \"-2\" of log.retention.ms; expected a 64-bit integer of at least \
                 -1",
            ),
            (
                "group.min.session.timeout.ms",
                "1800001",
                "invalid value \"1800001\" of group.min.session.timeout.ms; expected at most \
                 group.max.session.timeout.ms, 1800000",
            ),
            ("avouch.enforcement", "perhaps", "avouch.enforcement: "),
        ];
        for (name, value, expected) in cases {
            let error = fresh().configure([(name, value)]).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
