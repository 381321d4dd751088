//! Violations of a key or value, their reason codes and messages.
//!
//! Invariant: a fault never contains record data, only names, versions, ids, paths and byte counts,
//! and the value of an int beyond 32 bits.
//! Byte offsets count from the start of the datum, after the framing prefix.

use std::fmt;

use avouch_avro::validator;
use avouch_registry_api::source::SubjectVersion;
use avouch_registry_api::subject::RecordPart;
use avouch_registry_api::types::{SchemaId, Version};

/// Maximum length of a message in bytes.
pub(crate) const MESSAGE_BYTES_MAX: usize = 256;

/// A schema's name in messages: `payments-value v3 (id 41)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    /// The subject.
    pub subject: String,
    /// The version in the subject.
    pub version: Version,
    /// The schema id.
    pub id: SchemaId,
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} v{} (id {})", self.subject, self.version, self.id)
    }
}

/// A violation of one key or value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The magic byte is missing.
    NoMagic,
    /// The framing prefix is truncated.
    Short {
        /// Length in bytes.
        have: usize,
        /// Length of the prefix in bytes.
        need: usize,
    },
    /// The contract does not allow this location or form of the schema id.
    Framing(FramingFault),
    /// Null is not allowed.
    Null,
    /// No registered schema has the id.
    UnknownId(i32),
    /// The schema is registered, but not under a subject of the topic.
    WrongSubject {
        /// The schema id.
        id: SchemaId,
        /// The versions with the id.
        registered: Vec<SubjectVersion>,
        /// The allowed subjects; empty if they depend on an unknown record name.
        wanted: Vec<String>,
    },
    /// The version is outside the window.
    OutOfWindow {
        /// The schema.
        schema: Label,
        /// The minimum version.
        min: Option<Version>,
        /// The maximum version.
        max: Option<Version>,
    },
    /// The version is soft-deleted.
    Deleted(Label),
    /// The datum is invalid under its schema.
    Datum {
        /// The schema.
        schema: Label,
        /// The fault and its place.
        fault: validator::Fault,
    },
    /// The batch has too many schemas.
    TooManySchemas {
        /// Maximum number for keys, and for values.
        max: usize,
    },
}

/// A violation of the location or form of a schema id. `header` is the key of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FramingFault {
    /// The id is in a header; only prefixes are allowed.
    HeaderNotAllowed {
        /// The present header.
        header: &'static str,
    },
    /// The id is not in a header; only headers are allowed.
    HeaderMissing {
        /// The missing header.
        header: &'static str,
    },
    /// The header is null or does not contain exactly one schema id.
    BadHeader {
        /// The header.
        header: &'static str,
    },
    /// The schema is identified by a GUID.
    Guid,
}

impl fmt::Display for FramingFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeaderNotAllowed { header } => {
                write!(
                    f,
                    "header {header} has a schema id, but only prefixes are allowed"
                )
            }
            Self::HeaderMissing { header } => write!(f, "no header {header}"),
            Self::BadHeader { header } => {
                write!(
                    f,
                    "header {header} is not a schema id; expected 0x00 and four bytes"
                )
            }
            Self::Guid => {
                f.write_str("the schema is identified by a GUID; only schema ids are supported")
            }
        }
    }
}

