//! How a broker or a serializer asks for schemas: the seam between the broker and a registry that
//! may live in the same process or behind HTTP.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::freshness::Freshness;
use crate::types::{SchemaId, SchemaType, Version};

/// A registered schema with everything a broker needs to judge data by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredSchema {
    /// The schema's id in the default context.
    pub id: SchemaId,
    /// The language of the schema.
    pub schema_type: SchemaType,
    /// The stored text.
    pub text: String,
    /// Texts of the references, transitively, dependencies first, each once.
    pub references: Vec<String>,
    /// Every subject version that holds this id, soft-deleted ones included.
    pub versions: Vec<SubjectVersion>,
}

/// One version of one subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectVersion {
    /// The subject's name.
    pub subject: String,
    /// The version.
    pub version: Version,
    /// Whether it is soft-deleted.
    pub deleted: bool,
}

/// Why a source could not answer; never "there is no such schema", which is an answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("registry unavailable: {reason}")]
pub struct SourceError {
    /// What failed, for a log line.
    pub reason: String,
}

/// Where schemas come from. Answers reflect every registration acknowledged before the call.
pub trait SchemaSource: Send + Sync + 'static {
    /// Returns the schema with this id, or `None` when no subject version holds it.
    fn schema(&self, id: SchemaId) -> BoxFuture<'_, Result<Option<RegisteredSchema>, SourceError>>;

    /// Whether the subject has a version that is not soft-deleted.
    fn subject_exists<'a>(&'a self, subject: &'a str) -> BoxFuture<'a, Result<bool, SourceError>>;

    /// Returns the changes that this source has received; the same object at every call.
    fn freshness(&self) -> &Arc<Freshness>;
}
