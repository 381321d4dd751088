//! The newest record of each key among those that a compaction compares.
//!
//! Invariant: keys are compared whole, never by a hash alone; what does not fit in memory is left
//! for the next compaction.

use std::collections::HashMap;

use avouch_protocol::types::Offset;

/// What a key costs beside its bytes, about.
const ENTRY_BYTES: usize = 64;

/// Where the newest record of each key stands.
#[derive(Debug)]
pub(crate) struct Latest {
    offsets: HashMap<Box<[u8]>, Offset>,
    bytes: usize,
    bytes_max: usize,
    end: Offset,
}

impl Latest {
    /// Nothing yet, with room for keys of about `bytes_max`.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            offsets: HashMap::new(),
            bytes: 0,
            bytes_max,
            end: Offset(0),
        }
    }

    /// Whether another batch may be noted. The first always may.
    pub(crate) fn has_room(&self) -> bool {
        self.bytes < self.bytes_max
    }

    /// A record with this key stands at `offset`, behind all noted before.
    pub(crate) fn note(&mut self, key: &[u8], offset: Offset) {
        if let Some(newest) = self.offsets.get_mut(key) {
            *newest = offset;
        } else {
            self.bytes += key.len() + ENTRY_BYTES;
            self.offsets.insert(key.into(), offset);
        }
    }

    /// All records below `end` are noted.
    pub(crate) fn noted_to(&mut self, end: Offset) {
        self.end = self.end.max(end);
    }

    /// Records from here on were not compared.
    pub(crate) fn end(&self) -> Offset {
        self.end
    }

    /// Whether a record with this key stands behind `offset`.
    pub(crate) fn is_superseded(&self, key: &[u8], offset: Offset) -> bool {
        self.offsets.get(key).is_some_and(|newest| *newest > offset)
    }
}
