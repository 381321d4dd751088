//! Whether the system's page cache holds a part of a file, and having it hold one, without copying
//! what it holds.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use rustix::fs::Advice;
use rustix::io::ReadWriteFlags;

/// Of so many bytes one is looked at: the cache is filled and emptied by about as many at a time.
const STEP_BYTES: u64 = 128 << 10;

/// Whether reading the range would not wait for the disk, as far as a look here and there tells.
pub(crate) fn holds(file: &File, range: &Range<u64>) -> bool {
    looked_at(range).all(|at| {
        let mut byte = [0];
        let slices = &mut [IoSliceMut::new(&mut byte)];
        let read = rustix::io::preadv2(file, slices, at, ReadWriteFlags::NOWAIT);
        read.is_ok_and(|count| count == 1)
    })
}

/// Has the cache read the range, and waits until it has.
///
/// # Errors
/// As the system says; `UnexpectedEof` when the file ends within the range.
pub(crate) fn fill(file: &File, range: &Range<u64>) -> io::Result<()> {
    let bytes = NonZeroU64::new(range.end.saturating_sub(range.start));
    rustix::fs::fadvise(file, range.start, bytes, Advice::WillNeed)?;
    for at in looked_at(range) {
        file.read_exact_at(&mut [0], at)?;
    }
    Ok(())
}

/// Every so many bytes, and the last.
fn looked_at(range: &Range<u64>) -> impl Iterator<Item = u64> {
    let step = usize::try_from(STEP_BYTES).unwrap_or(usize::MAX);
    let last = range.end.checked_sub(1).filter(|last| range.contains(last));
    range.clone().step_by(step).chain(last)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn what_was_just_written_or_filled_is_held_and_what_is_not_there_is_not() {
        let mut file = tempfile::tempfile().unwrap();
        let bytes = 3 * STEP_BYTES + 5;
        file.write_all(&vec![7; usize::try_from(bytes).unwrap()])
            .unwrap();
        assert!(holds(&file, &(0..bytes)));
        assert!(!holds(&file, &(0..bytes + 1)));
        fill(&file, &(5..bytes)).unwrap();
        let error = fill(&file, &(0..bytes + 1)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_range_is_looked_at_to_its_last_byte() {
        let at = |range| looked_at(&range).collect::<Vec<_>>();
        assert_eq!(at(0..1), [0, 0]);
        assert_eq!(at(3..3), [0_u64; 0]);
        assert_eq!(
            at(10..10 + STEP_BYTES + 1),
            [10, 10 + STEP_BYTES, 10 + STEP_BYTES]
        );
    }
}
