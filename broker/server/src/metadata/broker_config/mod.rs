//! The broker's own configs: which there are, which may be changed while it runs, and what was
//! changed, for this broker or for all.
//!
//! Invariant: what can be changed has an effect at once, namely as a default of topics. Whatever
//! else the broker was started with stays as it is and is shown as read-only.

mod table;

use std::collections::BTreeMap;

use avouch_contract::{Policy, keys};

use super::topic_config::{self, ConfigError, Kind, ValueType};

/// What the level an alias's `true` means is called; see [`Policy::from_layers`].
pub(crate) const COMPAT_LEVEL: &str = "avouch.compat.level";

/// One config a broker can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BrokerConfigDef {
    /// Kafka's name.
    pub(crate) name: &'static str,
    /// What it takes.
    pub(crate) value_type: ValueType,
    /// Its value when nobody sets it.
    pub(crate) default: Option<&'static str>,
    /// What it does here.
    pub(crate) meaning: Meaning,
}

/// What a broker config does here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// It is the default of this topic config, and may be changed while the broker runs.
    DefaultOf(&'static str),
    /// The broker got its value when it was started.
    Start,
    /// Nothing: it is shown, with Kafka's default, for Kafka's tools.
    Inert,
}

/// Whose config it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Every broker's.
    Cluster,
    /// This broker's alone; wins over the cluster's.
    Broker,
}

/// What was given to this broker when it was started, and changed while brokers ran.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BrokerConfigs {
    /// At start, for this broker; whatever was changed wins over it.
    pub(crate) started: BTreeMap<String, String>,
    /// For every broker.
    pub(crate) cluster: BTreeMap<String, String>,
    /// For this one.
    pub(crate) broker: BTreeMap<String, String>,
}

/// Every broker config but those of contracts, sorted by name.
#[must_use]
pub(crate) fn all() -> &'static [BrokerConfigDef] {
    table::CONFIGS
}

/// The broker config that is the default of a topic config; contract configs have one name in both
/// places.
#[must_use]
pub(crate) fn default_of(topic_config: &str) -> Option<&'static str> {
    let contract = keys::CONFIGS.iter().find(|def| def.name == topic_config);
    let is_default = |def: &&BrokerConfigDef| match def.meaning {
        Meaning::DefaultOf(name) => name == topic_config,
        Meaning::Start | Meaning::Inert => false,
    };
    contract
        .map(|def| def.name)
        .or_else(|| table::CONFIGS.iter().find(is_default).map(|def| def.name))
}

/// What a config that may be changed while the broker runs takes, and its default.
#[must_use]
pub(crate) fn changeable(name: &str) -> Option<(Kind, &'static str)> {
    if name == COMPAT_LEVEL {
        return Some((Kind::OneOf(&["payload", "id"]), "payload"));
    }
    if keys::is_contract_key(name) {
        return topic_config::kind_and_default(name);
    }
    let def = table::CONFIGS.iter().find(|def| def.name == name)?;
    match def.meaning {
        Meaning::DefaultOf(topic_config) => topic_config::kind_and_default(topic_config),
        Meaning::Start | Meaning::Inert => None,
    }
}

/// The names of configs that may be changed while the broker runs.
pub(crate) fn changeable_names() -> impl Iterator<Item = &'static str> {
    let kafkas = table::CONFIGS.iter().filter(|def| match def.meaning {
        Meaning::DefaultOf(_) => true,
        Meaning::Start | Meaning::Inert => false,
    });
    let contracts = keys::CONFIGS.iter().map(|def| def.name);
    let names = kafkas.map(|def| def.name).chain(contracts);
    names.chain([COMPAT_LEVEL])
}

/// Whether there is a broker config of this name at all.
#[must_use]
pub(crate) fn exists(name: &str) -> bool {
    changeable(name).is_some() || table::CONFIGS.iter().any(|def| def.name == name)
}

