//! What can be wrong with a key or value, and how it is told.
//!
//! Invariant: a fault never holds or shows the data itself, only names, versions, ids, paths and
//! byte counts. Byte offsets count within the datum, that is, from behind the framing prefix.

use std::fmt;

use avouch_avro::validator;
use avouch_registry_api::source::SubjectVersion;
use avouch_registry_api::subject::Part;
use avouch_registry_api::types::{SchemaId, Version};

/// The most bytes of one fault's text.
pub(crate) const MESSAGE_BYTES_MAX: usize = 256;

/// A schema as messages name it: `payments-value v3 (id 41)`.
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

/// What is wrong with one key or value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It doesn't begin with a magic byte.
    NoMagic,
    /// It ends within its framing prefix.
    Short {
        /// Bytes it has.
        have: usize,
        /// Bytes of the prefix.
        need: usize,
    },
    /// It names its schema where, or how, the contract doesn't allow.
    Framing(FramingFault),
    /// It is null.
    Null,
    /// No schema has the id.
    UnknownId(i32),
    /// The schema is registered, but not under a subject of the topic.
    WrongSubject {
        /// The schema id.
        id: SchemaId,
        /// Where it is registered.
        registered: Vec<SubjectVersion>,
        /// Where it should be, empty when the schema's type leaves that open.
        wanted: Vec<String>,
    },
    /// The version is outside the window.
    OutOfWindow {
        /// The schema.
        schema: Label,
        /// The oldest version that passes.
        min: Option<Version>,
        /// The newest version that passes.
        max: Option<Version>,
    },
    /// The version is soft-deleted.
    Deleted(Label),
    /// The datum doesn't decode.
    Datum {
        /// The schema.
        schema: Label,
        /// What is wrong, and where.
        fault: validator::Fault,
    },
    /// The batch names more schemas than one batch may.
    TooManySchemas {
        /// How many it may name for keys, and again for values.
        max: usize,
    },
}

/// What is wrong with how a key or value names its schema. `header` is the header's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FramingFault {
    /// A header names it, the contract wants a prefix.
    HeaderNotAllowed {
        /// The header there is.
        header: &'static str,
    },
    /// No header names it, the contract wants one.
    HeaderMissing {
        /// The header there should be.
        header: &'static str,
    },
    /// The header is null or doesn't hold exactly one schema id.
    BadHeader {
        /// The header.
        header: &'static str,
    },
    /// A GUID names it.
    Guid,
}

impl fmt::Display for FramingFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeaderNotAllowed { header } => {
                write!(
                    f,
                    "header {header} names the schema, only prefixes are allowed"
                )
            }
            Self::HeaderMissing { header } => write!(f, "no header {header}"),
            Self::BadHeader { header } => {
                write!(f, "header {header} holds no schema id: 0x00 and four bytes")
            }
            Self::Guid => f.write_str("a GUID names the schema, only schema ids are served"),
        }
    }
}

impl Fault {
    /// The stable reason code, for metrics and feeds.
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

    /// The schema id it is about, if that is known.
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

    /// The subject version it is about, if it got that far.
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

    /// The text for one half of a record, such as `value: unknown schema id 7`, at most
    /// [`MESSAGE_BYTES_MAX`] bytes.
    #[must_use]
    pub(crate) fn message(&self, part: Part) -> String {
        bounded(format!("{part}: {self}"), MESSAGE_BYTES_MAX)
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
            Self::TooManySchemas { max } => write!(f, "the batch names more than {max} schemas"),
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
        f.write_str("; the subject of its type cannot be told, list it in the topic's subjects")
    } else {
        write!(f, ", not under {}", wanted.join(", "))
    }
}

/// `text` cut to at most `max` bytes, with an ellipsis where it was cut. `max` is at least 3.
#[must_use]
pub(crate) fn bounded(mut text: String, max: usize) -> String {
    const ELLIPSIS: char = '…';
    if text.len() > max {
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

    fn told(table: &[(Fault, &str, &str)]) {
        for (fault, code, words) in table {
            assert_eq!(fault.code(), *code);
            assert_eq!(fault.message(Part::Value), format!("value: {words}"));
        }
    }

    #[test]
    fn faults_of_framing_have_their_codes_and_words() {
        let header = "__value_schema_id";
        let framing = |fault| Fault::Framing(fault);
        told(&[
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
                "header __value_schema_id names the schema, only prefixes are allowed",
            ),
            (
                framing(FramingFault::HeaderMissing { header }),
                "framing",
                "no header __value_schema_id",
            ),
            (
                framing(FramingFault::BadHeader { header }),
                "framing",
                "header __value_schema_id holds no schema id: 0x00 and four bytes",
            ),
            (
                framing(FramingFault::Guid),
                "framing",
                "a GUID names the schema, only schema ids are served",
            ),
            (Fault::Null, "null", "null is not allowed"),
        ]);
    }

    #[test]
    fn faults_of_schemas_have_their_codes_and_words() {
        let window = |min: Option<i32>, max: Option<i32>| Fault::OutOfWindow {
            schema: label(),
            min: min.and_then(Version::new),
            max: max.and_then(Version::new),
        };
        told(&[
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
                "the batch names more than 256 schemas",
            ),
        ]);
    }

    #[test]
    fn a_message_is_cut_between_characters() {
        let fault = wrong_subject(&[(&"é".repeat(300), 1)], &["a"]);
        let message = fault.message(Part::Key);
        assert!(message.len() <= MESSAGE_BYTES_MAX && message.len() > MESSAGE_BYTES_MAX - 4);
        assert!(
            message.starts_with("key: id 7 is registered as é"),
            "{message}"
        );
        assert!(message.ends_with('…'));
        assert_eq!(bounded("four".into(), 4), "four");
    }
}
