//! The registry's error codes as numbers on the wire. The first three digits of a code are its HTTP
//! status, with no exception. The messages belong to the server, which knows what they speak of.

use serde::{Deserialize, Serialize};

use crate::rest::{ClosestBody, FindingBody};

/// The body of every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErrorBody {
    /// A code whose first three digits are the HTTP status, or the bare status.
    pub error_code: u32,
    /// For a person.
    pub message: String,
    /// What an incompatible schema breaks, in parts; only when the request asked for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<FindingBody>,
    /// What almost matched a look-up; only when the request asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closest: Option<ClosestBody>,
}

impl ErrorBody {
    /// A body with a code and words, and nothing more.
    #[must_use]
    pub fn new(error_code: u32, message: String) -> Self {
        Self {
            error_code,
            message,
            findings: Vec::new(),
            closest: None,
        }
    }

    /// The HTTP status that goes with the code: its first three digits.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        http_status(self.error_code)
    }
}

/// The HTTP status that goes with an error code: its first three digits.
#[must_use]
pub fn http_status(error_code: u32) -> u16 {
    let digits = if error_code > 999 {
        error_code / 100
    } else {
        error_code
    };
    u16::try_from(digits).unwrap_or(500)
}

macro_rules! error_codes {
    ($($(#[doc = $doc:literal])* $name:ident = $number:literal,)*) => {
        /// Every code this registry answers with (Confluent Schema Registry's numbers).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum ErrorCode {
            $($(#[doc = $doc])* $name = $number,)*
        }

        impl ErrorCode {
            /// All of them, ascending within a status.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The number on the wire.
            #[must_use]
            pub fn number(self) -> u32 {
                match self {
                    $(Self::$name => $number,)*
                }
            }

            /// When it is answered, in a sentence.
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
    /// The body is not JSON of the expected shape.
    BadRequest = 400,
    /// No such route.
    RouteNotFound = 404,
    /// The route exists, but not for this method.
    MethodNotAllowed = 405,
    /// None of the content types that the client accepts can be served.
    NotAcceptable = 406,
    /// The body is larger than the limit.
    BodyTooLarge = 413,
    /// The body is of a content type that is not read.
    UnsupportedMediaType = 415,
    /// A body is required, or asks for what this registry does not do.
    Unprocessable = 422,
    /// The registry is at fault.
    Internal = 500,
    /// The subject has no version that the call may see.
    SubjectNotFound = 40401,
    /// The subject has no such version.
    VersionNotFound = 40402,
    /// No such schema: by id, or by content under the subject.
    SchemaNotFound = 40403,
    /// A second soft delete of a subject.
    SubjectSoftDeleted = 40404,
    /// A permanent delete of a subject that was not soft-deleted first.
    SubjectNotSoftDeleted = 40405,
    /// A second soft delete of a version.
    VersionSoftDeleted = 40406,
    /// A permanent delete of a version that was not soft-deleted first.
    VersionNotSoftDeleted = 40407,
    /// The subject has no compatibility level of its own.
    SubjectConfigNotFound = 40408,
    /// The subject has no mode of its own.
    SubjectModeNotFound = 40409,
    /// The schema breaks the compatibility level; some versions of Confluent's say plain 409.
    Incompatible = 40901,
    /// The schema or one of its references is invalid.
    InvalidSchema = 42201,
    /// The version is neither a positive 31-bit number nor `latest`.
    InvalidVersion = 42202,
    /// No such compatibility level.
    InvalidCompatibilityLevel = 42203,
    /// No such mode.
    InvalidMode = 42204,
    /// The mode in force forbids it.
    NotPermitted = 42205,
    /// Another schema refers to what is to be deleted.
    ReferenceExists = 42206,
    /// An imported id differs from the one the schema already has.
    IdDoesNotMatch = 42207,
    /// The subject's name is not allowed.
    InvalidSubject = 42208,
    /// A context that is to be deleted has versions.
    ContextNotEmpty = 42211,
    /// The schema is larger than the limit.
    SchemaTooLarge = 42209,
    /// A rule set has a shape that no client could apply.
    InvalidRuleSet = 42210,
    /// The store failed.
    Store = 50001,
    /// The store did not answer in time.
    StoreTimeout = 50002,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_three_digits_are_an_http_status() {
        for code in ErrorCode::ALL {
            let status = http_status(code.number());
            assert!((400..=500).contains(&status), "{code:?} gives {status}");
            assert!(code.number().to_string().starts_with(&status.to_string()));
        }
        assert_eq!(
            http_status(409),
            409,
            "the older incompatibility code is its own status"
        );
    }
}
