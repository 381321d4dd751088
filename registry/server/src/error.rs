//! Errors of the registry, and the one place that maps them to REST error codes. The messages are
//! those of Confluent Schema Registry, byte for byte, because clients compare them.

use std::io;

use avouch_registry_api::error::{ErrorBody, ErrorCode};
use avouch_registry_api::rest::{ClosestBody, FindingBody};
use avouch_registry_api::types::{Version, VersionSelector};
use thiserror::Error;
use tokio::task::JoinError;

/// The reason why a request failed.
#[derive(Debug, Error)]
pub enum RegistryError {
    /// The subject has no version that the request includes.
    #[error("Subject '{0}' not found.")]
    SubjectNotFound(String),
    /// The subject has no such version.
    #[error("Version {} not found.", .0.number())]
    VersionNotFound(VersionSelector),
    /// The content is not registered under the subject.
    #[error("Schema not found")]
    SchemaNotFound {
        /// The version with the fewest differences.
        closest: Option<Box<ClosestBody>>,
    },
    /// No schema has the id; negative ids cannot exist.
    #[error("Schema {0} not found")]
    IdNotFound(i32),
    /// No schema has the GUID.
    #[error("Schema {0} not found")]
    GuidNotFound(String),
    /// All versions of the subject are soft-deleted already.
    #[error("Subject '{0}' was soft deleted.Set permanent=true to delete permanently")]
    SubjectSoftDeleted(String),
    /// A version of the subject is not soft-deleted.
    #[error("Subject '{0}' was not deleted first before being permanently deleted")]
    SubjectNotSoftDeleted(String),
    /// The version is soft-deleted already.
    #[error(
        "Subject '{subject}' Version {version} was soft deleted.\
         Set permanent=true to delete permanently"
    )]
    VersionSoftDeleted {
        /// The subject.
        subject: String,
        /// The version.
        version: Version,
    },
    /// The version is not soft-deleted.
    #[error(
        "Subject '{subject}' Version {version} was not deleted first before being permanently \
         deleted"
    )]
    VersionNotSoftDeleted {
        /// The subject.
        subject: String,
        /// The version.
        version: Version,
    },
    /// The subject has no configuration.
    #[error("Subject '{0}' does not have subject-level compatibility configured")]
    SubjectConfigNotFound(String),
    /// The subject has no mode.
    #[error("Subject '{0}' does not have subject-level mode configured")]
    SubjectModeNotFound(String),
    /// The schema is incompatible at the effective compatibility level.
    #[error(
        "Schema being registered is incompatible with an earlier schema for subject \"{subject}\", \
         details: [{}]",
        details.join(", ")
    )]
    Incompatible {
        /// The subject.
        subject: String,
        /// One message for each finding, then what was compared.
        details: Vec<String>,
        /// The same as structured findings.
        findings: Vec<FindingBody>,
        /// 40901, or 409 as older servers returned.
        error_code: u32,
    },
    /// The schema, one of its references, or the requested version is invalid.
    #[error("{0}")]
    InvalidSchema(String),
    /// The version is not a number from 1, `latest` or -1.
    #[error(
        "The specified version '{0}' is not a valid version id. Allowed values are between \
         [1, 2^31-1] and the string \"latest\""
    )]
    InvalidVersion(String),
    /// Unknown compatibility level.
    #[error(
        "Invalid compatibility level. Valid values are none, backward, forward, full, \
         backward_transitive, forward_transitive, and full_transitive"
    )]
    InvalidCompatibilityLevel,
    /// Unknown mode.
    #[error("Invalid mode. Valid values are READWRITE, READONLY, IMPORT and FORWARD.")]
    InvalidMode,
    /// The mode is supported on the global level only.
    #[error("Forward mode only supported on global level")]
    ForwardIsGlobal,
    /// The effective mode forbids the request.
    #[error("{0}")]
    NotPermitted(String),
    /// Another schema references the version.
    #[error(
        "One or more references exist to the schema \
         {{magic=1,keytype=SCHEMA,subject={subject},version={version}}}."
    )]
    ReferenceExists {
        /// The subject of the version to delete.
        subject: String,
        /// Its version.
        version: Version,
    },
    /// The content has another ID under the subject already.
    #[error("The ID of an imported schema does not match the existing ID")]
    IdDoesNotMatch,
    /// The schema exceeds the size limit.
    #[error(
        "Register operation failed because schema is too large: its canonical form has {bytes} \
         bytes, --registry-schema-bytes permits {limit}"
    )]
    SchemaTooLarge {
        /// The size of the canonical form in bytes.
        bytes: usize,
        /// The maximum in bytes.
        limit: usize,
    },
    /// The request body exceeds the size limit.
    #[error("the request body exceeds {limit} bytes; --registry-body-bytes sets the maximum")]
    BodyTooLarge {
        /// The maximum in bytes.
        limit: usize,
    },
    /// The rule set is invalid.
    #[error("{0}")]
    InvalidRuleSet(String),
    /// The context to delete has versions.
    #[error("The specified context '{0}' is not empty.")]
    ContextNotEmpty(String),
    /// The subject name is not allowed.
    #[error("The specified subject '{0}' is not a valid.")]
    InvalidSubject(String),
    /// The body is not JSON of the expected form.
    #[error("{0}")]
    BadRequest(String),
    /// The body is missing or `null`.
    #[error("The request body must not be null")]
    BodyMissing,
    /// The database failed, or contains invalid data.
    #[error("Error while accessing the registry's store: {0}")]
    Store(String),
    /// The database did not respond within its time limits.
    #[error("The registry's store did not respond in time: {0}")]
    StoreTimeout(String),
    /// A task of the registry panicked.
    #[error("Internal Server Error")]
    Internal,
}

