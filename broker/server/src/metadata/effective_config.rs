//! Configs as they stand: each with its value, where that comes from and what it would be without,
//! defaults included.

use std::collections::BTreeMap;

use avouch_contract::keys;

use super::broker_config::{self, BrokerConfigDef, BrokerConfigs, Meaning, Scope};
use super::cluster::{Cluster, Topic};
use super::topic_config::{self, ValueType};

/// Where a config's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Set on the topic.
    Topic,
    /// Changed for this broker while it ran.
    Broker,
    /// Changed for all brokers while they ran.
    Cluster,
    /// Given to the broker when it was started.
    Start,
    /// Nobody set it.
    Default,
}

impl Source {
    /// Kafka's number for it (`DescribeConfigsResponse.ConfigSource`).
    #[must_use]
    pub(crate) fn code(self) -> i8 {
        match self {
            Self::Topic => 1,
            Self::Broker => 2,
            Self::Cluster => 3,
            Self::Start => 4,
            Self::Default => 5,
        }
    }
}

/// A value that a config has, or would have if those before it were not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Synonym {
    /// The name under which the value was set.
    pub(crate) name: &'static str,
    /// The value.
    pub(crate) value: Option<String>,
    /// Where it comes from.
    pub(crate) source: Source,
}

/// One config as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EffectiveConfig {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it takes.
    pub(crate) value_type: ValueType,
    /// Its value and those that it would fall back to, never empty.
    pub(crate) synonyms: Vec<Synonym>,
    /// Whether it stays as it is while the broker runs.
    pub(crate) read_only: bool,
    /// What it does.
    pub(crate) doc: &'static str,
}

impl EffectiveConfig {
    /// The value in force; `None` for none, or for one that is not to be shown.
    #[must_use]
    pub(crate) fn value(&self) -> Option<&str> {
        self.synonyms.first()?.value.as_deref()
    }

    /// Where the value comes from.
    #[must_use]
    pub(crate) fn source(&self) -> Source {
        self.synonyms
            .first()
            .map_or(Source::Default, |first| first.source)
    }

    /// Whether its value is never shown.
    #[must_use]
    pub(crate) fn is_sensitive(&self) -> bool {
        self.value_type == ValueType::Password
    }
}

/// Every config of a topic: Kafka's, then the contract's.
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
    let kafka = topic_config::CONFIGS
        .iter()
        .map(|def| config(def.name, def.kind.value_type(), def.default, def.doc));
    let contract = keys::CONFIGS.iter().map(|def| {
        let value_type = topic_config::contract_kind(def.name).value_type();
        config(def.name, value_type, def.default, def.doc)
    });
    kafka.chain(contract).collect()
}

/// Every config of this broker, which was started with `started`.
#[must_use]
pub(crate) fn of_broker(
    started: &BTreeMap<&'static str, String>,
    cluster: &Cluster,
) -> Vec<EffectiveConfig> {
    let configs = cluster.broker_configs();
    let kafka = broker_config::all()
        .iter()
        .map(|def| of_this_broker(def, started, configs));
    let contract = keys::CONFIGS.iter().map(|def| {
        let mut synonyms: Vec<Synonym> = changed(def.name, configs).collect();
        synonyms.push(synonym(def.name, Some(def.default), Source::Default));
        EffectiveConfig {
            name: def.name,
            value_type: topic_config::contract_kind(def.name).value_type(),
            synonyms,
            read_only: false,
            doc: def.doc,
        }
    });
    let mut compat: Vec<Synonym> = changed(broker_config::COMPAT_LEVEL, configs).collect();
    compat.push(synonym(
        broker_config::COMPAT_LEVEL,
        Some("payload"),
        Source::Default,
    ));
    let compat = EffectiveConfig {
        name: broker_config::COMPAT_LEVEL,
        value_type: ValueType::Text,
        synonyms: compat,
        read_only: false,
        doc: "What `true` of another system's validation config means: payload or id.",
    };
    kafka.chain(contract).chain([compat]).collect()
}

/// What was changed for all brokers, and nothing else, as Kafka answers for the unnamed broker.
#[must_use]
pub(crate) fn of_all_brokers(cluster: &Cluster) -> Vec<EffectiveConfig> {
    let changed = cluster.broker_configs().scope(Scope::Cluster);
    let mut configs = of_broker(&BTreeMap::new(), cluster);
    configs.retain(|config| changed.contains_key(config.name));
    for config in &mut configs {
        config
            .synonyms
            .retain(|synonym| !matches!(synonym.source, Source::Broker | Source::Start));
    }
    configs
}

fn of_this_broker(
    def: &BrokerConfigDef,
    started: &BTreeMap<&'static str, String>,
    configs: &BrokerConfigs,
) -> EffectiveConfig {
    let mut synonyms: Vec<Synonym> = changed(def.name, configs).collect();
    // What was given is among them already, even where it is the default.
    if let Some(value) = started.get(def.name)
        && !configs.started.contains_key(def.name)
        && Some(value.as_str()) != def.default
    {
        synonyms.push(synonym(def.name, Some(value), Source::Start));
    }
    synonyms.push(synonym(def.name, def.default, Source::Default));
    let doc = match def.meaning {
        Meaning::DefaultOf(_) => "The default of topics that do not set it themselves.",
        Meaning::Start => "Given when the broker is started.",
        Meaning::Inert => "Shown for Kafka's tools; has no effect here.",
    };
    EffectiveConfig {
        name: def.name,
        value_type: def.value_type,
        synonyms,
        read_only: !matches!(def.meaning, Meaning::DefaultOf(_)),
        doc,
    }
}

/// What a broker config was changed to or given at start, the one in force first.
fn changed(name: &'static str, configs: &BrokerConfigs) -> impl Iterator<Item = Synonym> {
    let layers = [
        (configs.scope(Scope::Broker), Source::Broker),
        (configs.scope(Scope::Cluster), Source::Cluster),
        (&configs.started, Source::Start),
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
