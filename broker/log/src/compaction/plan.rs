//! Selects the segments of a compaction and their grouping into new segments. Pure.

use avouch_protocol::types::{Offset, TimestampMs};

use crate::partition::settings::CompactionSettings;
use crate::segment::{Generation, SegmentMeta};

/// A compaction to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CompactionPlan {
    /// Closed segments, oldest first.
    pub(crate) sources: Vec<SegmentMeta>,
    /// Generation of the new segments, above all of the partition.
    pub(crate) generation: Generation,
}

/// Returns the compaction of a partition, if one is due. Excludes the active segment, and closed
/// ones with records younger than `min_lag_ms`.
pub(crate) fn plan(
    segments: &[SegmentMeta],
    cleaned_to: Offset,
    now: TimestampMs,
    settings: &CompactionSettings,
) -> Option<CompactionPlan> {
    let (_, closed) = segments.split_last()?;
    let is_old_enough = |segment: &&SegmentMeta| {
        settings.min_lag_ms <= 0
            || segment.max_timestamp.0 <= now.0.saturating_sub(settings.min_lag_ms)
    };
    let count = closed.iter().take_while(is_old_enough).count();
    let sources = closed.get(..count).unwrap_or_default();
    let is_due = is_dirty(sources, cleaned_to, now, settings) || may_forget(sources, now);
    let newest = segments.iter().map(|segment| segment.generation.0).max()?;
    let generation = Generation(newest.checked_add(1)?);
    is_due.then(|| CompactionPlan {
        sources: sources.to_vec(),
        generation,
    })
}

/// Groups neighbouring sources that fit `segment_bytes` together into one new segment.
pub(crate) fn groups(sources: &[SegmentMeta], segment_bytes: u64) -> Vec<&[SegmentMeta]> {
    let mut groups = Vec::new();
    let mut rest = sources;
    while let Some(first) = rest.first() {
        let mut bytes = 0_u64;
        let fits = |segment: &&SegmentMeta| {
            bytes = bytes.saturating_add(segment.bytes);
            let span = segment.next_offset.0.saturating_sub(first.base_offset.0);
            bytes <= segment_bytes && span < i64::from(i32::MAX)
        };
        let count = rest.iter().take_while(fits).count().max(1);
        let (group, later) = rest.split_at(count);
        groups.push(group);
        rest = later;
    }
    groups
}

/// Returns whether enough bytes are uncompacted, or some of them are older than `max_lag_ms`.
fn is_dirty(
    sources: &[SegmentMeta],
    cleaned_to: Offset,
    now: TimestampMs,
    settings: &CompactionSettings,
) -> bool {
    let dirty = || {
        let dirty = |segment: &&SegmentMeta| segment.next_offset > cleaned_to && segment.bytes > 0;
        sources.iter().filter(dirty)
    };
    let bytes: u64 = dirty().map(|segment| segment.bytes).sum();
    let all: u64 = sources.iter().map(|segment| segment.bytes).sum();
    let oldest_wait_ms = dirty()
        .map(|segment| now.0.saturating_sub(segment.first_timestamp.0))
        .max();
    let has_waited = oldest_wait_ms.is_some_and(|wait_ms| wait_ms > settings.max_lag_ms);
    bytes > 0 && (has_waited || ratio(bytes, all) > settings.min_dirty_ratio)
}

/// Returns whether some tombstones can be removed.
fn may_forget(sources: &[SegmentMeta], now: TimestampMs) -> bool {
    sources
        .iter()
        .any(|segment| segment.delete_horizon.is_some_and(|horizon| horizon <= now))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a share of bytes needs no more than 53 bits"
)]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Base offset, bytes, timestamp of first and last batch.
    fn segment(base: i64, bytes: u64, first: i64, newest: i64) -> SegmentMeta {
        SegmentMeta {
            next_offset: Offset(base + 10),
            bytes,
            first_timestamp: TimestampMs(first),
            max_timestamp: TimestampMs(newest),
            ..SegmentMeta::new(Offset(base))
        }
    }

    fn four() -> Vec<SegmentMeta> {
        vec![
            segment(0, 600, 10, 100),
            segment(10, 200, 110, 200),
            segment(20, 200, 210, 300),
            segment(30, 50, 310, 400),
        ]
    }

    // Conformance: log/4
    #[test]
    fn compaction_waits_for_dirty_ratio_or_lag() {
        let settings = |ratio, min_lag_ms, max_lag_ms| CompactionSettings {
            min_dirty_ratio: ratio,
            min_lag_ms,
            max_lag_ms,
            delete_retention_ms: 0,
        };
        const NEVER: i64 = i64::MAX;
        // Ratio, min lag, max lag, cleaned to; number of segments it reads at time 1000.
        let cases = [
            (0.5, 0, NEVER, 0, 3),
            (0.5, 0, NEVER, 10, 0),
            (0.39, 0, NEVER, 10, 3),
            (0.4, 0, NEVER, 10, 0),
            (0.0, 0, NEVER, 30, 0),
            (0.0, 0, NEVER, 29, 3),
            (1.0, 0, NEVER, 0, 0),
            (0.5, 800, NEVER, 0, 2),
            (0.5, 801, NEVER, 0, 1),
            (0.5, 901, NEVER, 0, 0),
            (0.9, 0, 889, 10, 3),
            (0.9, 0, 890, 10, 0),
            (0.9, 0, 989, 10, 0),
        ];
        for (ratio, min_lag, max_lag, cleaned_to, expected) in cases {
            let settings = settings(ratio, min_lag, max_lag);
            let plan = plan(&four(), Offset(cleaned_to), TimestampMs(1_000), &settings);
            let count = plan.map_or(0, |plan| plan.sources.len());
            assert_eq!(count, expected, "{settings:?} cleaned to {cleaned_to}");
        }
    }

    // Conformance: log/3
    #[test]
    fn expired_tombstones_trigger_another_compaction() {
        let mut segments = four();
        segments[0].generation = Generation(4);
        segments[0].delete_horizon = Some(TimestampMs(1_000));
        let settings = CompactionSettings::default();
        let at = |now| plan(&segments, Offset(30), TimestampMs(now), &settings);
        assert_eq!(at(999), None);
        assert_eq!(at(1_000).unwrap().generation, Generation(5));
    }

    #[test]
    fn active_segment_is_never_compacted() {
        let settings = CompactionSettings {
            min_dirty_ratio: 0.0,
            ..CompactionSettings::default()
        };
        for count in 0..=1 {
            let segments = &four()[..count];
            assert_eq!(
                plan(segments, Offset(0), TimestampMs(9_999), &settings),
                None
            );
        }
    }

    #[test]
    fn small_neighbouring_segments_are_merged() {
        let sizes = |segment_bytes| -> Vec<usize> {
            let segments = four();
            let groups = groups(&segments, segment_bytes);
            groups.iter().map(|group| group.len()).collect()
        };
        assert_eq!(sizes(10), [1, 1, 1, 1]);
        assert_eq!(sizes(800), [2, 2]);
        assert_eq!(sizes(1_050), [4]);
        let mut far = four();
        far[1].next_offset = Offset(i64::from(i32::MAX));
        assert_eq!(groups(&far, u64::MAX)[0].len(), 1);
    }
}
