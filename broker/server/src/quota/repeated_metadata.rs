//! Delays Metadata responses that report the same unknown topics to one connection again and again.
//!
//! A client that requests the metadata of a deleted topic without a pause between two requests,
//! such as aiokafka 0.14.0, would otherwise use a large part of a core of the broker and of its
//! own. A client that waits between its retries, as most do, is never delayed.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The time in which equal responses are counted.
const WINDOW: Duration = Duration::from_secs(1);
/// Number of equal responses in a window that are not delayed.
const UNDELAYED_MAX: u32 = 10;
/// The delay of each further response. With it aiokafka sends 200 to 300 requests per second, as
/// many as to Kafka.
const DELAY: Duration = Duration::from_millis(3);

/// The latest responses with unknown topics of one connection.
#[derive(Debug, Default)]
pub(crate) struct RepeatedMetadata(Mutex<Window>);

impl RepeatedMetadata {
    /// Counts a response. Returns the time by which it is to be delayed. `unknown` identifies the
    /// unknown topics, for example by a hash; `now` never goes back.
    pub(crate) fn delay(&self, unknown: u64, now: Duration) -> Duration {
        // Never contended: a connection handles one request at a time.
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        window.delay(unknown, now)
    }
}

/// Equal responses since a point in time. Pure.
#[derive(Debug, Default)]
struct Window {
    unknown: u64,
    since: Duration,
    count: u32,
}

impl Window {
    fn delay(&mut self, unknown: u64, now: Duration) -> Duration {
        if self.unknown != unknown || now.saturating_sub(self.since) >= WINDOW {
            *self = Self {
                unknown,
                since: now,
                count: 0,
            };
        }
        self.count = self.count.saturating_add(1);
        if self.count > UNDELAYED_MAX {
            DELAY
        } else {
            Duration::ZERO
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts the requests in `time` of a client that sends the next one `pause` after a response.
    fn requests(window: &mut Window, time: Duration, pause: Duration) -> u32 {
        let (mut now, mut count) = (Duration::ZERO, 0);
        while now < time {
            now += window.delay(1, now) + pause;
            count += 1;
        }
        count
    }

    // Conformance: broker/fetch-16
    #[test]
    fn equal_responses_without_pause_are_delayed() {
        let second = Duration::from_secs(1);
        let aiokafka = Duration::from_micros(476);
        let count = requests(&mut Window::default(), second, aiokafka);
        assert!((200..=300).contains(&count), "{count}");
        // Windows follow each other without a gap.
        let count = requests(&mut Window::default(), 10 * second, aiokafka);
        assert!((2_000..=3_000).contains(&count), "{count}");
    }

    // Conformance: broker/fetch-16
    #[test]
    fn retries_with_backoff_are_not_delayed() {
        let (second, backoff) = (Duration::from_secs(1), Duration::from_millis(100));
        assert_eq!(requests(&mut Window::default(), second, backoff), 10);
        // Responses about other topics are no repetition.
        let mut window = Window::default();
        for request in 0..100 {
            assert_eq!(window.delay(request % 2, Duration::ZERO), Duration::ZERO);
        }
    }
}
