//! Configs of topics and brokers: whose they are, and changing them to the end.

use std::collections::BTreeMap;
use std::sync::Arc;

use avouch_protocol::error_code::ErrorCode;

use crate::admin::topics::to_its_end;
use crate::background::maintenance;
use crate::error::metadata_error;
use crate::metadata::{Alteration, MetadataError, Scope};
use crate::node::Node;

/// Whose configs a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ConfigResource {
    /// The topic of this name, which need not exist.
    Topic(String),
    /// This broker, or all of them.
    Broker(Scope),
}

/// Why a request about a resource is refused, in Kafka's code and in words.
pub(crate) type ResourceRefusal = (ErrorCode, String);

impl ConfigResource {
    /// Reads a resource off a request; its type is numbered as Kafka does.
    ///
    /// # Errors
    /// When it is neither a topic nor this or every broker.
    pub(crate) fn parse(
        resource_type: i8,
        name: &str,
        node_id: i32,
    ) -> Result<Self, ResourceRefusal> {
        const TOPIC: i8 = 2;
        const BROKER: i8 = 4;
        const BROKER_LOGGER: i8 = 8;
        let refused = |message: String| Err((ErrorCode::InvalidRequest, message));
        match (resource_type, name.parse::<i32>()) {
            (TOPIC, _) => Ok(Self::Topic(name.to_owned())),
            (BROKER, _) if name.is_empty() => Ok(Self::Broker(Scope::Cluster)),
            (BROKER, Ok(id)) if id == node_id => Ok(Self::Broker(Scope::Broker)),
            (BROKER, Ok(id)) => refused(format!(
                "Unexpected broker id, expected {node_id} or empty string, but received {id}"
            )),
            (BROKER, Err(_)) => refused(format!("Broker id must be an integer, but it is: {name}")),
            (BROKER_LOGGER, _) => {
                refused("Log levels are set when the broker is started.".to_owned())
            }
            (other, _) => refused(format!(
                "Resources of type {other} have no configs; topics (2) and brokers (4) do."
            )),
        }
    }
}

impl Node {
    /// Changes the configs of a resource; `validate_only` decides and changes nothing.
    ///
    /// # Errors
    /// Why nothing of the resource changed.
    pub(crate) async fn alter_configs(
        self: &Arc<Self>,
        resource: ConfigResource,
        alteration: Alteration,
        validate_only: bool,
    ) -> Result<(), ResourceRefusal> {
        let node = Arc::clone(self);
        let altered = to_its_end(async move {
            let metadata = &node.metadata;
            let altered = match &resource {
                ConfigResource::Topic(name) => {
                    metadata.alter_topic(name, &alteration, validate_only).await
                }
                ConfigResource::Broker(scope) => {
                    metadata
                        .alter_broker(*scope, &alteration, validate_only)
                        .await
                }
            };
            if altered.is_ok() && !validate_only {
                maintenance::configure_all(&node);
                tracing::info!(?resource, ?alteration, "configs changed");
            }
            altered
        });
        altered.await.map_err(|error| {
            if matches!(error, MetadataError::Store(_)) {
                tracing::error!(%error, "configs not changed");
            }
            (metadata_error(&error), error.to_string())
        })
    }

    /// What this broker was started with, under the names of Kafka's configs.
    pub(crate) fn started_with(&self) -> BTreeMap<&'static str, String> {
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
    fn resources_are_topics_this_broker_and_all_brokers() {
        let parse = |resource_type, name| ConfigResource::parse(resource_type, name, 1);
        assert_eq!(parse(2, "t"), Ok(ConfigResource::Topic("t".to_owned())));
        assert_eq!(parse(4, ""), Ok(ConfigResource::Broker(Scope::Cluster)));
        assert_eq!(parse(4, "1"), Ok(ConfigResource::Broker(Scope::Broker)));
        for (resource_type, name) in [(4, "2"), (4, "one"), (8, "1"), (16, "metrics"), (0, "")] {
            let refused = parse(resource_type, name).unwrap_err();
            assert_eq!(
                refused.0,
                ErrorCode::InvalidRequest,
                "{resource_type} {name}"
            );
        }
    }
}
