//! Which parts of a file were looked at and found right. Knows no file.

use std::iter::once;
use std::ops::Range;

/// Ranges that are remembered; of more, the shortest is forgotten and has to be looked at again.
const RANGES_MAX: usize = 16;

/// Ranges of bytes, ascending, with a gap between any two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen(Vec<Range<u64>>);

impl Seen {
    /// These were found right.
    pub(crate) fn add(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let first = self.0.partition_point(|known| known.end < range.start);
        let behind = self.0.partition_point(|known| known.start <= range.end);
        let touched = self.0.get(first..behind).unwrap_or_default();
        let start = touched.iter().map(|known| known.start).min();
        let end = touched.iter().map(|known| known.end).max();
        let start = start.map_or(range.start, |start| start.min(range.start));
        let end = end.map_or(range.end, |end| end.max(range.end));
        self.0.splice(first..behind, once(start..end));
        if self.0.len() > RANGES_MAX {
            let lengths = self.0.iter().map(|known| known.end - known.start);
            let shortest = lengths.enumerate().min_by_key(|&(_, length)| length);
            if let Some((at, _)) = shortest {
                self.0.remove(at);
            }
        }
    }

    /// Whether all of a range was found right.
    pub(crate) fn covers(&self, range: &Range<u64>) -> bool {
        let holds = |known: &Range<u64>| known.start <= range.start && range.end <= known.end;
        self.0.iter().any(holds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_become_one() {
        let mut seen = Seen::default();
        for range in [10..20, 40..50, 900..901, 20..30, 5..5] {
            seen.add(range);
        }
        assert_eq!(seen, Seen(vec![10..30, 40..50, 900..901]));
        assert!(seen.covers(&(12..30)) && seen.covers(&(40..50)));
        assert!(!seen.covers(&(12..31)) && !seen.covers(&(30..40)) && !seen.covers(&(5..6)));
        seen.add(25..45);
        assert_eq!(seen, Seen(vec![10..50, 900..901]));
        seen.add(0..100);
        assert_eq!(seen, Seen(vec![0..100, 900..901]));
    }

    #[test]
    fn of_very_many_ranges_the_long_ones_are_remembered() {
        let mut seen = Seen::default();
        seen.add(0..1_000);
        for at in 1..100 {
            seen.add(at * 2_000..at * 2_000 + 10 + at);
        }
        assert_eq!(seen.0.len(), RANGES_MAX);
        assert!(seen.covers(&(0..1_000)) && seen.covers(&(198_000..198_109)));
        assert!(!seen.covers(&(2_000..2_011)));
    }
}
