//! Going through a segment from batch to batch, by headers alone, and past those that are damaged.
//!
//! The CRC of a batch does not cover its base offset, so a header counts only where its batch
//! follows the one before it. Invariant: every step moves on; nothing is passed over unsaid. Knows
//! no index.

use std::io;

use avouch_protocol::batch::{HEADER_BYTES, crc_matches};
use avouch_protocol::types::Offset;

use crate::api::Damage;
use crate::disk::DiskFile;
use crate::segment::index::Place;
use crate::segment::{Peek, SegmentMeta};

/// What is read at a time to look at headers.
pub(crate) const WALK_BYTES: usize = 8 << 10;
const SEARCH_BYTES: usize = 64 << 10;
/// What looks like a batch and is none is looked at as often as this behind one damaged header.
const SEARCH_TRIES_MAX: usize = 1_000;
const MAGIC_AT: usize = 16;

/// Why offsets may be missing between two batches of a contiguous segment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holes {
    pub(crate) log_start: Offset,
    /// Lost before they came into a segment, or given up, or both.
    pub(crate) known: Vec<Damage>,
    pub(crate) given_up: Vec<Damage>,
}

impl Holes {
    /// Whether a batch at `base` may stand behind one that ends at `next`.
    pub(crate) fn follows(&self, meta: &SegmentMeta, next: Offset, base: Offset) -> bool {
        if !meta.is_contiguous() {
            return base >= next;
        }
        base == next || (base > next && covers(&self.known, self.log_start.max(next), base))
    }

    /// Whether readers pass over all of `damage`.
    pub(crate) fn is_given_up(&self, damage: Damage) -> bool {
        covers(&self.given_up, self.log_start.max(damage.from), damage.to)
    }
}

/// Whether all from `at` to `end` is in one of `ranges`.
fn covers(ranges: &[Damage], at: Offset, end: Offset) -> bool {
    let mut at = at;
    while at < end {
        let holder = ranges
            .iter()
            .find(|range| range.from <= at && at < range.to);
        match holder {
            Some(range) => at = range.to,
            None => return false,
        }
    }
    true
}

/// One thing that stands in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A batch whose header makes sense, and its position.
    Batch(u64, Peek),
    /// Offsets whose batches cannot be told.
    Lost(Damage),
}

impl Step {
    /// The offset behind it.
    pub(crate) fn to(&self) -> Offset {
        match self {
            Self::Batch(_, batch) => batch.next_offset,
            Self::Lost(damage) => damage.to,
        }
    }
}

/// Reads headers one after the other.
pub(crate) struct Walk<'a> {
    file: &'a dyn DiskFile,
    window: Vec<u8>,
    window_at: u64,
    stepped_to: Option<Place>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(file: &'a dyn DiskFile) -> Self {
        Self {
            file,
            window: Vec::new(),
            window_at: 0,
            stepped_to: None,
        }
    }

    /// The bytes of a header at `at`; none where the file ends before.
    pub(crate) fn header(&mut self, at: u64) -> io::Result<Option<&[u8]>> {
        let end = self.window_at + self.window.len() as u64;
        if at < self.window_at || at + HEADER_BYTES as u64 > end {
            self.window.resize(WALK_BYTES, 0);
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

    /// What stands at `place`; none if that cannot be told.
    pub(crate) fn step(
        &mut self,
        meta: &SegmentMeta,
        holes: &Holes,
        place: Place,
    ) -> io::Result<Option<Step>> {
        self.stepped_to = None;
        let Place { position, offset } = place;
        let Some((claimed, _)) = self.header(position)?.and_then(Peek::claimed) else {
            return Ok(None);
        };
        let batch = self.header(position)?.and_then(Peek::of);
        let is_right = |batch: &Peek| {
            position + batch.bytes <= meta.bytes
                && batch.next_offset <= meta.next_offset
                && holes.follows(meta, offset, batch.base_offset)
        };
        if let Some(batch) = batch.filter(is_right) {
            return Ok(Some(Step::Batch(position, batch)));
        }
        // Only its magic or its base offset is damaged, if what follows is where it should be.
        let behind = Place {
            position: position + claimed.bytes,
            offset: Offset(offset.0.saturating_add(claimed.span())),
        };
        if !meta.is_contiguous() || !self.is_there(meta, behind)? {
            return Ok(None);
        }
        self.stepped_to = Some(behind);
        Ok(Some(Step::Lost(Damage {
            from: offset,
            to: behind.offset,
        })))
    }

    /// Where the last step went that lost just one batch.
    pub(crate) fn stepped_to(&self) -> Option<Place> {
        self.stepped_to
    }

    fn is_there(&mut self, meta: &SegmentMeta, place: Place) -> io::Result<bool> {
        if place.position >= meta.bytes {
            return Ok(place.position == meta.bytes && place.offset == meta.next_offset);
        }
        let batch = self.header(place.position)?.and_then(Peek::of);
        Ok(batch.is_some_and(|batch| batch.base_offset == place.offset))
    }
}

/// The first whole batch with a right CRC behind `at` whose base offset is at least `least`.
pub(crate) fn find_batch(
    file: &dyn DiskFile,
    at: u64,
    end: u64,
    least: Offset,
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
            let is_near = |batch: &Peek| {
                at + batch.bytes <= end
                    && batch.base_offset >= least
                    && batch.base_offset.0 - least.0 <= i64::from(i32::MAX)
            };
            let Some(batch) = bytes.get(skip..).and_then(Peek::of).filter(is_near) else {
                continue;
            };
            tries += 1;
            if tries > SEARCH_TRIES_MAX {
                return Ok(None);
            }
            let mut whole = vec![0; usize::try_from(batch.bytes).unwrap_or(usize::MAX)];
            let filled = file.read_at(&mut whole, at)?;
            if filled == whole.len() && crc_matches(&whole) {
                return Ok(Some((at, batch)));
            }
        }
        start += last as u64 + 1;
    }
    Ok(None)
}
