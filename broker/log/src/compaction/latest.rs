//! The newest record of each key among the records that a compaction compares.
//!
//! Invariant: keys are compared in full, not by hash. Keys that do not fit the memory are left to
//! the next compaction.

use std::collections::HashMap;

use avouch_protocol::types::Offset;

/// Approximate memory of a key in addition to its bytes.
const ENTRY_BYTES: usize = 64;

/// Offset of the newest record of each key.
#[derive(Debug)]
pub(crate) struct Latest {
    offsets: HashMap<Box<[u8]>, Offset>,
    bytes: usize,
    bytes_max: usize,
    end: Offset,
}

impl Latest {
    /// Creates an empty map for keys of about `bytes_max`.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            offsets: HashMap::new(),
            bytes: 0,
            bytes_max,
            end: Offset(0),
        }
    }

    /// Returns whether another batch may be added; the first always may.
    pub(crate) fn has_room(&self) -> bool {
        self.bytes < self.bytes_max
    }

    /// Adds a record, whose offset is above all earlier ones.
    pub(crate) fn note(&mut self, key: &[u8], offset: Offset) {
        if let Some(newest) = self.offsets.get_mut(key) {
            *newest = offset;
        } else {
            self.bytes += key.len() + ENTRY_BYTES;
            self.offsets.insert(key.into(), offset);
        }
    }

    /// Records that all records below `end` were added.
    pub(crate) fn noted_to(&mut self, end: Offset) {
        self.end = self.end.max(end);
    }

    /// Returns the offset from which on records were not compared.
    pub(crate) fn end(&self) -> Offset {
        self.end
    }

    /// Returns whether a newer record with this key exists after `offset`.
    pub(crate) fn is_superseded(&self, key: &[u8], offset: Offset) -> bool {
        self.offsets.get(key).is_some_and(|newest| *newest > offset)
    }
}
