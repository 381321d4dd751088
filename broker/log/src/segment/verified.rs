//! Verified byte ranges of a file.

use std::iter::once;
use std::ops::Range;

/// Maximum number of ranges; above it the shortest is dropped and has to be verified again.
const RANGES_MAX: usize = 16;

/// Disjoint, non-adjacent ranges of bytes in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct VerifiedRanges(Vec<Range<u64>>);

impl VerifiedRanges {
    /// Adds a verified range.
    pub(crate) fn add(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let first = self.0.partition_point(|known| known.end < range.start);
        let after = self.0.partition_point(|known| known.start <= range.end);
        let touched = self.0.get(first..after).unwrap_or_default();
        let start = touched.iter().map(|known| known.start).min();
        let end = touched.iter().map(|known| known.end).max();
        let start = start.map_or(range.start, |start| start.min(range.start));
        let end = end.map_or(range.end, |end| end.max(range.end));
        self.0.splice(first..after, once(start..end));
        if self.0.len() > RANGES_MAX {
            let lengths = self.0.iter().map(|known| known.end - known.start);
            let shortest = lengths.enumerate().min_by_key(|&(_, length)| length);
            if let Some((at, _)) = shortest {
                self.0.remove(at);
            }
        }
    }

    /// Returns whether all of a range is verified.
    pub(crate) fn covers(&self, range: &Range<u64>) -> bool {
        let holds = |known: &Range<u64>| known.start <= range.start && range.end <= known.end;
        self.0.iter().any(holds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adjacent_ranges_are_merged() {
        let mut verified = VerifiedRanges::default();
        for range in [10..20, 40..50, 900..901, 20..30, 5..5] {
            verified.add(range);
        }
        assert_eq!(verified, VerifiedRanges(vec![10..30, 40..50, 900..901]));
        assert!(verified.covers(&(12..30)) && verified.covers(&(40..50)));
        assert!(
            !verified.covers(&(12..31)) && !verified.covers(&(30..40)) && !verified.covers(&(5..6))
        );
        verified.add(25..45);
        assert_eq!(verified, VerifiedRanges(vec![10..50, 900..901]));
        verified.add(0..100);
        assert_eq!(verified, VerifiedRanges(vec![0..100, 900..901]));
    }

    #[test]
    fn shortest_range_is_evicted() {
        let mut verified = VerifiedRanges::default();
        verified.add(0..1_000);
        for at in 1..100 {
            verified.add(at * 2_000..at * 2_000 + 10 + at);
        }
        assert_eq!(verified.0.len(), RANGES_MAX);
        assert!(verified.covers(&(0..1_000)) && verified.covers(&(198_000..198_109)));
        assert!(!verified.covers(&(2_000..2_011)));
    }
}
