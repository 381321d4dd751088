//! Errors of decoding and encoding, with the path that is added on the way out.
//!
//! Both errors are one pointer, so that the results of successful calls stay small.

use crate::validator::{Need, Reason};
use std::borrow::Cow;
use std::fmt;

/// The reasons why a datum is not decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The bytes are not a value of the schema, or exceed a limit of depth or items.
    #[error("{0}")]
    Fault(Reason),
    /// The decoded values take more than [`Budget::bytes`](crate::validator::Budget::bytes).
    #[error("too-large")]
    TooLarge,
    /// The reader's schema has no value for the writer's value.
    #[error("{0}")]
    Unresolved(Cow<'static, str>),
    /// The Rust type has no value for the value of the datum. The message contains no data.
    #[error("{0}")]
    Value(Cow<'static, str>),
}

/// The first error of a datum, with its path and byte offset. It contains no data.
#[derive(Clone, PartialEq, Eq)]
pub struct DecodeError(Box<DecodeDetail>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct DecodeDetail {
    kind: DecodeErrorKind,
    path: Path,
    offset: usize,
    len: usize,
    need: Option<Need>,
}

impl DecodeError {
    /// Creates an error at a byte offset of a datum of `len` bytes, with an empty path.
    #[cold]
    #[inline(never)]
    #[must_use]
    pub fn new(kind: DecodeErrorKind, offset: usize, len: usize) -> Self {
        Self(Box::new(DecodeDetail {
            kind,
            path: Path::default(),
            offset,
            len,
            need: None,
        }))
    }

    /// Creates an error whose offset is added by [`DecodeError::located`].
    #[cfg(feature = "serde")]
    #[cold]
    pub(crate) fn unlocated(kind: DecodeErrorKind) -> Self {
        Self::new(kind, usize::MAX, 0)
    }

    /// Sets the offset, unless the error has one.
    #[cfg(feature = "serde")]
    #[cold]
    pub(crate) fn located(mut self, offset: usize, len: usize) -> Self {
        if self.0.offset == usize::MAX {
            self.0.offset = offset;
            self.0.len = len;
        }
        self
    }

    pub(crate) fn with_need(mut self, need: Need) -> Self {
        self.0.need = Some(need);
        self
    }

    /// Returns the reason.
    #[must_use]
    pub fn kind(&self) -> &DecodeErrorKind {
        &self.0.kind
    }

    /// Returns the path in the schema, as in [`Fault::path`](crate::validator::Fault::path).
    #[must_use]
    pub fn path(&self) -> String {
        self.0.path.to_string()
    }

    /// Returns the offset of the value in the datum, in bytes.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.0.offset
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DecodeDetail {
            kind,
            path,
            offset,
            len,
            need,
        } = &*self.0;
        write!(out, "{path}: {kind} at byte {offset} of {len}")?;
        if let Some(Need { what, bytes }) = need {
            write!(out, ", {what} needs {bytes}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for DecodeError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl std::error::Error for DecodeError {}

/// The reasons why a value is not encoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeErrorKind {
    /// The schema has another type at this position.
    #[error("{found} is not a value of {expected}")]
    Type {
        /// The type of the schema.
        expected: &'static str,
        /// The kind of the Rust value.
        found: &'static str,
    },
    /// The number is outside the range of the schema's type.
    #[error("a number is outside the range of {0}")]
    OutOfRange(&'static str),
    /// The value has not as many bytes as the fixed.
    #[error("fixed of {expected} bytes has {found}")]
    Size {
        /// The size of the fixed.
        expected: usize,
        /// The number of bytes of the value.
        found: usize,
    },
    /// The enum has no such symbol.
    #[error("the enum has no such symbol")]
    UnknownSymbol,
    /// The union has no branch for the value.
    #[error("the union has no branch for {0}")]
    UnknownBranch(&'static str),
    /// The record has no field of this name.
    #[error("the record has no such field")]
    UnknownField,
    /// The value has no field of this name, and the schema has no default.
    #[error("the field has no value and no default")]
    MissingField,
    /// The value nests deeper than the maximum.
    #[error("too-deep")]
    TooDeep,
    /// The value has no counterpart in Avro. The message contains no data.
    #[error("{0}")]
    Value(Cow<'static, str>),
}

/// The first error of a value, with its path. It contains no data.
#[derive(Clone, PartialEq, Eq)]
pub struct EncodeError(Box<EncodeDetail>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct EncodeDetail {
    kind: EncodeErrorKind,
    path: Path,
}

impl EncodeError {
    /// Creates an error with an empty path.
    #[cold]
    #[inline(never)]
    #[must_use]
    pub fn new(kind: EncodeErrorKind) -> Self {
        let path = Path::default();
        Self(Box::new(EncodeDetail { kind, path }))
    }

    /// Returns the reason.
    #[must_use]
    pub fn kind(&self) -> &EncodeErrorKind {
        &self.0.kind
    }

    /// Returns the path in the schema, as in [`Fault::path`](crate::validator::Fault::path).
    #[must_use]
    pub fn path(&self) -> String {
        self.0.path.to_string()
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.0.path, self.0.kind)
    }
}

impl fmt::Debug for EncodeError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl std::error::Error for EncodeError {}

/// Methods that add the enclosing step to an error, for the caller of a nested `decode` or
/// `encode`.
macro_rules! steps {
    ($error:ident) => {
        impl $error {
            /// Adds the field that contains the value.
            #[cold]
            #[inline(never)]
            #[must_use]
            pub fn in_field(self, name: impl Into<Cow<'static, str>>) -> Self {
                self.within(Step::Field(name.into()))
            }

            /// Adds the position of the item that contains the value, from 0.
            #[cold]
            #[inline(never)]
            #[must_use]
            pub fn in_item(self, position: usize) -> Self {
                self.within(Step::Item(position))
            }

            /// Adds the position of the entry of a map that contains the value, from 0.
            #[cold]
            #[inline(never)]
            #[must_use]
            pub fn in_entry(self, position: usize) -> Self {
                self.within(Step::Entry(position))
            }

            /// Adds the position of the entry of a map with the invalid key, from 0.
            #[cold]
            #[inline(never)]
            #[must_use]
            pub fn in_key(self, position: usize) -> Self {
                self.within(Step::Key(position))
            }

            /// Adds the branch of the union that contains the value: its type or full name.
            #[cold]
            #[inline(never)]
            #[must_use]
            pub fn in_branch(self, name: impl Into<Cow<'static, str>>) -> Self {
                self.within(Step::Branch(name.into()))
            }

            fn within(mut self, step: Step) -> Self {
                self.0.path.0.push(step);
                self
            }
        }
    };
}

steps!(DecodeError);
steps!(EncodeError);

/// The steps to a value, innermost first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Path(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Field(Cow<'static, str>),
    Item(usize),
    Entry(usize),
    Key(usize),
    Branch(Cow<'static, str>),
}

impl fmt::Display for Path {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !matches!(self.0.last(), Some(Step::Field(_))) {
            out.write_str("/")?;
        }
        for step in self.0.iter().rev() {
            match step {
                Step::Field(name) => write!(out, "/{name}")?,
                Step::Item(position) => write!(out, "[{position}]")?,
                Step::Entry(position) => write!(out, "{{{position}}}")?,
                Step::Key(position) => write!(out, "{{{position}}}.key")?,
                Step::Branch(name) => write!(out, "({name})")?,
            }
        }
        Ok(())
    }
}
