//! Errors of decoding bytes into messages and encoding messages into bytes.

use thiserror::Error;

use super::api::ApiKey;

/// An error of decoding or encoding a message. `at` is a byte position from the start of the bytes
/// that the reader received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WireError {
    /// The bytes end inside a value.
    #[error("truncated at byte {at}: {need} bytes needed, {have} left")]
    Truncated {
        /// Position of the value.
        at: usize,
        /// Size of the value in bytes.
        need: usize,
        /// Bytes left.
        have: usize,
    },
    /// A length below -1.
    #[error("length {length} at byte {at} is invalid; expected -1 or more")]
    BadLength {
        /// Position of the length.
        at: usize,
        /// The value found.
        length: i64,
    },
    /// A variable-length integer with more than 32 bits.
    #[error("variable-length integer at byte {at} is too long")]
    BadVarint {
        /// Position of the integer.
        at: usize,
    },
    /// A string that is not UTF-8.
    #[error("string at byte {at} is not UTF-8")]
    BadUtf8 {
        /// Position of the first character.
        at: usize,
    },
    /// More elements than the bytes left can hold, or than a frame may have.
    #[error("{count} {what} at byte {at} exceed the limit of {limit}")]
    TooMany {
        /// The unit of `count`.
        what: &'static str,
        /// Position of the count.
        at: usize,
        /// The value found.
        count: u64,
        /// The maximum at this position.
        limit: u64,
    },
    /// Bytes after the end of a message or a tagged field.
    #[error("{count} unexpected bytes after the value that ends at byte {at}")]
    TrailingBytes {
        /// Position after the value.
        at: usize,
        /// Number of bytes after it.
        count: usize,
    },
    /// A version that Avouch does not support.
    #[error("{api:?} version {version} is not supported")]
    UnsupportedVersion {
        /// The API.
        api: ApiKey,
        /// The requested version.
        version: i16,
    },
    /// A record of an internal topic whose kind or version is not supported.
    #[error("version {version} of {record} is not supported")]
    UnknownRecordVersion {
        /// The type of the record.
        record: &'static str,
        /// The leading number of the record.
        version: i16,
    },
    /// Null in a field that is never null.
    #[error("unexpected null at byte {at}")]
    NullNotAllowed {
        /// Position of the null.
        at: usize,
    },
    /// Null in a field that is not nullable in this version.
    #[error("{field} must not be null in version {version}")]
    NullNotInVersion {
        /// The field.
        field: &'static str,
        /// The version.
        version: i16,
    },
    /// A value in a field that this version lacks and that is not ignorable.
    #[error("{field} is set, but version {version} does not have this field")]
    FieldNotInVersion {
        /// The field.
        field: &'static str,
        /// The version.
        version: i16,
    },
    /// A value too long for its length prefix.
    #[error("length {length} exceeds the maximum of {limit}")]
    TooLong {
        /// Length of the value in bytes or elements.
        length: usize,
        /// The maximum length.
        limit: usize,
    },
}
