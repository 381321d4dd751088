//! Decides when the active segment of a partition is closed. Pure.

use avouch_protocol::types::{Offset, TimestampMs};

use crate::partition::settings::PartitionSettings;
use crate::segment::SegmentMeta;

/// The next batch to write, as far as rolling depends on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Next {
    pub(crate) next_offset: Offset,
    pub(crate) bytes: u64,
    pub(crate) max_timestamp: TimestampMs,
}

/// Returns whether `next` needs a new segment, because the active one would become too large, span
/// too much time, or contain offsets that its index cannot express.
pub(crate) fn closes(active: &SegmentMeta, next: Next, settings: &PartitionSettings) -> bool {
    if active.bytes == 0 {
        return false;
    }
    let is_full = active.bytes + next.bytes > settings.segment_bytes;
    is_full || !is_near(active, next.next_offset) || spans_too_much(active, next, settings)
}

/// Returns whether the index of `segment` can express the offsets before `next_offset`.
pub(crate) fn is_near(segment: &SegmentMeta, next_offset: Offset) -> bool {
    next_offset.0.saturating_sub(segment.base_offset.0) < i64::from(i32::MAX)
}

/// Returns whether all segments exceed the retention time, so that the active one is closed to be
/// deleted too. `newest` is the max timestamp of the batches that are in no segment.
pub(crate) fn is_expired(
    segments: &[SegmentMeta],
    newest: Option<TimestampMs>,
    now: TimestampMs,
    retention_ms: Option<i64>,
) -> bool {
    let Some(retention_ms) = retention_ms.filter(|ms| *ms >= 0) else {
        return false;
    };
    let oldest_kept = now.0.saturating_sub(retention_ms);
    let in_segments = segments.iter().map(|segment| segment.max_timestamp);
    segments.last().is_some_and(|active| active.bytes > 0)
        && in_segments
            .chain(newest)
            .all(|timestamp| timestamp.0 < oldest_kept)
}

fn spans_too_much(active: &SegmentMeta, next: Next, settings: &PartitionSettings) -> bool {
    // Batches without records have timestamp -1, which contains no age.
    if active.first_timestamp.0 < 0 {
        return false;
    }
    let span_ms = next
        .max_timestamp
        .0
        .saturating_sub(active.first_timestamp.0);
    span_ms
        > settings
            .segment_ms
            .saturating_sub(jitter_ms(active, settings))
}

/// Returns the jitter of a segment: deterministic, and different for each segment.
fn jitter_ms(active: &SegmentMeta, settings: &PartitionSettings) -> i64 {
    let most = settings.segment_jitter_ms.min(settings.segment_ms);
    if most <= 0 {
        return 0;
    }
    let mixed = active.base_offset.0.wrapping_add(active.first_timestamp.0);
    // Multiplicative hashing spreads neighbouring offsets over the whole interval.
    mixed.wrapping_mul(0x09e3_779b_97f4_a7c1).rem_euclid(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(base: i64, bytes: u64, first: i64, newest: i64) -> SegmentMeta {
        SegmentMeta {
            next_offset: Offset(base + 10),
            bytes,
            first_timestamp: TimestampMs(first),
            max_timestamp: TimestampMs(newest),
            ..SegmentMeta::new(Offset(base))
        }
    }

    // Conformance: log/8
    #[test]
    fn segment_closes_by_size_time_and_offsets() {
        let settings = PartitionSettings {
            segment_bytes: 1_000,
            segment_ms: 500,
            ..PartitionSettings::default()
        };
        // Bytes and first timestamp of the active one; bytes, timestamp, next offset; closed.
        let cases = [
            (0, -1, 5_000, 9_999, 1, false),
            (900, 100, 100, 100, 11, false),
            (900, 100, 101, 100, 11, true),
            (900, 100, 10, 600, 11, false),
            (900, 100, 10, 601, 11, true),
            (900, 100, 10, -1, 11, false),
            (900, -1, 10, 9_999, 11, false),
            (900, 100, 10, 100, i64::from(i32::MAX), true),
        ];
        for (active_bytes, first, bytes, newest, next, closed) in cases {
            let active = segment(0, active_bytes, first, first);
            let batch = Next {
                next_offset: Offset(next),
                bytes,
                max_timestamp: TimestampMs(newest),
            };
            assert_eq!(
                closes(&active, batch, &settings),
                closed,
                "{active:?} {batch:?}"
            );
        }
    }

    // Conformance: log/8
    #[test]
    fn jitter_shortens_and_differs_between_segments() {
        let settings = PartitionSettings {
            segment_jitter_ms: 100,
            segment_ms: 500,
            ..PartitionSettings::default()
        };
        let parts: std::collections::BTreeSet<i64> = (0..50)
            .map(|base| jitter_ms(&segment(base, 1, 7, 7), &settings))
            .collect();
        assert!(parts.len() > 10 && parts.iter().all(|part| (0..100).contains(part)));
    }

    // Conformance: log/8
    #[test]
    fn active_segment_expires_last() {
        let all = [segment(0, 5, 10, 10), segment(10, 5, 20, 20)];
        let now = TimestampMs(1_000);
        let expired = |segments: &[SegmentMeta], newest: Option<i64>, ms| {
            is_expired(segments, newest.map(TimestampMs), now, ms)
        };
        assert!(expired(&all, None, Some(979)));
        assert!(!expired(&all, None, Some(980)));
        assert!(!expired(&all, Some(30), Some(979)));
        assert!(!expired(&all, None, None) && !expired(&all, None, Some(-1)));
        assert!(!expired(&[], None, Some(0)));
        let pinned = [segment(0, 5, 10, 5_000), segment(10, 5, 20, 20)];
        assert!(!expired(&pinned, None, Some(0)));
        let rolled = [segment(0, 5, 10, 10), segment(10, 0, -1, -1)];
        assert!(
            !expired(&rolled, None, Some(0)),
            "an empty one stays as it is"
        );
    }
}
