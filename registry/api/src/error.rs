//! The registry's error codes. The first three digits of a code are its HTTP status, except for
//! those of an unavailable database.

use serde::{Deserialize, Serialize};

use crate::rest::{ClosestBody, FindingBody};

/// The body of every error response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErrorBody {
    /// A code, see [`http_status`], or the bare HTTP status.
    pub error_code: u32,
    /// A description for people.
    pub message: String,
    /// Structured incompatibilities, if requested with `explain`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<FindingBody>,
    /// The version closest to a schema that was not found, if requested with `explain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closest: Option<ClosestBody>,
}

impl ErrorBody {
    /// Creates a body with a code and a message only.
    #[must_use]
    pub fn new(error_code: u32, message: String) -> Self {
        Self {
            error_code,
            message,
            findings: Vec::new(),
            closest: None,
        }
    }

    /// Returns the HTTP status of the code, see [`http_status`].
    #[must_use]
    pub fn http_status(&self) -> u16 {
        http_status(self.error_code)
    }
}

/// Returns the HTTP status of an error code: its first three digits, or 503 for a database that is
/// unavailable or slow. Confluent's registry returns 500 for these codes too. Some clients, such as
/// the crate `schema_registry_converter` 6, cache a 500 until their process ends and repeat a
/// request after 503 only.
#[must_use]
pub fn http_status(error_code: u32) -> u16 {
    let unavailable = [ErrorCode::Store, ErrorCode::StoreTimeout];
    if unavailable.iter().any(|code| code.number() == error_code) {
        return 503;
    }
    // Bare statuses have three digits, codes of the registry five.
    let digits = if error_code > 999 {
        error_code / 100
    } else {
        error_code
    };
    // A code from another registry may be of any size.
    u16::try_from(digits).unwrap_or(500)
}

macro_rules! error_codes {
    ($($(#[doc = $doc:literal])* $name:ident = $number:literal,)*) => {
        /// An error code of the registry, with Confluent Schema Registry's number.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum ErrorCode {
            $($(#[doc = $doc])* $name = $number,)*
        }

        impl ErrorCode {
            /// All codes, ascending within a status.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Returns the number on the wire.
            #[must_use]
            pub fn number(self) -> u32 {
                match self {
                    $(Self::$name => $number,)*
                }
            }

            /// Returns a sentence that describes the error.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc),*).trim_ascii(),)*
                }
            }
        }
    };
}

error_codes! {
    /// The body is not JSON of the expected form.
    BadRequest = 400,
    /// The route does not exist.
    RouteNotFound = 404,
    /// The route does not support the method.
    MethodNotAllowed = 405,
    /// The client accepts none of the content types of the response.
    NotAcceptable = 406,
    /// The body exceeds the maximum size.
    BodyTooLarge = 413,
    /// The content type of the body is not supported.
    UnsupportedMediaType = 415,
    /// The body is missing, or requests an unsupported operation.
    Unprocessable = 422,
    /// An internal error of the registry.
    Internal = 500,
    /// The subject has no version that the request includes.
    SubjectNotFound = 40401,
    /// The subject does not have the version.
    VersionNotFound = 40402,
    /// No schema has the id, or no version of the subject has the content.
    SchemaNotFound = 40403,
    /// The subject is soft-deleted already.
    SubjectSoftDeleted = 40404,
    /// The subject must be soft-deleted before it is deleted permanently.
    SubjectNotSoftDeleted = 40405,
    /// The version is soft-deleted already.
    VersionSoftDeleted = 40406,
    /// The version must be soft-deleted before it is deleted permanently.
    VersionNotSoftDeleted = 40407,
    /// The subject has no configuration of its own.
    SubjectConfigNotFound = 40408,
    /// The subject has no mode of its own.
    SubjectModeNotFound = 40409,
    /// The schema is incompatible with an earlier version. Older registries return 409.
    Incompatible = 40901,
    /// The schema or one of its references is invalid.
    InvalidSchema = 42201,
    /// The version is neither a number from 1 to 2^31-1 nor `latest`.
    InvalidVersion = 42202,
    /// The compatibility level does not exist.
    InvalidCompatibilityLevel = 42203,
    /// The mode does not exist.
    InvalidMode = 42204,
    /// The effective mode does not permit the operation.
    NotPermitted = 42205,
    /// Another schema refers to the version to delete.
    ReferenceExists = 42206,
    /// The imported id differs from the existing id of the schema.
    IdDoesNotMatch = 42207,
    /// The subject name is invalid.
    InvalidSubject = 42208,
    /// The context to delete has versions.
    ContextNotEmpty = 42211,
    /// The schema exceeds the maximum size.
    SchemaTooLarge = 42209,
    /// The rule set is invalid.
    InvalidRuleSet = 42210,
    /// The registry's database failed.
    Store = 50001,
    /// The registry's database did not respond in time.
    StoreTimeout = 50002,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_contains_http_status() {
        for code in ErrorCode::ALL {
            let status = http_status(code.number());
            assert!((400..=503).contains(&status), "{code:?} gives {status}");
            let is_unavailable = [ErrorCode::Store, ErrorCode::StoreTimeout].contains(code);
            let digits = if is_unavailable { 500 } else { status };
            assert_eq!(status == 503, is_unavailable, "{code:?}");
            assert!(code.number().to_string().starts_with(&digits.to_string()));
        }
        assert_eq!(
            http_status(409),
            409,
            "the older incompatibility code is its own status"
        );
    }
}
