//! Selection of the events that are logged, of a kind that clients can cause at any rate.

/// Minimum time between two warnings, in ms.
const INTERVAL_MS: u64 = 10_000;

/// Admits one warning in ten seconds and counts the events between. Pure: the time is an argument.
#[derive(Debug, Default)]
pub struct WarningLimit {
    next_ms: u64,
    events: u64,
}

impl WarningLimit {
    /// Counts an event. Returns the number of events since the last warning, including this one, if
    /// a warning is due.
    pub fn count(&mut self, now_ms: u64) -> Option<u64> {
        self.events += 1;
        if now_ms < self.next_ms {
            return None;
        }
        self.next_ms = now_ms.saturating_add(INTERVAL_MS);
        Some(std::mem::take(&mut self.events))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: operation/11
    #[test]
    fn frequent_events_share_a_warning() {
        let mut limit = WarningLimit::default();
        let due: Vec<_> = [0, 1, 9_999, 10_000, 10_001, 30_000]
            .map(|now_ms| limit.count(now_ms))
            .into();
        assert_eq!(due, [Some(1), None, None, Some(3), None, Some(2)]);
    }
}
