//! A segment's sparse index: from offset or timestamp to a position not far before it.
//!
//! Invariant: entries grow in offset, position and timestamp. The file is only a cache of what the
//! segment's batch headers say: a missing or damaged part is read from them again. Knows no file.

use avouch_protocol::batch::crc32c;
use avouch_protocol::types::{Offset, TimestampMs};
use bytes::BufMut;

use crate::codec::Reader;

/// Bytes of segment between two entries, at least.
pub(crate) const INDEX_INTERVAL_BYTES: u64 = 16 << 10;
/// Bytes of one entry in the file.
pub(crate) const INDEX_ENTRY_BYTES: usize = 20;

const CRC_AT: usize = 16;

/// One batch that can be jumped to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IndexEntry {
    relative_offset: u32,
    position: u32,
    /// Greatest timestamp of all batches before the position.
    max_before: TimestampMs,
}

/// A position at which a batch begins, and the offset that it is expected to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) position: u64,
    pub(crate) offset: Offset,
}

/// A batch to take note of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noted {
    /// Its base offset less that of the segment.
    pub(crate) relative_offset: i64,
    pub(crate) span: i64,
    pub(crate) bytes: u64,
    pub(crate) max_timestamp: TimestampMs,
    /// Compaction may have taken batches before it.
    pub(crate) may_skip: bool,
}

/// The index of one segment.
#[derive(Debug)]
pub(crate) struct Index {
    entries: Vec<IndexEntry>,
    /// Bytes of the segment that were looked at.
    covered: u64,
    max_timestamp: Option<TimestampMs>,
    /// Relative offset of the next batch, as the one before it says.
    expected: Option<i64>,
    /// The next batch stands behind damage: it gets an entry, wherever that is.
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
    /// The valid beginning of an index file, for a segment of `segment_bytes`. What lies behind
    /// the last entry still has to be noted.
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
            if !grows || u64::from(entry.position) >= segment_bytes {
                break;
            }
            index.covered = u64::from(entry.position);
            index.max_timestamp = Some(entry.max_before);
            index.expected = Some(i64::from(entry.relative_offset));
            index.entries.push(entry);
        }
        index
    }

    /// Bytes of the segment that were noted.
    pub(crate) fn covered(&self) -> u64 {
        self.covered
    }

    /// Relative offset of the batch that is noted next, if that can be told.
    pub(crate) fn expected(&self) -> Option<i64> {
        self.expected
    }

    /// Entries so far.
    pub(crate) fn count(&self) -> usize {
        self.entries.len()
    }

    /// Memory that the entries take.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<IndexEntry>()
    }

    /// The file's bytes for entries from number `from` on.
    pub(crate) fn encode_from(&self, from: usize) -> Vec<u8> {
        let entries = self.entries.get(from..).unwrap_or_default();
        entries.iter().flat_map(|entry| entry.encode()).collect()
    }

    /// Takes note of the batch at the end of what is covered. It gets an entry only if its offset
    /// is the one that the batch before it says, since no CRC covers it. Batches too far for 32
    /// bits are passed over; the segment was closed before.
    pub(crate) fn note(&mut self, batch: Noted) {
        let last = self.entries.last();
        let due_at = last.map_or(0, |entry| u64::from(entry.position)) + INDEX_INTERVAL_BYTES;
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

    /// The batch that is noted next has this relative offset, whatever stands before it.
    pub(crate) fn expect(&mut self, relative_offset: i64) {
        self.expected = Some(relative_offset);
    }

    /// What lies before `position` and is not covered cannot be told; there a batch with this
    /// relative offset begins.
    pub(crate) fn resume(&mut self, position: u64, relative_offset: i64) {
        self.covered = position;
        self.expected = Some(relative_offset);
        self.resumes = true;
        // Nothing is known of the timestamps before it.
        self.max_timestamp = Some(TimestampMs(i64::MAX));
    }

    /// The place of a batch at or before `offset`.
    pub(crate) fn place_of(&self, segment: Offset, offset: Offset) -> Place {
        let relative = offset.0.saturating_sub(segment.0);
        self.before(segment, |entry| {
            i64::from(entry.relative_offset) <= relative
        })
    }

    /// A place that no batch with a timestamp of `ts` or above stands before.
    pub(crate) fn place_of_time(&self, segment: Offset, ts: TimestampMs) -> Place {
        self.before(segment, |entry| entry.max_before < ts)
    }

    /// The next place behind `position` from which batches can be read.
    pub(crate) fn next_after(&self, segment: Offset, position: u64) -> Option<Place> {
        let at = self
            .entries
            .partition_point(|entry| u64::from(entry.position) <= position);
        self.entries.get(at).map(|entry| entry.place(segment))
    }

    /// The last place up to position `end` and offset `limit` from which batches can be read.
    pub(crate) fn last_up_to(&self, segment: Offset, end: u64, limit: Offset) -> Place {
        let relative = limit.0.saturating_sub(segment.0);
        self.before(segment, |entry| {
            u64::from(entry.position) <= end && i64::from(entry.relative_offset) <= relative
        })
    }

    fn before(&self, segment: Offset, holds: impl Fn(&IndexEntry) -> bool) -> Place {
        let count = self.entries.partition_point(holds);
        let entry = count.checked_sub(1).and_then(|last| self.entries.get(last));
        let begin = Place {
            position: 0,
            offset: segment,
        };
        entry.map_or(begin, |entry| entry.place(segment))
    }
}

impl IndexEntry {
    fn place(&self, segment: Offset) -> Place {
        Place {
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
    fn positions_stand_before_what_is_asked_for_and_within_an_interval() {
        let index = index(100);
        for at in 0..100 {
            let place = index.place_of(Offset(1000), Offset(1000 + at * 3 + 1));
            let position = place.position;
            assert_eq!(
                place.offset.0 - 1000,
                i64::try_from(position).unwrap() / 5000 * 3
            );
            let exact = u64::try_from(at).unwrap() * 5000;
            assert!(position <= exact && exact - position < INDEX_INTERVAL_BYTES + 5000);
            let by_time = index.place_of_time(Offset(1000), TimestampMs(at * 10));
            assert!(by_time.position <= exact);
        }
        let first = index.place_of_time(Offset(1000), TimestampMs(0));
        assert_eq!(first.position, 0);
    }

    #[test]
    fn what_is_noted_behind_damage_is_found_at_once_and_by_time_only_from_before_the_damage() {
        let mut index = index(10);
        index.resume(90_000, 60);
        index.note(noted(60, 500));
        let found = index.place_of(Offset(1000), Offset(1061));
        assert_eq!((found.position, found.offset), (90_000, Offset(1060)));
        let by_time = index.place_of_time(Offset(1000), TimestampMs(400));
        assert!(by_time.position < 50_000);
    }

    #[test]
    fn an_offset_that_does_not_follow_is_never_an_entry() {
        let mut index = index(4);
        let count = index.count();
        for (relative, entries) in [(100, count), (15, count), (18, count + 1)] {
            index.note(noted(relative, 50));
            assert_eq!(index.count(), entries, "{relative}");
        }
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
