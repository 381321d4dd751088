//! Byte ranges of a schema's source.

use std::ops::Range;

/// A range of bytes in the string that a schema was parsed from ([`Schema::source`]).
///
/// [`Schema::source`]: crate::Schema::source
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// Returns the span as a range, which slices a string.
    #[must_use]
    pub fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

impl From<Span> for Range<usize> {
    fn from(span: Span) -> Self {
        span.range()
    }
}