impl Fault {
    /// Returns the stable reason code, for metrics and feeds.
    #[must_use]
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::NoMagic => "no-magic",
            Self::Short { .. } => "short",
            Self::Framing(_) => "framing",
            Self::Null => "null",
            Self::UnknownId(_) => "unknown-id",
            Self::WrongSubject { .. } => "wrong-subject",
            Self::OutOfWindow { .. } => "version-out-of-window",
            Self::Deleted(_) => "deleted",
            Self::Datum { fault, .. } => fault.reason.code(),
            Self::TooManySchemas { .. } => "too-complex",
        }
    }

    /// Returns the schema id, if known.
    #[must_use]
    pub(crate) fn schema_id(&self) -> Option<i32> {
        match self {
            Self::UnknownId(id) => Some(*id),
            Self::WrongSubject { id, .. } => Some(id.get()),
            Self::OutOfWindow { .. } | Self::Deleted(_) | Self::Datum { .. } => {
                self.schema().map(|schema| schema.id.get())
            }
            Self::NoMagic
            | Self::Short { .. }
            | Self::Framing(_)
            | Self::Null
            | Self::TooManySchemas { .. } => None,
        }
    }

    /// Returns the subject version, if the schema belongs to a subject of the topic.
    #[must_use]
    pub(crate) fn schema(&self) -> Option<&Label> {
        match self {
            Self::OutOfWindow { schema, .. } | Self::Datum { schema, .. } => Some(schema),
            Self::Deleted(schema) => Some(schema),
            Self::NoMagic
            | Self::Short { .. }
            | Self::Framing(_)
            | Self::Null
            | Self::UnknownId(_)
            | Self::WrongSubject { .. }
            | Self::TooManySchemas { .. } => None,
        }
    }

    /// Returns the message for a key or value, such as `value: unknown schema id 7`, followed by a
    /// hint; at most [`MESSAGE_BYTES_MAX`] bytes.
    #[must_use]
    pub(crate) fn message(&self, part: RecordPart, hint: &str) -> String {
        // The hint stays complete.
        let fault_bytes_max = MESSAGE_BYTES_MAX.saturating_sub(hint.len());
        bounded(format!("{part}: {self}"), fault_bytes_max) + hint
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMagic => f.write_str("no magic byte, expected 0x00 before a schema id"),
            Self::Short { have, need } => {
                write!(f, "{have} bytes are too short for a prefix of {need}")
            }
            Self::Framing(fault) => fault.fmt(f),
            Self::Null => f.write_str("null is not allowed"),
            Self::UnknownId(id) => write!(f, "unknown schema id {id}"),
            Self::WrongSubject {
                id,
                registered,
                wanted,
            } => wrong_subject(f, *id, registered, wanted),
            Self::OutOfWindow { schema, min, max } => {
                write!(f, "{schema}: only ")?;
                match (min, max) {
                    (Some(min), Some(max)) => write!(f, "versions {min} to {max}")?,
                    (Some(min), None) => write!(f, "version {min} and up")?,
                    (None, Some(max)) => write!(f, "versions up to {max}")?,
                    (None, None) => f.write_str("some versions")?,
                }
                f.write_str(" may be written")
            }
            Self::Deleted(schema) => write!(f, "{schema} is deleted"),
            Self::Datum { schema, fault } => write!(f, "{schema}: {fault}"),
            Self::TooManySchemas { max } => write!(f, "the batch has more than {max} schemas"),
        }
    }
}

fn wrong_subject(
    f: &mut fmt::Formatter<'_>,
    id: SchemaId,
    registered: &[SubjectVersion],
    wanted: &[String],
) -> fmt::Result {
    write!(f, "id {id} is registered ")?;
    match registered {
        [] => f.write_str("under no subject")?,
        [first, rest @ ..] => {
            write!(f, "as {} v{}", first.subject, first.version)?;
            if !rest.is_empty() {
                write!(f, " and {} more", rest.len())?;
            }
        }
    }
    if wanted.is_empty() {
        f.write_str("; the subject of its type is unknown, list it in the topic's subjects")
    } else {
        write!(f, ", not under {}", wanted.join(", "))
    }
}

