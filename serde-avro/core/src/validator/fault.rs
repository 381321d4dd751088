//! Faults of data.

use std::fmt;

/// The first fault of a datum: the reason, and the position in the schema and in the datum. It
/// contains no data, except the value of an int beyond 32 bits.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The reason.
    pub reason: Reason,
    /// The path in the schema: `/field` for a field, `[3]` for the fourth item of an array, `{3}`
    /// for the fourth entry of a map (`{3}.key` for its key), `(string)` for a branch of a union by
    /// its type or full name, `/` for the whole datum. Examples: `/items[3]/price`,
    /// `/note(string)`, `/tags{0}.key`.
    pub path: String,
    /// The offset in the datum, in bytes: the start of the invalid value, or the first invalid byte
    /// of a string.
    pub offset: usize,
    /// The length of the datum in bytes.
    pub len: usize,
    /// The value for which the datum is too short, if the reason is [`Reason::Truncated`].
    pub need: Option<Need>,
    /// The value of an int beyond 32 bits, which some libraries write (fastavro 1.13.1). The reason
    /// is [`Reason::BadVarint`].
    pub wide_int: Option<i64>,
}

/// A value for which a datum is too short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// The type, such as `double`, or `length`, `block count`, `block size`, `union index`.
    pub what: &'static str,
    /// The minimum number of bytes from [`Fault::offset`] on.
    pub bytes: u64,
}

/// The reasons why a datum is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reason {
    /// The datum ends within a value.
    Truncated,
    /// Bytes follow the value.
    TrailingBytes,
    /// An int or long has too many bytes or bits, or a length is negative.
    BadVarint,
    /// A union has no branch with the index.
    BadUnion,
    /// An enum has no symbol with the index.
    BadEnum,
    /// A string or map key is not UTF-8.
    BadUtf8,
    /// A boolean is neither 0 nor 1.
    BadBool,
    /// The size of a block differs from the size that it declares.
    BadBlock,
    /// The nesting exceeds [`Budget::depth`](super::Budget::depth).
    TooDeep,
    /// The number of items exceeds [`Budget::items`](super::Budget::items).
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
            wide_int: None,
        }
    }

    /// Sets the value for which the datum is too short.
    #[must_use]
    pub fn with_need(self, need: Need) -> Self {
        Self {
            need: Some(need),
            ..self
        }
    }

    /// Sets the value of an int beyond 32 bits.
    #[must_use]
    pub fn with_wide_int(self, wide_int: Option<i64>) -> Self {
        Self { wide_int, ..self }
    }
}

impl Reason {
    /// Returns the stable code, such as `trailing-bytes`.
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
            wide_int,
        } = self;
        write!(out, "{path}: {reason} at byte {offset} of {len}")?;
        if let Some(Need { what, bytes }) = need {
            write!(out, ", {what} needs {bytes}")?;
        }
        if let Some(value) = wide_int {
            write!(out, ", {value} is beyond 32 bits")?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}
