//! Retention: computes the new log start offset from segments and limits. Pure.

use avouch_protocol::types::{Offset, TimestampMs};

use crate::segment::SegmentMeta;

/// Retention limits; `None` or a negative number means no limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RetentionLimits {
    pub(crate) retention_ms: Option<i64>,
    pub(crate) retention_bytes: Option<i64>,
}

/// Returns the log start offset after retention, if it deletes a segment. Segments are deleted from
/// the oldest on: by their max timestamp, so one with a timestamp in the future keeps all later
/// ones, or by size while the remaining ones still have `retention_bytes`.
pub(crate) fn new_log_start(
    segments: &[SegmentMeta],
    unflushed_bytes: u64,
    now: TimestampMs,
    limits: RetentionLimits,
) -> Option<Offset> {
    // The active segment is never deleted.
    let (_, closed) = segments.split_last()?;
    let ms = limits.retention_ms.filter(|ms| *ms >= 0);
    let bytes = limits
        .retention_bytes
        .and_then(|bytes| u64::try_from(bytes).ok());
    let too_old = |segment: &SegmentMeta| {
        ms.is_some_and(|ms| segment.max_timestamp.0 < now.0.saturating_sub(ms))
    };
    let mut left = segments.iter().map(|segment| segment.bytes).sum::<u64>() + unflushed_bytes;
    let mut log_start = None;
    for segment in closed {
        let rest = left.saturating_sub(segment.bytes);
        if !too_old(segment) && bytes.is_none_or(|bytes| rest < bytes) {
            break;
        }
        left = rest;
        log_start = Some(segment.next_offset);
    }
    log_start
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(base: i64, max_timestamp: i64) -> SegmentMeta {
        SegmentMeta {
            next_offset: Offset(base + 10),
            bytes: 100,
            max_timestamp: TimestampMs(max_timestamp),
            ..SegmentMeta::new(Offset(base))
        }
    }

    #[test]
    fn retention_deletes_by_age_and_size() {
        // Four segments of 100 bytes and ten offsets each; the last is being written.
        let ages = [10, 20, 30, 40];
        let pinned = [10, 9_000, 30, 40];
        type Case = ([i64; 4], Option<i64>, Option<i64>, Option<i64>);
        let cases: &[Case] = &[
            (ages, None, None, None),
            (ages, Some(-1), Some(-1), None),
            (ages, Some(980), None, Some(10)),
            (ages, Some(979), None, Some(20)),
            (ages, Some(0), None, Some(30)),
            (ages, Some(5_000), None, None),
            (pinned, Some(100), None, Some(10)),
            (ages, None, Some(400), None),
            (ages, None, Some(301), None),
            (ages, None, Some(300), Some(10)),
            (ages, None, Some(0), Some(30)),
            (ages, Some(975), Some(250), Some(20)),
        ];
        for (timestamps, retention_ms, retention_bytes, expected) in cases {
            let segments: Vec<_> = timestamps
                .iter()
                .zip([0, 10, 20, 30])
                .map(|(ts, base)| segment(base, *ts))
                .collect();
            let limits = RetentionLimits {
                retention_ms: *retention_ms,
                retention_bytes: *retention_bytes,
            };
            let start = new_log_start(&segments, 0, TimestampMs(1000), limits);
            assert_eq!(start, expected.map(Offset), "{timestamps:?} {limits:?}");
        }
    }

    #[test]
    fn retention_needs_a_segment() {
        let limits = RetentionLimits {
            retention_ms: Some(0),
            retention_bytes: Some(0),
        };
        assert_eq!(new_log_start(&[], 500, TimestampMs(1000), limits), None);
    }
}