/// Returns `text` truncated to at most `max` bytes, with an ellipsis if it was truncated. `max` is
/// 3 or more.
#[must_use]
pub(crate) fn bounded(mut text: String, max: usize) -> String {
    const ELLIPSIS: char = '…';
    if text.len() > max {
        // The ellipsis has three bytes, which the bound includes.
        text.truncate(text.floor_char_boundary(max - ELLIPSIS.len_utf8()));
        text.push(ELLIPSIS);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label() -> Label {
        Label {
            subject: "payments-value".into(),
            version: Version::new(3).unwrap(),
            id: SchemaId::new(41).unwrap(),
        }
    }

    fn wrong_subject(registered: &[(&str, i32)], wanted: &[&str]) -> Fault {
        let version = |&(subject, version): &(&str, i32)| SubjectVersion {
            subject: subject.to_owned(),
            version: Version::new(version).unwrap(),
            deleted: false,
        };
        Fault::WrongSubject {
            id: SchemaId::new(7).unwrap(),
            registered: registered.iter().map(version).collect(),
            wanted: wanted.iter().map(|&subject| subject.to_owned()).collect(),
        }
    }

    fn assert_described(table: &[(Fault, &str, &str)]) {
        for (fault, code, message) in table {
            assert_eq!(fault.code(), *code);
            assert_eq!(
                fault.message(RecordPart::Value, ""),
                format!("value: {message}")
            );
        }
    }

    #[test]
    fn framing_faults_have_codes_and_messages() {
        let header = "__value_schema_id";
        let framing = |fault| Fault::Framing(fault);
        assert_described(&[
            (
                Fault::NoMagic,
                "no-magic",
                "no magic byte, expected 0x00 before a schema id",
            ),
            (
                Fault::Short { have: 4, need: 5 },
                "short",
                "4 bytes are too short for a prefix of 5",
            ),
            (
                framing(FramingFault::HeaderNotAllowed { header }),
                "framing",
                "header __value_schema_id has a schema id, but only prefixes are allowed",
            ),
            (
                framing(FramingFault::HeaderMissing { header }),
                "framing",
                "no header __value_schema_id",
            ),
            (
                framing(FramingFault::BadHeader { header }),
                "framing",
                "header __value_schema_id is not a schema id; expected 0x00 and four bytes",
            ),
            (
                framing(FramingFault::Guid),
                "framing",
                "the schema is identified by a GUID; only schema ids are supported",
            ),
            (Fault::Null, "null", "null is not allowed"),
        ]);
    }

    #[test]
    fn schema_faults_have_codes_and_messages() {
        let window = |min: Option<i32>, max: Option<i32>| Fault::OutOfWindow {
            schema: label(),
            min: min.and_then(Version::new),
            max: max.and_then(Version::new),
        };
        assert_described(&[
            (
                Fault::UnknownId(99_999),
                "unknown-id",
                "unknown schema id 99999",
            ),
            (
                wrong_subject(&[("orders-value", 2)], &["payments-value"]),
                "wrong-subject",
                "id 7 is registered as orders-value v2, not under payments-value",
            ),
            (
                wrong_subject(&[("orders-value", 2), ("x", 1), ("y", 1)], &["a", "b"]),
                "wrong-subject",
                "id 7 is registered as orders-value v2 and 2 more, not under a, b",
            ),
            (
                wrong_subject(&[], &["a"]),
                "wrong-subject",
                "id 7 is registered under no subject, not under a",
            ),
            (
                window(Some(4), Some(6)),
                "version-out-of-window",
                "payments-value v3 (id 41): only versions 4 to 6 may be written",
            ),
            (
                window(Some(4), None),
                "version-out-of-window",
                "payments-value v3 (id 41): only version 4 and up may be written",
            ),
            (
                window(None, Some(2)),
                "version-out-of-window",
                "payments-value v3 (id 41): only versions up to 2 may be written",
            ),
            (
                Fault::Deleted(label()),
                "deleted",
                "payments-value v3 (id 41) is deleted",
            ),
            (
                Fault::TooManySchemas { max: 256 },
                "too-complex",
                "the batch has more than 256 schemas",
            ),
        ]);
    }

    #[test]
    fn message_is_truncated_between_characters() {
        let fault = wrong_subject(&[(&"é".repeat(300), 1)], &["a"]);
        let message = fault.message(RecordPart::Key, "");
        assert!(message.len() <= MESSAGE_BYTES_MAX && message.len() > MESSAGE_BYTES_MAX - 4);
        assert!(
            message.starts_with("key: id 7 is registered as é"),
            "{message}"
        );
        assert!(message.ends_with('…'));
        assert_eq!(bounded("four".into(), 4), "four");
    }
}
