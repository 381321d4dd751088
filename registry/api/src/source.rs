//! The interface between a broker or serializer and a registry, which may be in the same process or
//! remote.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::freshness::Freshness;
use crate::types::{SchemaId, SchemaType, Version};

/// A registered schema with everything that checking data requires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredSchema {
    /// The schema's id in the default context.
    pub id: SchemaId,
    /// The language of the schema.
    pub schema_type: SchemaType,
    /// The schema text as stored.
    pub text: String,
    /// Schema texts of the references, transitively, dependencies first, each once.
    pub references: Vec<String>,
    /// Every subject version with this id, soft-deleted ones included.
    pub versions: Vec<SubjectVersion>,
}

/// A version of a subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectVersion {
    /// The subject.
    pub subject: String,
    /// The version.
    pub version: Version,
    /// True if the version is soft-deleted.
    pub deleted: bool,
}

/// A failed query. A schema that does not exist is a result, not an error.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("registry unavailable: {reason}")]
pub struct SourceError {
    /// The failure.
    pub reason: String,
}

/// A source of schemas. Results reflect every registration acknowledged before the call.
pub trait SchemaSource: Send + Sync + 'static {
    /// Returns the schema with this id, or `None` when no subject version holds it.
    fn schema(&self, id: SchemaId) -> BoxFuture<'_, Result<Option<RegisteredSchema>, SourceError>>;

    /// Returns whether the subject has a live version.
    fn subject_exists<'a>(&'a self, subject: &'a str) -> BoxFuture<'a, Result<bool, SourceError>>;

    /// Returns the changes that this source has received; the same object at every call.
    fn freshness(&self) -> &Arc<Freshness>;
}
