//! Effective configs: each with its value, the source of the value and its synonyms, defaults
//! included.

use std::collections::BTreeMap;

use avouch_contract::keys;

use super::broker_config::{self, BrokerConfigDef, BrokerConfigs, Scope};
use super::cluster::{Cluster, Topic};
use super::topic_config::{self, ValueType};

/// The source of a config's value (`DescribeConfigsResponse.ConfigSource`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub(crate) enum Source {
    /// Set on the topic.
    Topic = 1,
    /// Changed for this broker while it ran.
    Broker = 2,
    /// Changed for all brokers while they ran.
    Cluster = 3,
    /// Set at startup of the broker.
    Static = 4,
    /// Not set.
    Default = 5,
}

impl Source {
    /// Returns Kafka's number of the source.
    #[must_use]
    pub(crate) fn code(self) -> i8 {
        self as i8
    }
}

/// A value that a config has, or would have without those before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Synonym {
    /// The name of the config that has the value.
    pub(crate) name: &'static str,
    /// The value; `None` for null.
    pub(crate) value: Option<String>,
    /// The source of the value.
    pub(crate) source: Source,
}

/// One effective config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EffectiveConfig {
    /// The name.
    pub(crate) name: &'static str,
    /// The type of the values.
    pub(crate) value_type: ValueType,
    /// The value and those that it overrides; never empty.
    pub(crate) synonyms: Vec<Synonym>,
    /// True if the config cannot be changed while the broker runs.
    pub(crate) read_only: bool,
    /// The documentation.
    pub(crate) doc: &'static str,
}

impl EffectiveConfig {
    /// Returns the effective value, `None` for null.
    #[must_use]
    pub(crate) fn value(&self) -> Option<&str> {
        self.synonyms.first()?.value.as_deref()
    }

    /// Returns the source of the value.
    #[must_use]
    pub(crate) fn source(&self) -> Source {
        self.synonyms
            .first()
            .map_or(Source::Default, |first| first.source)
    }

    /// Returns true if the value must not be shown.
    #[must_use]
    pub(crate) fn is_sensitive(&self) -> bool {
        self.value_type == ValueType::Password
    }
}

/// Returns every config of a topic: Kafka's, then the contract's.
#[must_use]
pub(crate) fn of_topic(topic: &Topic, cluster: &Cluster) -> Vec<EffectiveConfig> {
    let config = |name: &'static str, value_type, default: &str, doc| {
        let broker_name = broker_config::default_of(name);
        let mut synonyms = Vec::new();
        if let Some(value) = topic.row.configs.get(name) {
            synonyms.push(synonym(name, Some(value), Source::Topic));
        }
        if let Some(broker_name) = broker_name {
            synonyms.extend(changed(broker_name, cluster.broker_configs()));
        }
        synonyms.push(synonym(
            broker_name.unwrap_or(name),
            Some(default),
            Source::Default,
        ));
        EffectiveConfig {
            name,
            value_type,
            synonyms,
            read_only: false,
            doc,
        }
    };
    let kafka = topic_config::described(&topic.row.configs)
        .map(|def| config(def.name, def.kind.value_type(), def.default, def.doc));
    let contract = keys::CONFIGS.iter().map(|def| {
        let value_type = topic_config::contract_kind(def).value_type();
        config(def.name, value_type, def.default, def.doc)
    });
    kafka.chain(contract).collect()
}

/// Returns every config of this broker, which was started with `started`.
#[must_use]
pub(crate) fn of_broker(
    started: &BTreeMap<&'static str, String>,
    cluster: &Cluster,
) -> Vec<EffectiveConfig> {
    broker_config::all()
        .map(|def| of_this_broker(&def, started, cluster.broker_configs()))
        .collect()
}

/// Returns only what was changed for all brokers, as Kafka does for the broker without a name.
#[must_use]
pub(crate) fn of_all_brokers(cluster: &Cluster) -> Vec<EffectiveConfig> {
    // Kafka lists only what was changed, because these values are not those of any broker.
    let changed = cluster.broker_configs().scope(Scope::Cluster);
    let mut configs = of_broker(&BTreeMap::new(), cluster);
    configs.retain(|config| changed.contains_key(config.name));
    for config in &mut configs {
        config
            .synonyms
            .retain(|synonym| !matches!(synonym.source, Source::Broker | Source::Static));
    }
    configs
}

fn of_this_broker(
    def: &BrokerConfigDef,
    started: &BTreeMap<&'static str, String>,
    configs: &BrokerConfigs,
) -> EffectiveConfig {
    let mut synonyms: Vec<Synonym> = changed(def.name, configs).collect();
    // A config that was set explicitly is among them already, even with the default value.
    if let Some(value) = started.get(def.name)
        && !configs.started.contains_key(def.name)
        && Some(value.as_str()) != def.default
    {
        synonyms.push(synonym(def.name, Some(value), Source::Static));
    }
    synonyms.push(synonym(def.name, def.default, Source::Default));
    EffectiveConfig {
        name: def.name,
        value_type: def.kind.value_type(),
        synonyms,
        read_only: !def.is_dynamic(),
        doc: def.doc(),
    }
}

/// Returns the values that a broker config was changed to or started with, the effective one first.
fn changed(name: &'static str, configs: &BrokerConfigs) -> impl Iterator<Item = Synonym> {
    let layers = [
        (configs.scope(Scope::Broker), Source::Broker),
        (configs.scope(Scope::Cluster), Source::Cluster),
        (&configs.started, Source::Static),
    ];
    layers.into_iter().filter_map(move |(layer, source)| {
        let value = layer.get(name)?;
        Some(synonym(name, Some(value), source))
    })
}

fn synonym(name: &'static str, value: Option<&str>, source: Source) -> Synonym {
    Synonym {
        name,
        value: value.map(str::to_owned),
        source,
    }
}