impl RegistryError {
    /// Returns the body of the error response: code and message.
    #[must_use]
    pub fn body(&self) -> ErrorBody {
        let code = match self {
            Self::SubjectNotFound(_) => ErrorCode::SubjectNotFound,
            Self::VersionNotFound(_) => ErrorCode::VersionNotFound,
            Self::SchemaNotFound { .. } | Self::IdNotFound(_) | Self::GuidNotFound(_) => {
                ErrorCode::SchemaNotFound
            }
            Self::SubjectSoftDeleted(_) => ErrorCode::SubjectSoftDeleted,
            Self::SubjectNotSoftDeleted(_) => ErrorCode::SubjectNotSoftDeleted,
            Self::VersionSoftDeleted { .. } => ErrorCode::VersionSoftDeleted,
            Self::VersionNotSoftDeleted { .. } => ErrorCode::VersionNotSoftDeleted,
            Self::SubjectConfigNotFound(_) => ErrorCode::SubjectConfigNotFound,
            Self::SubjectModeNotFound(_) => ErrorCode::SubjectModeNotFound,
            Self::Incompatible { error_code, .. } => {
                return ErrorBody::new(*error_code, self.to_string());
            }
            Self::InvalidSchema(_) => ErrorCode::InvalidSchema,
            Self::InvalidVersion(_) => ErrorCode::InvalidVersion,
            Self::InvalidCompatibilityLevel => ErrorCode::InvalidCompatibilityLevel,
            Self::InvalidMode | Self::ForwardIsGlobal => ErrorCode::InvalidMode,
            Self::NotPermitted(_) => ErrorCode::NotPermitted,
            Self::ReferenceExists { .. } => ErrorCode::ReferenceExists,
            Self::IdDoesNotMatch => ErrorCode::IdDoesNotMatch,
            Self::SchemaTooLarge { .. } => ErrorCode::SchemaTooLarge,
            Self::BodyTooLarge { .. } => ErrorCode::BodyTooLarge,
            Self::InvalidRuleSet(_) => ErrorCode::InvalidRuleSet,
            Self::ContextNotEmpty(_) => ErrorCode::ContextNotEmpty,
            Self::InvalidSubject(_) => ErrorCode::InvalidSubject,
            Self::BodyMissing => ErrorCode::Unprocessable,
            Self::BadRequest(_) => ErrorCode::BadRequest,
            Self::Store(_) => ErrorCode::Store,
            Self::StoreTimeout(_) => ErrorCode::StoreTimeout,
            Self::Internal => ErrorCode::Internal,
        };
        ErrorBody::new(code.number(), self.to_string())
    }

    /// Returns the body of the error response with structured findings.
    #[must_use]
    pub fn explained(&self) -> ErrorBody {
        let mut body = self.body();
        if let Self::Incompatible { findings, .. } = self {
            body.findings.clone_from(findings);
        }
        if let Self::SchemaNotFound { closest } = self {
            body.closest = closest.as_deref().cloned();
        }
        body
    }
}

impl From<sqlx::Error> for RegistryError {
    fn from(error: sqlx::Error) -> Self {
        if is_timeout(&error) {
            Self::StoreTimeout(error.to_string())
        } else {
            Self::Store(error.to_string())
        }
    }
}

impl From<JoinError> for RegistryError {
    fn from(error: JoinError) -> Self {
        if error.is_panic() {
            Self::Internal
        } else {
            // Tasks are only cancelled at the end of the process, such as after its log failed. The
            // client can repeat the request, as after any failure of the store.
            Self::Store("the process is stopping".to_owned())
        }
    }
}

/// Returns true if the database did not respond in time, to a lock or a statement. A database
/// without a connection is unreachable, which is another error.
pub(crate) fn is_timeout(error: &sqlx::Error) -> bool {
    /// PostgreSQL's `query_canceled`, `lock_not_available` and
    /// `idle_in_transaction_session_timeout`, and SQLite's `SQLITE_BUSY`.
    const CODES: [&str; 4] = ["57014", "55P03", "25P03", "5"];
    match error {
        // `writer` reports the failure of a shared commit in this form too.
        sqlx::Error::Io(error) => error.kind() == io::ErrorKind::TimedOut,
        sqlx::Error::Database(error) => {
            let code = error.code();
            code.is_some_and(|code| CODES.contains(&code.as_ref()))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: registry/stores-12
    #[tokio::test]
    async fn cancelled_request_names_the_cause() {
        let task = tokio::spawn(std::future::pending::<()>());
        task.abort();
        let error = RegistryError::from(task.await.unwrap_err());
        assert_eq!(error.body().error_code, 50001);
        assert!(
            error.to_string().ends_with("the process is stopping"),
            "{error}"
        );
    }

    // Conformance: registry/stores-12
    #[test]
    fn timeout_differs_from_lost_connection() {
        let slow = io::Error::new(io::ErrorKind::TimedOut, "statement timeout");
        let table = [
            (sqlx::Error::Io(slow), 50002),
            (sqlx::Error::PoolTimedOut, 50001),
            (sqlx::Error::PoolClosed, 50001),
        ];
        for (error, code) in table {
            let text = error.to_string();
            let error = RegistryError::from(error);
            assert_eq!(error.body().error_code, code, "{text}");
        }
    }
}
