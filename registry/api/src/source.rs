//! How a broker or a serializer asks for schemas: the seam between the broker and a registry that
//! may live in the same process or behind HTTP.

use futures_util::future::BoxFuture;
use thiserror::Error;

/// A registered schema with everything a broker needs to judge data by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredSchema {
    /// The schema's id in the default context.
    pub id: i32,
    /// `AVRO`, `JSON` or `PROTOBUF`.
    pub schema_type: String,
    /// The stored text.
    pub text: String,
    /// Texts of the references, transitively, dependencies first, each once.
    pub references: Vec<String>,
    /// Every subject version that holds this id, soft-deleted ones included.
    pub versions: Vec<SubjectVersion>,
}

/// One version of one subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectVersion {
    /// The subject's name.
    pub subject: String,
    /// 1 and up.
    pub version: i32,
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
    /// The schema with this id, or `None` when no subject ever registered it.
    fn schema(&self, id: i32) -> BoxFuture<'_, Result<Option<RegisteredSchema>, SourceError>>;

    /// Whether the subject has a version that is not soft-deleted.
    fn subject_exists<'a>(&'a self, subject: &'a str) -> BoxFuture<'a, Result<bool, SourceError>>;

    /// A number that grows with every change of the registry's content: while it stands still, a
    /// remembered "no" still holds. A remote source answers with the newest number it has heard.
    fn change_seq(&self) -> u64;
}
