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
    /// A resource of a type that Kafka has and that never has configs here.
    Empty(ResourceType),
}

/// The types of config resources (`ConfigResource.Type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResourceType {
    Topic = 2,
    Broker = 4,
    BrokerLogger = 8,
    ClientMetrics = 16,
    Group = 32,
}

impl ResourceType {
    const ALL: [Self; 5] = [
        Self::Topic,
        Self::Broker,
        Self::BrokerLogger,
        Self::ClientMetrics,
        Self::Group,
    ];

    fn from_code(code: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as i8 == code)
    }
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
    /// Resources of the type have no configs that could change.
    #[error("configs of {0:?} resources cannot be changed; expected a topic or a broker")]
    Fixed(ResourceType),
    /// The type is unknown.
    #[error("Unknown resource type {0}")]
    Type(i8),
}

impl ConfigResource {
    fn parse(key: &ResourceKey, node_id: i32) -> Result<Self, UnsupportedResource> {
        let resource_type = ResourceType::from_code(key.resource_type);
        let resource_type = resource_type.ok_or(UnsupportedResource::Type(key.resource_type))?;
        match resource_type {
            ResourceType::Topic => Ok(Self::Topic(key.name.clone())),
            // The empty name is the cluster-wide default (KIP-226).
            ResourceType::Broker if key.name.is_empty() => Ok(Self::Broker(Scope::Cluster)),
            ResourceType::Broker => {
                check_broker(&key.name, node_id)?;
                Ok(Self::Broker(Scope::Broker))
            }
            ResourceType::BrokerLogger => {
                check_broker(&key.name, node_id)?;
                Ok(Self::Empty(resource_type))
            }
            ResourceType::ClientMetrics | ResourceType::Group => Ok(Self::Empty(resource_type)),
        }
    }
}

fn check_broker(name: &str, node_id: i32) -> Result<(), UnsupportedResource> {
    match name.parse::<i32>() {
        Ok(id) if id == node_id => Ok(()),
        Ok(id) => Err(UnsupportedResource::OtherBroker { id, node_id }),
        Err(_) => Err(UnsupportedResource::BrokerName(name.to_owned())),
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
            ConfigResource::Empty(_) => Ok(Vec::new()),
        }
    }

    /// Returns the resources of the given types, or of all types if `types` is empty.
    ///
    /// # Errors
    /// If a type is unknown.
    pub(crate) fn list_config_resources(
        &self,
        types: &[i8],
    ) -> Result<Vec<ResourceKey>, AdminError> {
        let all = ResourceType::ALL.map(|kind| kind as i8);
        let types = if types.is_empty() { &all } else { types };
        let mut resources = Vec::new();
        for code in types {
            let kind = ResourceType::from_code(*code);
            let names = match kind.ok_or(AdminError::UnlistableResource(*code))? {
                ResourceType::Topic => {
                    let cluster = self.metadata.cluster();
                    let topics = cluster.topics();
                    topics.map(|topic| topic.name().to_owned()).collect()
                }
                ResourceType::Broker | ResourceType::BrokerLogger => {
                    vec![self.config.node_id.to_string()]
                }
                ResourceType::ClientMetrics | ResourceType::Group => Vec::new(),
            };
            let resource_type = *code;
            resources.extend(names.into_iter().map(|name| ResourceKey {
                resource_type,
                name,
            }));
        }
        Ok(resources)
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
        if let ConfigResource::Empty(kind) = resource {
            return Err(UnsupportedResource::Fixed(kind).into());
        }
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
                ConfigResource::Empty(_) => {}
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
        assert_eq!(
            parse(32, "g"),
            Ok(ConfigResource::Empty(ResourceType::Group))
        );
        for (resource_type, name) in [(4, "2"), (4, "one"), (8, "2"), (8, ""), (0, ""), (64, "")] {
            let rejected = parse(resource_type, name);
            assert!(rejected.is_err(), "{resource_type} {name}");
        }
    }
}
