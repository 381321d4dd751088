//! What can be wrong with a message: in the bytes we read, or in the value we were to write.

use thiserror::Error;

use super::api::ApiKey;

/// Why bytes are no message, or a value has no bytes in the version asked for. `at` counts bytes
/// from the start of what the reader was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WireError {
    /// The bytes end inside a value.
    #[error("truncated at byte {at}: {need} bytes needed, {have} left")]
    Truncated {
        /// Where the value starts.
        at: usize,
        /// Bytes it needs.
        need: usize,
        /// Bytes there are.
        have: usize,
    },
    /// A length below -1.
    #[error("length {length} at byte {at} is impossible")]
    BadLength {
        /// Where the length stands.
        at: usize,
        /// What it says.
        length: i64,
    },
    /// A variable-length integer beyond its bits or bytes.
    #[error("variable-length integer at byte {at} is too long")]
    BadVarint {
        /// Where it starts.
        at: usize,
    },
    /// A string that is not UTF-8.
    #[error("string at byte {at} is not UTF-8")]
    BadUtf8 {
        /// Where its text starts.
        at: usize,
    },
    /// More elements than the bytes left can hold, or than we take.
    #[error("{count} {what} at byte {at}, {limit} are possible")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// Where the count stands.
        at: usize,
        /// What it says.
        count: u64,
        /// What would pass.
        limit: u64,
    },
    /// Bytes behind the end of a message or a tagged field.
    #[error("{count} bytes left over at byte {at}")]
    TrailingBytes {
        /// Where the value ends.
        at: usize,
        /// Bytes behind it.
        count: usize,
    },
    /// A version that we do not speak.
    #[error("{api:?} version {version} is not supported")]
    UnsupportedVersion {
        /// The API.
        api: ApiKey,
        /// The version asked for.
        version: i16,
    },
    /// A record of an internal topic whose kind or version is not supported.
    #[error("version {version} of {record} is not supported")]
    UnknownRecordVersion {
        /// The type of the record.
        record: &'static str,
        /// Its leading number.
        version: i16,
    },
    /// Null where a value must be.
    #[error("null at byte {at}, which needs a value")]
    NullNotAllowed {
        /// Where the null stands.
        at: usize,
    },
    /// Null in a field that has none in this version.
    #[error("{field} must not be null in version {version}")]
    NullNotInVersion {
        /// The field.
        field: &'static str,
        /// The version.
        version: i16,
    },
    /// A value that this version cannot carry, in a field that must not be dropped silently.
    #[error("{field} is set but not in version {version}")]
    FieldNotInVersion {
        /// The field.
        field: &'static str,
        /// The version.
        version: i16,
    },
    /// A value too long for its length prefix.
    #[error("{length} bytes or elements are too many to write, {limit} would do")]
    TooLong {
        /// Its length.
        length: usize,
        /// The greatest that can be written.
        limit: usize,
    },
}
