//! The broker's own configs: the table, which of them can be changed while the broker runs, and
//! what was set at startup or changed, for this broker or for all.
//!
//! Invariant: a change takes effect at once if the config is the default of a topic config, and is
//! stored otherwise. Everything else is read-only.

pub(crate) mod setting;
mod table;

use std::collections::BTreeMap;

use avouch_contract::{Policy, keys};

use super::topic_config::{self, ConfigDef, ConfigError, Kind};
use setting::Setting;

/// The level that `true` of an alias means; see [`Policy::from_layers`].
pub(crate) const COMPAT_LEVEL: BrokerConfigDef = BrokerConfigDef {
    name: "avouch.compat.level",
    kind: Kind::OneOf(&["payload", "id"]),
    default: Some("payload"),
    role: Role::Contract(
        "Level of other systems' validation configs that are true: payload or id.",
    ),
};

/// One broker config.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BrokerConfigDef {
    /// Kafka's name.
    pub(crate) name: &'static str,
    /// The accepted values.
    pub(crate) kind: Kind,
    /// Kafka's default; `None` for null.
    pub(crate) default: Option<&'static str>,
    /// The effect.
    pub(crate) role: Role,
}

/// The effect of a broker config.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    /// The default of a topic config; can be changed while the broker runs.
    DefaultOf(&'static ConfigDef),
    /// A default of contracts with this documentation; can be changed while the broker runs.
    Contract(&'static str),
    /// A field of the broker's configuration, set at startup.
    Setting(Setting),
    /// Set at startup by other means, such as the flag.
    Fixed(Option<&'static str>),
    /// None, but changes are stored, because Kafka changes it at run time.
    Stored,
    /// None.
    NoEffect,
}

/// The brokers that a config applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Every broker.
    Cluster,
    /// This broker; overrides the cluster's.
    Broker,
}

/// The configs set at startup, and those changed while brokers ran.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BrokerConfigs {
    /// Set at startup of this broker; overridden by changes.
    pub(crate) started: BTreeMap<String, String>,
    /// Changed for every broker.
    pub(crate) cluster: BTreeMap<String, String>,
    /// Changed for this broker.
    pub(crate) broker: BTreeMap<String, String>,
}

/// Returns every broker config: the table, then those of contracts.
pub(crate) fn all() -> impl Iterator<Item = BrokerConfigDef> {
    let contract = keys::CONFIGS.iter().map(contract_config);
    let kafka = table::CONFIGS.iter().copied();
    kafka.chain(contract).chain([COMPAT_LEVEL])
}

/// Returns the broker config called `name`.
#[must_use]
pub(crate) fn find(name: &str) -> Option<BrokerConfigDef> {
    all().find(|def| def.name == name)
}

fn contract_config(def: &keys::ConfigDef) -> BrokerConfigDef {
    BrokerConfigDef {
        name: def.name,
        kind: topic_config::contract_kind(def),
        default: Some(def.default),
        role: Role::Contract(def.doc),
    }
}

/// Returns the broker config that is the default of a topic config; a contract config has one name
/// in both places.
#[must_use]
pub(crate) fn default_of(topic_config: &str) -> Option<&'static str> {
    let contract = keys::CONFIGS.iter().find(|def| def.name == topic_config);
    let is_default = |def: &&BrokerConfigDef| match def.role {
        Role::DefaultOf(of) => of.name == topic_config,
        _ => false,
    };
    contract
        .map(|def| def.name)
        .or_else(|| table::CONFIGS.iter().find(is_default).map(|def| def.name))
}

/// Returns the kind and the default of a config that can be changed while the broker runs.
#[must_use]
pub(crate) fn changeable(name: &str) -> Option<(Kind, &'static str)> {
    let def = find(name).filter(BrokerConfigDef::is_dynamic)?;
    let default = match def.role {
        // Kafka's default of some is null, which means the topic config's default.
        Role::DefaultOf(topic_config) => topic_config.default,
        _ => def.default.unwrap_or_default(),
    };
    Some((def.kind, default))
}

impl BrokerConfigDef {
    /// Returns true if the config can be changed while the broker runs.
    #[must_use]
    pub(crate) fn is_dynamic(&self) -> bool {
        match self.role {
            Role::DefaultOf(_) | Role::Contract(_) | Role::Stored => true,
            Role::Setting(setting) => setting.is_dynamic,
            Role::Fixed(_) | Role::NoEffect => false,
        }
    }

    /// Returns the documentation: the effect, and when a change takes effect.
    #[must_use]
    pub(crate) fn doc(&self) -> &'static str {
        match self.role {
            Role::DefaultOf(topic_config) => topic_config.doc,
            Role::Contract(doc) => doc,
            Role::Setting(setting) => setting.doc,
            Role::Fixed(_) => "Set at startup.",
            Role::Stored => "Stored for Kafka's tools; has no effect.",
            Role::NoEffect => topic_config::NO_EFFECT,
        }
    }
}

