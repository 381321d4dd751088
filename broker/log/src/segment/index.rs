//! Sparse index of a segment: maps offsets and timestamps to positions.
//!
//! Invariant: entries increase in offset, position and timestamp. The index file is a cache:
//! missing or corrupt entries are rebuilt from the batch headers of the segment.

use avouch_protocol::batch::crc32c;
use avouch_protocol::types::{Offset, TimestampMs};
use bytes::BufMut;

use crate::codec::Reader;

/// Minimum distance between two entries in the segment.
pub(crate) const INDEX_INTERVAL_BYTES: u64 = 16 << 10;
/// Bytes of an entry in the file.
pub(crate) const INDEX_ENTRY_BYTES: usize = 20;

const CRC_AT: usize = 16;

/// An indexed batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IndexEntry {
    relative_offset: u32,
    position: u32,
    /// Maximum timestamp of all batches before the position.
    max_before: TimestampMs,
}

/// Position of a batch and its expected base offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchPosition {
    pub(crate) position: u64,
    pub(crate) offset: Offset,
}

/// A batch to be indexed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noted {
    /// Base offset minus that of the segment.
    pub(crate) relative_offset: i64,
    pub(crate) span: i64,
    pub(crate) bytes: u64,
    pub(crate) max_timestamp: TimestampMs,
    /// Whether compaction may have removed offsets before the batch.
    pub(crate) may_skip: bool,
}

/// The index of one segment.
#[derive(Debug)]
pub(crate) struct Index {
    entries: Vec<IndexEntry>,
    /// Bytes of the segment that are indexed.
    covered: u64,
    max_timestamp: Option<TimestampMs>,
    /// Expected relative offset of the next batch.
    expected: Option<i64>,
    /// Whether the next batch follows corruption, so that it gets an entry at any distance.
    resumes: bool,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            covered: 0,
            max_timestamp: None,
            expected: Some(0),
            resumes: false,
        }
    }
}

impl Index {
    /// Decodes the valid prefix of an index file, for a segment of `segment_bytes`. Batches from
    /// the last entry on are not covered yet.
    pub(crate) fn decode(file: &[u8], segment_bytes: u64) -> Self {
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
            // An entry after the end was written before a crash that cut the segment.
            if !grows || u64::from(entry.position) >= segment_bytes {
                break;
            }
            // The batch of the last entry is indexed again; its own timestamp is not part of the
            // entry.
            index.covered = u64::from(entry.position);
            index.max_timestamp = Some(entry.max_before);
            index.expected = Some(i64::from(entry.relative_offset));
            index.entries.push(entry);
        }
        index
    }

    /// Returns the bytes of the segment that are indexed.
    pub(crate) fn covered(&self) -> u64 {
        self.covered
    }

    /// Returns the expected relative offset of the next batch, if it is known.
    pub(crate) fn expected(&self) -> Option<i64> {
        self.expected
    }

    /// Returns the number of entries.
    pub(crate) fn count(&self) -> usize {
        self.entries.len()
    }

    /// Returns the memory of the entries in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<IndexEntry>()
    }

    /// Encodes the entries from number `from` on.
    pub(crate) fn encode_from(&self, from: usize) -> Vec<u8> {
        let entries = self.entries.get(from..).unwrap_or_default();
        entries.iter().flat_map(|entry| entry.encode()).collect()
    }

    /// Indexes the batch at the end of the covered bytes. Batches whose relative offset does not
    /// fit 32 bits get no entry; a segment is closed before that.
    pub(crate) fn note(&mut self, batch: Noted) {
        let last = self.entries.last();
        let due_at = last.map_or(0, |entry| u64::from(entry.position)) + INDEX_INTERVAL_BYTES;
        // No CRC covers the base offset, so only the previous batch can confirm it.
        let is_sure = self.expected.is_some_and(|expected| {
            batch.relative_offset == expected
                || (batch.may_skip && batch.relative_offset > expected)
        });
        if is_sure && (self.covered >= due_at || self.resumes) {
            let relative = u32::try_from(batch.relative_offset);
            if let (Ok(relative_offset), Ok(position)) = (relative, u32::try_from(self.covered))
                && last.is_none_or(|last| relative_offset > last.relative_offset)
            {
                let max_before = self.max_timestamp.unwrap_or(TimestampMs(i64::MIN));
                self.resumes = false;
                self.entries.push(IndexEntry {
                    relative_offset,
                    position,
                    max_before,
                });
            }
        }
        self.covered += batch.bytes;
        self.max_timestamp = self.max_timestamp.max(Some(batch.max_timestamp));
        self.expected = Some(batch.relative_offset.saturating_add(batch.span));
    }

    /// Sets the expected relative offset of the next batch.
    pub(crate) fn expect(&mut self, relative_offset: i64) {
        self.expected = Some(relative_offset);
    }

    /// Continues at `position`, where a batch with this relative offset starts, after bytes that
    /// could not be read.
    pub(crate) fn resume(&mut self, position: u64, relative_offset: i64) {
        self.covered = position;
        self.expected = Some(relative_offset);
        self.resumes = true;
        // The timestamps before the position are unknown, so no lookup by time may skip them.
        self.max_timestamp = Some(TimestampMs(i64::MAX));
    }

    /// Returns the position of an indexed batch at or before `offset`.
    pub(crate) fn position_of(&self, segment: Offset, offset: Offset) -> BatchPosition {
        let relative = offset.0.saturating_sub(segment.0);
        self.before(segment, |entry| {
            i64::from(entry.relative_offset) <= relative
        })
    }

    /// Returns a position before which all batches have timestamps below `ts`.
    pub(crate) fn position_of_time(&self, segment: Offset, ts: TimestampMs) -> BatchPosition {
        self.before(segment, |entry| entry.max_before < ts)
    }

    /// Returns the next indexed batch after `position`.
    pub(crate) fn next_after(&self, segment: Offset, position: u64) -> Option<BatchPosition> {
        let at = self
            .entries
            .partition_point(|entry| u64::from(entry.position) <= position);
        self.entries.get(at).map(|entry| entry.position_in(segment))
    }

    /// Returns the last indexed batch at or before position `end` and offset `limit`.
    pub(crate) fn last_up_to(&self, segment: Offset, end: u64, limit: Offset) -> BatchPosition {
        let relative = limit.0.saturating_sub(segment.0);
        self.before(segment, |entry| {
            u64::from(entry.position) <= end && i64::from(entry.relative_offset) <= relative
        })
    }

    fn before(&self, segment: Offset, holds: impl Fn(&IndexEntry) -> bool) -> BatchPosition {
        let count = self.entries.partition_point(holds);
        let entry = count.checked_sub(1).and_then(|last| self.entries.get(last));
        let start = BatchPosition {
            position: 0,
            offset: segment,
        };
        entry.map_or(start, |entry| entry.position_in(segment))
    }
}

