//! Configs as they stand: each with its value and where that comes from, defaults included.

use super::cluster::Topic;
use super::topic_config::{self, Kind};
use crate::contract::policy;

/// Where a config's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Set on the topic.
    Topic,
    /// Given to the broker when it was started.
    Broker,
    /// Nobody set it.
    Default,
}

impl Source {
    /// Kafka's number for it (`DescribeConfigsResponse.ConfigSource`).
    #[must_use]
    pub fn code(self) -> i8 {
        match self {
            Self::Topic => 1,
            Self::Broker => 4,
            Self::Default => 5,
        }
    }
}

/// One config as it stands.
#[derive(Clone, Debug)]
pub struct EffectiveConfig {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// Where the value comes from.
    pub source: Source,
    /// What it takes.
    pub kind: Kind,
    /// Its value when nobody sets it.
    pub default: &'static str,
    /// What it does.
    pub doc: &'static str,
}

/// Every config of a topic: Kafka's, then the contract's.
#[must_use]
pub fn of_topic(topic: &Topic) -> Vec<EffectiveConfig> {
    let config = |name: &'static str, kind, default: &'static str, doc| {
        let set = topic.row.configs.get(name);
        EffectiveConfig {
            name,
            value: set.cloned().unwrap_or_else(|| default.to_owned()),
            source: if set.is_some() {
                Source::Topic
            } else {
                Source::Default
            },
            kind,
            default,
            doc,
        }
    };
    let kafka = topic_config::CONFIGS
        .iter()
        .map(|def| config(def.name, def.kind, def.default, def.doc));
    let contract = policy::CONFIGS
        .iter()
        .map(|def| config(def.name, Kind::Text, def.default, def.doc));
    kafka.chain(contract).collect()
}
