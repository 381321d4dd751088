//! What is wrong with a datum, and where.

use std::fmt;

/// The first fault of a datum.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// What is wrong.
    pub reason: Reason,
    /// Where in the schema: `/field` steps into a record, `[3]` is the fourth item of an array,
    /// `{3}` the fourth entry of a map (`{3}.key` its key), `(string)` the branch of a union by
    /// its type or full name, `/` alone the whole datum. Such as `/items[3]/price`,
    /// `/note(string)` or `/tags{0}.key`. It holds nothing of the datum.
    pub path: String,
    /// Where in the datum, in bytes: where the wrong value starts, for text its wrong byte.
    pub offset: usize,
    /// Bytes of the datum.
    pub len: usize,
    /// What the datum was too short for, if it was.
    pub need: Option<Need>,
}

/// What a datum was too short for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// The type, such as `double`, or `length`, `block count`, `block size`, `union index`.
    pub what: &'static str,
    /// The bytes it needs from [`Fault::offset`] on, at least.
    pub bytes: u64,
}

/// The kinds of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reason {
    /// The datum ends within a value.
    Truncated,
    /// Bytes follow the value.
    TrailingBytes,
    /// An int or long has too many bytes or bits, or a length is negative.
    BadVarint,
    /// A union has no branch of this index.
    BadUnion,
    /// An enum has no symbol of this index.
    BadEnum,
    /// A string or map key is no UTF-8.
    BadUtf8,
    /// A boolean is neither 0 nor 1.
    BadBool,
    /// A block is not as large as it says.
    BadBlock,
    /// Values nest deeper than [`Budget::depth`](super::Budget::depth).
    TooDeep,
    /// There are more items than [`Budget::items`](super::Budget::items).
    TooComplex,
}

impl Fault {
    /// Creates a fault at a path of the schema and a byte offset of a datum of `len` bytes.
    #[must_use]
    pub fn new(reason: Reason, path: String, offset: usize, len: usize) -> Self {
        Self {
            reason,
            path,
            offset,
            len,
            need: None,
        }
    }

    /// Sets what the datum was too short for.
    #[must_use]
    pub fn with_need(self, need: Need) -> Self {
        Self {
            need: Some(need),
            ..self
        }
    }
}

impl Reason {
    /// The stable code, such as `trailing-bytes`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::TrailingBytes => "trailing-bytes",
            Self::BadVarint => "bad-varint",
            Self::BadUnion => "bad-union",
            Self::BadEnum => "bad-enum",
            Self::BadUtf8 => "bad-utf8",
            Self::BadBool => "bad-bool",
            Self::BadBlock => "bad-block",
            Self::TooDeep => "too-deep",
            Self::TooComplex => "too-complex",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.code())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            reason,
            path,
            offset,
            len,
            need,
        } = self;
        write!(out, "{path}: {reason} at byte {offset} of {len}")?;
        match need {
            Some(Need { what, bytes }) => write!(out, ", {what} needs {bytes}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Fault {}