impl BrokerConfigs {
    /// Returns the effective value of a config that was set or changed.
    #[must_use]
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let changed = self.broker.get(name).or_else(|| self.cluster.get(name));
        let value = changed.or_else(|| self.started.get(name));
        value.map(String::as_str)
    }

    /// Returns the default of a topic config if it was set or changed.
    #[must_use]
    pub(crate) fn topic_default(&self, topic_config: &str) -> Option<&str> {
        self.value(default_of(topic_config)?)
    }

    /// Returns the configs of one scope.
    #[must_use]
    pub(crate) fn scope(&self, scope: Scope) -> &BTreeMap<String, String> {
        match scope {
            Scope::Cluster => &self.cluster,
            Scope::Broker => &self.broker,
        }
    }

    /// Returns these configs with others in one scope.
    #[must_use]
    pub(crate) fn with(&self, scope: Scope, configs: BTreeMap<String, String>) -> Self {
        let mut changed = self.clone();
        match scope {
            Scope::Cluster => changed.cluster = configs,
            Scope::Broker => changed.broker = configs,
        }
        changed
    }

    /// Returns these configs after replacing those of one scope. Each changed value is checked and
    /// stored as Kafka prints it. A value that the scope has already is not checked again, because
    /// an older version may have accepted it.
    ///
    /// # Errors
    /// If a value is invalid or contradicts another.
    pub(crate) fn changed(
        &self,
        scope: Scope,
        mut configs: BTreeMap<String, String>,
    ) -> Result<Self, ConfigError> {
        for (name, value) in &mut configs {
            if self.scope(scope).get(name) == Some(value) {
                continue;
            }
            // A name without kind was stored by a version that knew it; it stays as it is.
            if let Some((kind, _)) = changeable(name) {
                *value = kind.parse(name, value)?.to_string();
            }
        }
        let changed = self.with(scope, configs);
        changed.check()?;
        Ok(changed)
    }

    /// Checks the combination of the configs. Each value is valid for its own config.
    ///
    /// # Errors
    /// If a value contradicts another.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        topic_config::check_combination(|name| {
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
    fn table_is_sorted_with_valid_defaults() {
        assert!(table::CONFIGS.is_sorted_by(|a, b| a.name < b.name));
        for def in table::CONFIGS {
            if let Role::DefaultOf(topic_config) = def.role {
                let same = def.default.is_none_or(|own| own == topic_config.default);
                assert!(same, "{}", def.name);
                assert_eq!(default_of(topic_config.name), Some(def.name));
            }
            // The defaults of settings are Kafka's and may be beyond Avouch's range.
            if let (Some(default), Role::Stored | Role::NoEffect) = (def.default, def.role) {
                assert!(def.kind.parse(def.name, default).is_ok(), "{}", def.name);
            }
        }
    }

    #[test]
    fn broker_value_overrides_cluster_value() {
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

    // Conformance: broker/admin-6, broker/admin-24
    #[test]
    fn kafkas_dynamic_configs_can_be_changed() {
        for name in [
            "log.retention.ms",
            "message.max.bytes",
            "avouch.enforcement",
            COMPAT_LEVEL.name,
            "log.cleaner.backoff.ms",
            "num.io.threads",
            "max.connections",
        ] {
            assert!(changeable(name).is_some(), "{name}");
        }
        for name in [
            "num.partitions",
            "log.dirs",
            "broker.rack",
            "no.such.config",
        ] {
            assert!(changeable(name).is_none(), "{name}");
        }
        assert!(find("num.partitions").is_some() && find("no.such.config").is_none());
    }

    #[test]
    fn documentation_describes_the_effect() {
        let has_effect = |name| !find(name).unwrap().doc().contains("no effect");
        assert!(!has_effect("log.cleaner.backoff.ms"));
        assert!(!has_effect("log.preallocate"));
        assert!(has_effect("log.retention.ms"));
        let doc = find("max.connections").unwrap().doc();
        assert!(doc.contains("takes effect at the next start"), "{doc}");
    }

    #[test]
    fn invalid_and_contradicting_values_are_rejected() {
        for (pairs, named) in [
            (&[("log.retention.ms", "soon")][..], "log.retention.ms"),
            (&[("log.cleaner.threads", "many")], "log.cleaner.threads"),
            (&[(COMPAT_LEVEL.name, "perhaps")], COMPAT_LEVEL.name),
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
            let rejected = BrokerConfigs::default().changed(Scope::Cluster, configs);
            let message = rejected.unwrap_err().to_string();
            assert!(message.contains(named), "{message}");
        }
    }
}
