//! Stretches of a segment that can be sent without being read, because they were seen to be right.

use std::io;
use std::sync::Arc;

use super::{Peek, SegmentFile, SegmentMeta};
use crate::log::api::Pages;
use crate::log::disk::page_cache;
use crate::log::index::Place;
use crate::log::sync::lock;
use crate::log::walk::{Holes, Step, Walk};
use crate::types::Offset;
use crate::wire::chunk::Stretch;

/// Less than this is read rather than sent out of the file.
const STRETCH_BYTES_MIN: usize = 64 << 10;

impl SegmentFile {
    /// The stretch of the file from the batch that contains `from` up to a batch that the index
    /// knows, and the offset there. See [`crate::log::Log::stretch`] for when there is one.
    pub(in crate::log) fn stretch(
        &self,
        meta: &SegmentMeta,
        (from, limit): (Offset, Offset),
        max_bytes: usize,
        pages: Pages,
    ) -> io::Result<Option<(Stretch, Offset)>> {
        let file = Arc::clone(&self.file).system_file();
        let (Some(file), Some((start, end))) =
            (file, self.known_stretch(meta, (from, limit), max_bytes))
        else {
            return Ok(None);
        };
        let range = start.position..end.position;
        if pages == Pages::Read {
            page_cache::fill(&file, &range)?;
        } else if !page_cache::holds(&file, &range) {
            return Ok(None);
        }
        let holes = Holes::default();
        let holder = self.find(meta, &holes, start, |step| step.to() > from)?;
        let Some(Step::Batch(at, _)) = holder else {
            return Ok(None);
        };
        let mut walk = Walk::new(&*self.file);
        let behind = walk.header(end.position)?.and_then(Peek::of);
        let is_right = end.position == meta.bytes
            || behind.is_some_and(|batch| batch.base_offset == end.offset);
        let bytes = usize::try_from(end.position.saturating_sub(at)).unwrap_or(0);
        let is_worth_it = is_right && bytes >= STRETCH_BYTES_MIN;
        Ok(is_worth_it.then_some((Stretch { file, at, bytes }, end.offset)))
    }

    /// The places around a stretch, from memory alone; the batch that contains `from` is not far
    /// behind the first.
    fn known_stretch(
        &self,
        meta: &SegmentMeta,
        (from, limit): (Offset, Offset),
        max_bytes: usize,
    ) -> Option<(Place, Place)> {
        let loaded = lock(&self.index);
        if !meta.is_contiguous() || loaded.index.covered() < meta.bytes {
            return None;
        }
        let start = loaded.index.place_of(self.base_offset, from);
        let most = start.position.saturating_add(max_bytes as u64);
        let end = if most >= meta.bytes && limit >= meta.next_offset {
            Place {
                position: meta.bytes,
                offset: meta.next_offset,
            }
        } else {
            let most = most.min(meta.bytes);
            loaded.index.last_up_to(self.base_offset, most, limit)
        };
        let range = start.position..end.position;
        let is_seen = !range.is_empty() && lock(&self.seen).covers(&range);
        is_seen.then_some((start, end))
    }
}