impl IndexEntry {
    fn position_in(&self, segment: Offset) -> BatchPosition {
        BatchPosition {
            position: self.position.into(),
            offset: segment.plus(i64::from(self.relative_offset)),
        }
    }

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

    fn noted(relative_offset: i64, at: i64) -> Noted {
        Noted {
            relative_offset,
            span: 3,
            bytes: 5000,
            max_timestamp: TimestampMs(at),
            may_skip: false,
        }
    }

    fn index(batches: i64) -> Index {
        let mut index = Index::default();
        for at in 0..batches {
            index.note(noted(at * 3, at * 10));
        }
        index
    }

    #[test]
    fn lookup_is_within_one_interval() {
        let index = index(100);
        for at in 0..100 {
            let found = index.position_of(Offset(1000), Offset(1000 + at * 3 + 1));
            let position = found.position;
            assert_eq!(
                found.offset.0 - 1000,
                i64::try_from(position).unwrap() / 5000 * 3
            );
            let exact = u64::try_from(at).unwrap() * 5000;
            assert!(position <= exact && exact - position < INDEX_INTERVAL_BYTES + 5000);
            let by_time = index.position_of_time(Offset(1000), TimestampMs(at * 10));
            assert!(by_time.position <= exact);
        }
        let first = index.position_of_time(Offset(1000), TimestampMs(0));
        assert_eq!(first.position, 0);
    }

    #[test]
    fn batches_after_corruption_are_indexed() {
        let mut index = index(10);
        index.resume(90_000, 60);
        index.note(noted(60, 500));
        let found = index.position_of(Offset(1000), Offset(1061));
        assert_eq!((found.position, found.offset), (90_000, Offset(1060)));
        let by_time = index.position_of_time(Offset(1000), TimestampMs(400));
        assert!(by_time.position < 50_000);
    }

    #[test]
    fn unexpected_offset_gets_no_entry() {
        let mut index = index(4);
        let count = index.count();
        for (relative, entries) in [(100, count), (15, count), (18, count + 1)] {
            index.note(noted(relative, 50));
            assert_eq!(index.count(), entries, "{relative}");
        }
    }

    #[test]
    fn decoding_stops_at_the_first_corrupt_entry() {
        let whole = index(100);
        let file = whole.encode_from(0);
        let bytes = whole.covered();
        assert_eq!(Index::decode(&file, bytes).entries, whole.entries);
        for corrupt in 0..file.len() {
            let mut file = file.clone();
            file[corrupt] ^= 0x10;
            let index = Index::decode(&file, bytes);
            assert_eq!(index.entries, whole.entries[..corrupt / INDEX_ENTRY_BYTES]);
        }
        let half = Index::decode(&file, bytes / 2);
        assert!(half.covered() < bytes / 2 && half.count() > 0);
    }
}