impl BrokerConfigs {
    /// The value in force of one that was given or changed.
    #[must_use]
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let changed = self.broker.get(name).or_else(|| self.cluster.get(name));
        let value = changed.or_else(|| self.started.get(name));
        value.map(String::as_str)
    }

    /// What topics that do not set a topic config themselves have, if that was changed.
    #[must_use]
    pub(crate) fn topic_default(&self, topic_config: &str) -> Option<&str> {
        self.value(default_of(topic_config)?)
    }

    /// The configs of one scope.
    #[must_use]
    pub(crate) fn scope(&self, scope: Scope) -> &BTreeMap<String, String> {
        match scope {
            Scope::Cluster => &self.cluster,
            Scope::Broker => &self.broker,
        }
    }

    /// The same with other configs in one scope.
    #[must_use]
    pub(crate) fn with(&self, scope: Scope, configs: BTreeMap<String, String>) -> Self {
        let mut changed = self.clone();
        match scope {
            Scope::Cluster => changed.cluster = configs,
            Scope::Broker => changed.broker = configs,
        }
        changed
    }

    /// Checks every config that was given or changed; the scopes alone, then together.
    ///
    /// # Errors
    /// The first whose value does not fit, or contradicts another.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let changed = self.cluster.iter().chain(&self.broker);
        for (name, value) in self.started.iter().chain(changed) {
            if keys::is_contract_key(name) {
                continue;
            }
            if let Some((kind, _)) = changeable(name) {
                kind.check(value).map_err(|reason| ConfigError {
                    name: name.clone(),
                    reason,
                })?;
            }
        }
        topic_config::agree(|name| {
            self.topic_default(name)
                .unwrap_or_else(|| topic_config::default_of(name))
        })?;
        let policy = Policy::from_layers(|_| None, |name| self.value(name));
        policy.map(|_| ()).map_err(ConfigError::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: broker/admin-2
    #[test]
    fn the_table_is_sorted_and_its_defaults_are_the_topics() {
        assert!(table::CONFIGS.is_sorted_by(|a, b| a.name < b.name));
        for def in table::CONFIGS {
            if let Meaning::DefaultOf(topic_config) = def.meaning {
                let (_, default) = topic_config::kind_and_default(topic_config).unwrap();
                assert!(def.default.is_none_or(|own| own == default), "{}", def.name);
                assert_eq!(default_of(topic_config), Some(def.name));
            }
        }
    }

    #[test]
    fn a_brokers_value_wins_over_the_clusters() {
        let text =
            |value: &str| BTreeMap::from([("log.retention.ms".to_owned(), value.to_owned())]);
        let configs = BrokerConfigs::default()
            .with(Scope::Cluster, text("1"))
            .with(Scope::Broker, text("2"));
        assert_eq!(configs.topic_default("retention.ms"), Some("2"));
        let only_clusters = configs.with(Scope::Broker, BTreeMap::new());
        assert_eq!(only_clusters.topic_default("retention.ms"), Some("1"));
        assert_eq!(only_clusters.topic_default("retention.bytes"), None);
    }

    // Conformance: broker/admin-6
    #[test]
    fn only_defaults_of_topics_change_in_a_running_broker() {
        for name in [
            "log.retention.ms",
            "message.max.bytes",
            "avouch.enforcement",
            COMPAT_LEVEL,
        ] {
            assert!(changeable(name).is_some(), "{name}");
        }
        for name in [
            "num.partitions",
            "log.dirs",
            "num.io.threads",
            "no.such.config",
        ] {
            assert!(changeable(name).is_none(), "{name}");
        }
        assert!(exists("num.partitions") && !exists("no.such.config"));
    }

    #[test]
    fn bad_and_contradicting_values_are_refused_by_name() {
        for (pairs, name) in [
            (&[("log.retention.ms", "soon")][..], "log.retention.ms"),
            (&[(COMPAT_LEVEL, "perhaps")], COMPAT_LEVEL),
            (&[("avouch.enforcement", "perhaps")], "avouch.enforcement"),
            (
                &[
                    ("avouch.value.validation", "none"),
                    ("confluent.value.schema.validation", "true"),
                ],
                "confluent.value.schema.validation",
            ),
        ] {
            let configs = pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            let refused = BrokerConfigs::default()
                .with(Scope::Cluster, configs)
                .check();
            assert_eq!(refused.unwrap_err().name, name);
        }
    }
}
