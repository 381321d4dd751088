//! Feed of the newest violations, for the HTTP API.
//!
//! Invariant: entries are numbered consecutively from 1 at each start of the broker. A fixed number
//! of entries is retained; a gap between `since` and the oldest number shows that entries were
//! dropped.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use utoipa::ToSchema;

/// Maximum number of entries in a page.
pub const PAGE_MAX: usize = 1_000;

/// One violation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Violation)]
pub struct Entry {
    /// Number of the entry, from 1.
    pub seq: u64,
    /// Time on the broker's monotonic clock in ms; the API returns an age instead.
    #[serde(skip)]
    pub at_ms: u64,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Index of the record in its batch, from 0.
    pub index: i32,
    /// `key` or `value`.
    pub part: &'static str,
    /// `enforce` or `shadow`.
    pub mode: &'static str,
    /// The stable reason code.
    pub reason: &'static str,
    /// The fault and its place.
    pub message: String,
    /// The schema id, if known.
    pub schema_id: Option<i32>,
    /// The subject, if the schema belongs to a subject of the topic.
    pub subject: Option<String>,
    /// The version in the subject.
    pub version: Option<i32>,
    /// The producer's client id.
    pub client_id: Option<String>,
    /// The producer's principal.
    pub principal: String,
}

/// A page of the feed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Entries by number, at most [`PAGE_MAX`].
    pub entries: Vec<Arc<Entry>>,
    /// The `since` of the next page: the number of the last entry considered, whether it matched or
    /// not.
    pub next: u64,
    /// The lowest retained number, or the next number if the feed is empty.
    pub oldest: u64,
}

/// The feed.
#[derive(Debug)]
pub struct Feed {
    capacity: usize,
    ring: Mutex<Ring>,
}

#[derive(Debug)]
struct Ring {
    entries: VecDeque<Arc<Entry>>,
    next_seq: u64,
}

impl Feed {
    /// Creates a feed that retains at most `capacity` entries, about 1 KiB each.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let ring = Ring {
            entries: VecDeque::new(),
            next_seq: 1,
        };
        Self {
            capacity: capacity.max(1),
            ring: Mutex::new(ring),
        }
    }

    /// Appends an entry and numbers it.
    pub fn push(&self, mut entry: Entry) {
        // Numbered under the lock, so that the order of entries is that of their numbers.
        let mut ring = self.lock();
        entry.seq = ring.next_seq;
        ring.next_seq += 1;
        if ring.entries.len() >= self.capacity {
            ring.entries.pop_front();
        }
        ring.entries.push_back(Arc::new(entry));
    }

    /// Returns the entries after number `since`, of one topic or of all.
    #[must_use]
    pub fn since(&self, since: u64, topic: Option<&str>) -> Page {
        let ring = self.lock();
        let oldest = ring.next_seq - ring.entries.len() as u64;
        // A number that was not assigned yet is from before a restart.
        let since = if since < ring.next_seq { since } else { 0 };
        let mut page = Page {
            entries: Vec::new(),
            next: since,
            oldest,
        };
        let first = usize::try_from((since + 1).saturating_sub(oldest)).unwrap_or(usize::MAX);
        for entry in ring.entries.iter().skip(first) {
            if page.entries.len() == PAGE_MAX {
                break;
            }
            // Also if the entry does not match, so that the next page starts after it.
            page.next = entry.seq;
            if topic.is_none_or(|topic| entry.topic == topic) {
                page.entries.push(Arc::clone(entry));
            }
        }
        page
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(capacity: usize, pushed: usize) -> Feed {
        let feed = Feed::new(capacity);
        for n in 0..pushed {
            feed.push(Entry {
                seq: 0,
                at_ms: 0,
                topic: if n % 2 == 0 { "even" } else { "odd" }.to_owned(),
                partition: 0,
                index: 0,
                part: "value",
                mode: "enforce",
                reason: "short",
                message: String::new(),
                schema_id: None,
                subject: None,
                version: None,
                client_id: None,
                principal: "User:ANONYMOUS".to_owned(),
            });
        }
        feed
    }

    fn numbers(page: &Page) -> Vec<u64> {
        page.entries.iter().map(|entry| entry.seq).collect()
    }

    #[test]
    fn page_starts_after_the_given_number() {
        let feed = feed(100, 5);
        let table: [(u64, Option<&str>, &[u64], u64); 6] = [
            (0, None, &[1, 2, 3, 4, 5], 5),
            (3, None, &[4, 5], 5),
            (5, None, &[], 5),
            (0, Some("odd"), &[2, 4], 5),
            // Numbers of an earlier run.
            (6, None, &[1, 2, 3, 4, 5], 5),
            (u64::MAX, None, &[1, 2, 3, 4, 5], 5),
        ];
        for (since, topic, expected, next) in table {
            let page = feed.since(since, topic);
            assert_eq!(
                (numbers(&page).as_slice(), page.next),
                (expected, next),
                "{since}"
            );
            assert_eq!(page.oldest, 1);
        }
    }

    #[test]
    fn oldest_entries_are_dropped() {
        let feed = feed(3, 10);
        let page = feed.since(0, None);
        assert_eq!((numbers(&page), page.oldest), (vec![8, 9, 10], 8));
    }

    #[test]
    fn empty_feed_has_an_empty_page() {
        assert_eq!(
            feed(3, 0).since(0, None),
            Page {
                entries: vec![],
                next: 0,
                oldest: 1
            }
        );
    }

    #[test]
    fn pages_are_bounded_and_consecutive() {
        let feed = feed(3 * PAGE_MAX, 2 * PAGE_MAX + 10);
        let mut seen = 0;
        let mut since = 0;
        for expected in [PAGE_MAX, PAGE_MAX, 10, 0] {
            let page = feed.since(since, None);
            assert_eq!(page.entries.len(), expected);
            seen += page.entries.len();
            since = page.next;
        }
        assert_eq!(seen, 2 * PAGE_MAX + 10);
    }
}
