//! Scan of a segment by batch headers, which continues after corrupt batches.
//!
//! Invariant: every step advances, and every corrupt range is reported as a step.

use std::io;

use avouch_protocol::batch::{HEADER_BYTES, crc_matches};
use avouch_protocol::types::Offset;

use crate::api::CorruptRange;
use crate::disk::DiskFile;
use crate::segment::index::BatchPosition;
use crate::segment::{Peek, SegmentMeta};

/// Bytes read at a time for headers.
pub(crate) const SCAN_BYTES: usize = 8 << 10;
const SEARCH_BYTES: usize = 64 << 10;
/// Maximum number of candidates whose CRC is computed after one corrupt header.
const SEARCH_TRIES_MAX: usize = 1_000;
const MAGIC_AT: usize = 16;

/// Known reasons for missing offsets between two batches of a contiguous segment.
#[derive(Clone, Debug, Default)]
pub(crate) struct OffsetGaps {
    pub(crate) log_start: Offset,
    /// Corrupt and skipped ranges.
    pub(crate) known: Vec<CorruptRange>,
    pub(crate) skipped: Vec<CorruptRange>,
}

impl OffsetGaps {
    /// Returns whether a batch at `base` may follow one that ends at `next`.
    pub(crate) fn follows(&self, meta: &SegmentMeta, next: Offset, base: Offset) -> bool {
        if !meta.is_contiguous() {
            return base >= next;
        }
        base == next || (base > next && covers(&self.known, self.log_start.max(next), base))
    }

    /// Returns whether reads skip all of `range`.
    pub(crate) fn is_skipped(&self, range: CorruptRange) -> bool {
        covers(&self.skipped, self.log_start.max(range.from), range.to)
    }
}

/// Returns whether `ranges` cover all offsets from `at` to `end`.
fn covers(ranges: &[CorruptRange], at: Offset, end: Offset) -> bool {
    let mut at = at;
    while at < end {
        let known = ranges
            .iter()
            .find(|range| range.from <= at && at < range.to);
        match known {
            Some(range) => at = range.to,
            None => return false,
        }
    }
    true
}

/// One step of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScanStep {
    /// A batch with a valid header, and its position.
    Batch(u64, Peek),
    /// Offsets whose batches are corrupt.
    Lost(CorruptRange),
}

impl ScanStep {
    /// Returns the offset after the step.
    pub(crate) fn to(&self) -> Offset {
        match self {
            Self::Batch(_, batch) => batch.next_offset,
            Self::Lost(range) => range.to,
        }
    }
}

/// Reads the batch headers of a segment one after the other.
pub(crate) struct BatchScanner<'a> {
    file: &'a dyn DiskFile,
    window: Vec<u8>,
    window_at: u64,
    stepped_to: Option<BatchPosition>,
}

impl<'a> BatchScanner<'a> {
    pub(crate) fn new(file: &'a dyn DiskFile) -> Self {
        Self {
            file,
            window: Vec::new(),
            window_at: 0,
            stepped_to: None,
        }
    }

    /// Returns the header at `at`, `None` if the file ends before.
    pub(crate) fn header(&mut self, at: u64) -> io::Result<Option<&[u8]>> {
        let end = self.window_at + self.window.len() as u64;
        if at < self.window_at || at + HEADER_BYTES as u64 > end {
            self.window.resize(SCAN_BYTES, 0);
            let filled = self.file.read_at(&mut self.window, at)?;
            self.window.truncate(filled);
            self.window_at = at;
        }
        let skip = usize::try_from(at - self.window_at).unwrap_or(usize::MAX);
        Ok(self
            .window
            .get(skip..)
            .and_then(|bytes| bytes.get(..HEADER_BYTES)))
    }

    /// Returns the step at `place`, `None` if its end is unknown.
    pub(crate) fn step(
        &mut self,
        meta: &SegmentMeta,
        gaps: &OffsetGaps,
        place: BatchPosition,
    ) -> io::Result<Option<ScanStep>> {
        self.stepped_to = None;
        let BatchPosition { position, offset } = place;
        let Some((claimed, _)) = self.header(position)?.and_then(Peek::claimed) else {
            return Ok(None);
        };
        let batch = self.header(position)?.and_then(Peek::of);
        let is_right = |batch: &Peek| {
            position + batch.bytes <= meta.bytes
                && batch.next_offset <= meta.next_offset
                && gaps.follows(meta, offset, batch.base_offset)
        };
        if let Some(batch) = batch.filter(is_right) {
            return Ok(Some(ScanStep::Batch(position, batch)));
        }
        // If the following header is as expected, the length in this one is correct, and only its
        // magic or base offset is corrupt.
        let following = BatchPosition {
            position: position + claimed.bytes,
            offset: Offset(offset.0.saturating_add(claimed.span())),
        };
        if !meta.is_contiguous() || !self.is_there(meta, following)? {
            return Ok(None);
        }
        self.stepped_to = Some(following);
        Ok(Some(ScanStep::Lost(CorruptRange {
            from: offset,
            to: following.offset,
        })))
    }

    /// Returns the position after the last step if that step lost exactly one batch.
    pub(crate) fn stepped_to(&self) -> Option<BatchPosition> {
        self.stepped_to
    }

    fn is_there(&mut self, meta: &SegmentMeta, place: BatchPosition) -> io::Result<bool> {
        if place.position >= meta.bytes {
            return Ok(place.position == meta.bytes && place.offset == meta.next_offset);
        }
        let batch = self.header(place.position)?.and_then(Peek::of);
        Ok(batch.is_some_and(|batch| batch.base_offset == place.offset))
    }
}

/// Returns the first complete batch after `at` with a correct CRC and a base offset of at least
/// `min_offset`.
pub(crate) fn find_batch(
    file: &dyn DiskFile,
    at: u64,
    end: u64,
    min_offset: Offset,
) -> io::Result<Option<(u64, Peek)>> {
    let mut tries = 0;
    let mut window = vec![0; SEARCH_BYTES];
    let mut start = at + 1;
    while start + (HEADER_BYTES as u64) <= end {
        let filled = file.read_at(&mut window, start)?;
        let bytes = window.get(..filled).unwrap_or_default();
        if bytes.len() < HEADER_BYTES {
            break;
        }
        let last = bytes.len() - HEADER_BYTES;
        for skip in 0..=last {
            if bytes.get(skip + MAGIC_AT) != Some(&2) {
                continue;
            }
            let at = start + skip as u64;
            // A plausible offset rules out most images of headers in record data before the CRC is
            // computed.
            let is_near = |batch: &Peek| {
                at + batch.bytes <= end
                    && batch.base_offset >= min_offset
                    && batch.base_offset.0 - min_offset.0 <= i64::from(i32::MAX)
            };
            let Some(batch) = bytes.get(skip..).and_then(Peek::of).filter(is_near) else {
                continue;
            };
            tries += 1;
            // Crafted record data can contain many headers; each candidate costs a read and a CRC.
            if tries > SEARCH_TRIES_MAX {
                return Ok(None);
            }
            let mut whole = vec![0; usize::try_from(batch.bytes).unwrap_or(usize::MAX)];
            let filled = file.read_at(&mut whole, at)?;
            if filled == whole.len() && crc_matches(&whole) {
                return Ok(Some((at, batch)));
            }
        }
        // The next window starts at the first position whose header was not complete in this one.
        start += last as u64 + 1;
    }
    Ok(None)
}
