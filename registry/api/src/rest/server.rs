//! Associations, changes, and what a registry reports about itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::types::SchemaId;

/// A subject that a resource, such as a topic, uses for its keys or values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct AssociationBody {
    /// The subject.
    pub subject: String,
    /// The GUID of the association.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guid: Option<String>,
    /// The resource's name, such as a topic's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_name: Option<String>,
    /// The resource's namespace, such as a Kafka cluster's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_namespace: Option<String>,
    /// The resource's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<String>,
    /// The kind of resource, such as `topic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_type: Option<String>,
    /// `key` or `value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub association_type: Option<String>,
    /// `STRONG` or `WEAK`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<String>,
    /// True if the subject accepts no further versions.
    #[serde(default)]
    pub frozen: bool,
}

/// The cluster that a registry serves (`GET /v1/metadata/id`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClusterIdBody {
    /// The cluster.
    pub scope: ClusterScope,
}

/// A cluster in the form of Confluent's tools.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClusterScope {
    /// Parent organizations; always empty.
    pub path: Vec<String>,
    /// Cluster names by kind: `kafka-cluster` and `schema-registry-cluster`.
    pub clusters: BTreeMap<String, String>,
}

/// The software version (`GET /v1/metadata/version`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct BuildBody {
    /// The version.
    pub version: String,
    /// The commit of the build.
    pub commit_id: String,
}

/// Attributes of the deployment (`GET /v1/metadata/deployment`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeploymentBody {
    /// Features of Confluent's product; always empty.
    pub attributes: Vec<String>,
}

/// The empty body of `GET /`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EmptyBody {}

/// The position in the registry's sequence of changes (`GET /v1/changes`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChangesBody {
    /// Grows with every change, also across restarts; it goes back only with a restored database.
    pub seq: u64,
    /// Identifies the node since its start or since it last lost its database. A value that is new
    /// to a caller means that any schema may have changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Schema ids of the default context whose schema, subject versions or references may have
    /// changed after `since`. Absent when any may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<SchemaId>>,
}
