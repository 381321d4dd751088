//! A segment's sparse index: from offset or timestamp to a position not far before it.
//!
//! Invariant: entries grow in offset, position and timestamp. The file is only a cache of what the
//! segment's batch headers say: a missing or damaged part is read from them again. Knows no file.

use bytes::BufMut;

use super::codec::Reader;
use crate::types::{Offset, TimestampMs};
use crate::wire::batch::crc32c;

/// Bytes of segment between two entries, at least.
pub(super) const INDEX_INTERVAL_BYTES: u64 = 16 << 10;
/// Bytes of one entry in the file.
pub(super) const INDEX_ENTRY_BYTES: usize = 20;

const CRC_AT: usize = 16;

/// One batch that can be jumped to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IndexEntry {
    relative_offset: u32,
    position: u32,
    /// Greatest timestamp of all batches before the position.
    max_before: TimestampMs,
}

/// The index of one segment.
#[derive(Debug, Default)]
pub(super) struct Index {
    entries: Vec<IndexEntry>,
    /// Bytes of the segment that were looked at.
    covered: u64,
    max_timestamp: Option<TimestampMs>,
}

impl Index {
    /// The valid beginning of an index file, for a segment of `segment_bytes`. What lies behind
    /// the last entry still has to be noted.
    pub(super) fn decode(file: &[u8], segment_bytes: u64) -> Self {
        let mut index = Self::default();
        for bytes in file.chunks_exact(INDEX_ENTRY_BYTES) {
            let Some(entry) = IndexEntry::decode(bytes) else {
                break;
            };
            let grows = index.entries.last().is_none_or(|last| {
                entry.position > last.position
                    && entry.relative_offset > last.relative_offset
                    && entry.max_before >= last.max_before
            });
            if !grows || u64::from(entry.position) >= segment_bytes {
                break;
            }
            index.covered = u64::from(entry.position);
            index.max_timestamp = Some(entry.max_before);
            index.entries.push(entry);
        }
        index
    }

    /// Bytes of the segment that were noted.
    pub(super) fn covered(&self) -> u64 {
        self.covered
    }

    /// Entries so far.
    pub(super) fn count(&self) -> usize {
        self.entries.len()
    }

    /// The file's bytes for entries from number `from` on.
    pub(super) fn encode_from(&self, from: usize) -> Vec<u8> {
        let entries = self.entries.get(from..).unwrap_or_default();
        entries.iter().flat_map(|entry| entry.encode()).collect()
    }

    /// Takes note of the batch at the end of what is covered. `segment` is the base offset of the
    /// segment. Batches too far for 32 bits are passed over; the segment was closed before.
    pub(super) fn note(
        &mut self,
        segment: Offset,
        batch: Offset,
        batch_bytes: u64,
        max_timestamp: TimestampMs,
    ) {
        let last = self
            .entries
            .last()
            .map_or(0, |entry| u64::from(entry.position));
        if self.covered >= last + INDEX_INTERVAL_BYTES {
            let relative = u32::try_from(batch.0.saturating_sub(segment.0));
            if let (Ok(relative_offset), Ok(position)) = (relative, u32::try_from(self.covered)) {
                let max_before = self.max_timestamp.unwrap_or(TimestampMs(i64::MIN));
                self.entries.push(IndexEntry {
                    relative_offset,
                    position,
                    max_before,
                });
            }
        }
        self.covered += batch_bytes;
        self.max_timestamp = self.max_timestamp.max(Some(max_timestamp));
    }

    /// A position of a batch at or before `offset`.
    pub(super) fn position_of(&self, segment: Offset, offset: Offset) -> u64 {
        let relative = offset.0.saturating_sub(segment.0);
        self.before(|entry| i64::from(entry.relative_offset) <= relative)
    }

    /// A position that no batch with a timestamp of `ts` or above stands before.
    pub(super) fn position_of_time(&self, ts: TimestampMs) -> u64 {
        self.before(|entry| entry.max_before < ts)
    }

    /// The next place behind `position` from which batches can be read, with its offset.
    pub(super) fn next_after(&self, segment: Offset, position: u64) -> Option<(Offset, u64)> {
        let at = self
            .entries
            .partition_point(|entry| u64::from(entry.position) <= position);
        let entry = self.entries.get(at)?;
        Some((
            segment.plus(i64::from(entry.relative_offset)),
            u64::from(entry.position),
        ))
    }

    fn before(&self, holds: impl Fn(&IndexEntry) -> bool) -> u64 {
        let count = self.entries.partition_point(holds);
        let entry = count.checked_sub(1).and_then(|last| self.entries.get(last));
        entry.map_or(0, |entry| u64::from(entry.position))
    }
}

impl IndexEntry {
    fn encode(self) -> [u8; INDEX_ENTRY_BYTES] {
        let mut bytes = [0; INDEX_ENTRY_BYTES];
        let mut at = &mut bytes[..];
        at.put_u32(self.relative_offset);
        at.put_u32(self.position);
        at.put_i64(self.max_before.0);
        let crc = crc32c(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let entry = Self {
            relative_offset: reader.u32()?,
            position: reader.u32()?,
            max_before: TimestampMs(reader.i64()?),
        };
        let crc = reader.u32()?;
        (crc == crc32c(bytes.get(..CRC_AT)?)).then_some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(batches: i64) -> Index {
        let mut index = Index::default();
        for at in 0..batches {
            index.note(
                Offset(1000),
                Offset(1000 + at * 3),
                5000,
                TimestampMs(at * 10),
            );
        }
        index
    }

    #[test]
    fn positions_stand_before_what_is_asked_for_and_within_an_interval() {
        let index = index(100);
        for at in 0..100 {
            let position = index.position_of(Offset(1000), Offset(1000 + at * 3 + 1));
            let exact = u64::try_from(at).unwrap() * 5000;
            assert!(position <= exact && exact - position < INDEX_INTERVAL_BYTES + 5000);
            assert!(index.position_of_time(TimestampMs(at * 10)) <= exact);
        }
        assert_eq!(index.position_of_time(TimestampMs(0)), 0);
    }

    #[test]
    fn a_file_is_taken_up_to_its_first_damaged_entry() {
        let whole = index(100);
        let file = whole.encode_from(0);
        let bytes = whole.covered();
        assert_eq!(Index::decode(&file, bytes).entries, whole.entries);
        for damaged in 0..file.len() {
            let mut file = file.clone();
            file[damaged] ^= 0x10;
            let index = Index::decode(&file, bytes);
            assert_eq!(index.entries, whole.entries[..damaged / INDEX_ENTRY_BYTES]);
        }
        let half = Index::decode(&file, bytes / 2);
        assert!(half.covered() < bytes / 2 && half.count() > 0);
    }
}
