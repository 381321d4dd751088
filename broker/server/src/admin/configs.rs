//! Configs of topics and brokers.

use std::collections::BTreeMap;
use std::sync::Arc;

use thiserror::Error;

use super::{Admin, AdminError, run_to_completion};
use crate::background::maintenance;
use crate::metadata::effective_config::{self, EffectiveConfig};
use crate::metadata::{AlterError, Alteration, MetadataError, Scope};

/// The type and name of a config resource, as requests contain them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ResourceKey {
    /// Kafka's number of the type (`ConfigResource.Type`).
    pub(crate) resource_type: i8,
    /// The name; empty for all brokers.
    pub(crate) name: String,
}

/// A resource that has configs.
#[derive(Clone, Debug, PartialEq, Eq)]
enum ConfigResource {
    /// The topic of this name, which need not exist.
    Topic(String),
    /// This broker, or all of them.
    Broker(Scope),
}

/// A resource without configs.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum UnsupportedResource {
    /// The broker is not this one.
    #[error("Unexpected broker id, expected {node_id} or empty string, but received {id}")]
    OtherBroker {
        /// The requested id.
        id: i32,
        /// This broker's id.
        node_id: i32,
    },
    /// The name of a broker is not a number.
    #[error("Broker id must be an integer, but it is: {0}")]
    BrokerName(String),
    /// Log levels cannot be changed.
    #[error("Log levels are set when the broker starts")]
    BrokerLogger,
    /// The type is unknown.
    #[error("Resource type {0} has no configs; expected a topic (2) or a broker (4)")]
    Type(i8),
}

impl ConfigResource {
    fn parse(key: &ResourceKey, node_id: i32) -> Result<Self, UnsupportedResource> {
        const TOPIC: i8 = 2;
        const BROKER: i8 = 4;
        const BROKER_LOGGER: i8 = 8;
        match (key.resource_type, key.name.parse::<i32>()) {
            (TOPIC, _) => Ok(Self::Topic(key.name.clone())),
            // The empty name is the cluster-wide default (KIP-226).
            (BROKER, _) if key.name.is_empty() => Ok(Self::Broker(Scope::Cluster)),
            (BROKER, Ok(id)) if id == node_id => Ok(Self::Broker(Scope::Broker)),
            (BROKER, Ok(id)) => Err(UnsupportedResource::OtherBroker { id, node_id }),
            (BROKER, Err(_)) => Err(UnsupportedResource::BrokerName(key.name.clone())),
            (BROKER_LOGGER, _) => Err(UnsupportedResource::BrokerLogger),
            (other, _) => Err(UnsupportedResource::Type(other)),
        }
    }
}

impl Admin {
    /// Returns every config of a resource with its value and source, defaults included.
    ///
    /// # Errors
    /// If the resource has no configs or the topic does not exist.
    pub(crate) fn describe_configs(
        &self,
        resource: &ResourceKey,
    ) -> Result<Vec<EffectiveConfig>, AdminError> {
        let cluster = self.metadata.cluster();
        match ConfigResource::parse(resource, self.config.node_id)? {
            ConfigResource::Topic(name) => match cluster.topic(&name) {
                Some(topic) => Ok(effective_config::of_topic(topic, &cluster)),
                None => Err(MetadataError::UnknownTopic.into()),
            },
            ConfigResource::Broker(Scope::Broker) => {
                Ok(effective_config::of_broker(&self.start_configs(), &cluster))
            }
            ConfigResource::Broker(Scope::Cluster) => {
                Ok(effective_config::of_all_brokers(&cluster))
            }
        }
    }

    /// Changes the configs of a resource: all of them or none. With `validate_only` the request is
    /// checked and nothing changes. A changed contract applies from the next batch.
    ///
    /// # Errors
    /// If the resource has no configs, `alteration` is malformed or invalid, or the database fails.
    pub(crate) async fn alter_configs(
        self: &Arc<Self>,
        resource: &ResourceKey,
        alteration: Result<Alteration, AlterError>,
        validate_only: bool,
    ) -> Result<(), AdminError> {
        let resource = ConfigResource::parse(resource, self.config.node_id)?;
        // The resource is checked first, as in Kafka, so its error wins over a malformed change.
        let alteration = alteration?;
        let admin = Arc::clone(self);
        let altered = run_to_completion(async move {
            let metadata = &admin.metadata;
            match &resource {
                ConfigResource::Topic(name) => {
                    metadata
                        .alter_topic(name, &alteration, validate_only)
                        .await?;
                }
                ConfigResource::Broker(scope) => {
                    metadata
                        .alter_broker(*scope, &alteration, validate_only)
                        .await?;
                }
            }
            if !validate_only {
                // A broker config can be the default of any topic.
                maintenance::configure_all(metadata, &admin.log);
                tracing::info!(?resource, ?alteration, "configs changed");
            }
            Ok(())
        });
        altered.await.map_err(|error: MetadataError| {
            if matches!(error, MetadataError::Store(_)) {
                tracing::error!(%error, "cannot store changed configs");
            }
            error.into()
        })
    }

    /// Returns the values that this broker was started with, by the names of Kafka's configs.
    fn start_configs(&self) -> BTreeMap<&'static str, String> {
        let config = &self.config;
        let id = config.node_id.to_string();
        let dir = config.data_dir.display().to_string();
        let advertised = config.advertise.as_ref();
        let advertised = advertised.map(|(host, port)| format!("PLAINTEXT://{host}:{port}"));
        let fixed = [
            ("broker.id", id.clone()),
            ("default.replication.factor", "1".to_owned()),
            ("listeners", format!("PLAINTEXT://{}", self.kafka_address)),
            ("log.dir", dir.clone()),
            ("log.dirs", dir),
            ("node.id", id),
            ("offsets.topic.replication.factor", "1".to_owned()),
            (
                "producer.id.expiration.ms",
                self.log.producer_expiration_ms().to_string(),
            ),
            ("process.roles", "broker,controller".to_owned()),
        ];
        fixed
            .into_iter()
            .chain(advertised.map(|address| ("advertised.listeners", address)))
            .chain(config.own_configs())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_topics_and_brokers() {
        let parse = |resource_type, name: &str| {
            let name = name.to_owned();
            ConfigResource::parse(
                &ResourceKey {
                    resource_type,
                    name,
                },
                1,
            )
        };
        assert_eq!(parse(2, "t"), Ok(ConfigResource::Topic("t".to_owned())));
        assert_eq!(parse(4, ""), Ok(ConfigResource::Broker(Scope::Cluster)));
        assert_eq!(parse(4, "1"), Ok(ConfigResource::Broker(Scope::Broker)));
        for (resource_type, name) in [(4, "2"), (4, "one"), (8, "1"), (16, "metrics"), (0, "")] {
            let rejected = parse(resource_type, name);
            assert!(rejected.is_err(), "{resource_type} {name}");
        }
    }
}
