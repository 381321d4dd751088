//! Where the page cache tells nothing of what it holds, every file is read.

use std::fs::File;
use std::io;
use std::ops::Range;

/// Nobody knows.
pub(crate) fn holds(_: &File, _: &Range<u64>) -> bool {
    false
}

/// There is no such request.
///
/// # Errors
/// `Unsupported`, always.
pub(crate) fn fill(_: &File, _: &Range<u64>) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
