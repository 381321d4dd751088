//! Error codes as types, so that a handler's documentation can list those of its responses:
//! `responses((status = 200, body = SchemaBody), SchemaNotFound)`.

use std::collections::BTreeMap;

use avouch_registry_api::error::ErrorCode;
use utoipa::IntoResponses;
use utoipa::openapi::{RefOr, Response};

/// Declares a type for each code. Its response is keyed by the code instead of the HTTP status, so
/// that several codes of one status can be listed; the document groups them by status.
macro_rules! error_responses {
    ($($code:ident),* $(,)?) => {$(
        pub(crate) struct $code;

        impl IntoResponses for $code {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                let code = ErrorCode::$code.number().to_string();
                BTreeMap::from([(code, Response::new("").into())])
            }
        }
    )*};
}

error_responses![
    ContextNotEmpty,
    IdDoesNotMatch,
    Incompatible,
    InvalidCompatibilityLevel,
    InvalidMode,
    InvalidRuleSet,
    InvalidSchema,
    InvalidSubject,
    InvalidVersion,
    NotPermitted,
    ReferenceExists,
    SchemaNotFound,
    SchemaTooLarge,
    SubjectConfigNotFound,
    SubjectModeNotFound,
    SubjectNotFound,
    SubjectNotSoftDeleted,
    SubjectSoftDeleted,
    VersionNotFound,
    VersionNotSoftDeleted,
    VersionSoftDeleted,
];
