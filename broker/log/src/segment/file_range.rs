//! Stretches of a segment that can be sent without being read, because they were seen to be right.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use avouch_protocol::chunk::Stretch;
use avouch_protocol::types::Offset;

use super::{Peek, SegmentFile, SegmentMeta};
use crate::disk::page_cache::is_cached;
use crate::locks::try_lock;
use crate::segment::index::Place;
use crate::segment::scanner::{Holes, Step, WALK_BYTES, Walk};

/// Less than this is read rather than sent out of the file.
const STRETCH_BYTES_MIN: usize = 64 << 10;

impl SegmentFile {
    /// The stretch of the file from the batch that contains `from` up to a batch that the index
    /// knows, and the offset there. See [`crate::Log::stretch`] for when there is one.
    pub(crate) fn stretch(
        &self,
        meta: &SegmentMeta,
        (from, limit): (Offset, Offset),
        max_bytes: usize,
    ) -> io::Result<Option<(Stretch, Offset)>> {
        let file = Arc::clone(&self.file).system_file();
        let known = self.known_stretch(meta, (from, limit), max_bytes);
        let (Some(file), Some((start, end))) = (file, known) else {
            return Ok(None);
        };
        // With the headers that are looked at behind it.
        let looked_at = meta.bytes.min(end.position + WALK_BYTES as u64) - start.position;
        let looked_at = usize::try_from(looked_at).unwrap_or(usize::MAX);
        let mut stretch = Stretch {
            failed: Arc::clone(&self.failed),
            ..Stretch::new(file, start.position, looked_at)
        };
        if !is_cached(&stretch) {
            return Ok(None);
        }
        let holder = self.find(meta, &Holes::default(), start, |step| step.to() > from)?;
        let Some(Step::Batch(at, _)) = holder else {
            return Ok(None);
        };
        let mut walk = Walk::new(&*self.file);
        let behind = walk.header(end.position)?.and_then(Peek::of);
        let is_right = end.position == meta.bytes
            || behind.is_some_and(|batch| batch.base_offset == end.offset);
        stretch.at = at;
        stretch.bytes = usize::try_from(end.position.saturating_sub(at)).unwrap_or(0);
        let is_worth_it = is_right && stretch.bytes >= STRETCH_BYTES_MIN;
        Ok(is_worth_it.then_some((stretch, end.offset)))
    }

    /// The places around a stretch, from memory alone; the batch that contains `from` is not far
    /// behind the first.
    fn known_stretch(
        &self,
        meta: &SegmentMeta,
        (from, limit): (Offset, Offset),
        max_bytes: usize,
    ) -> Option<(Place, Place)> {
        let loaded = try_lock(&self.index)?;
        let is_whole = meta.is_contiguous() && loaded.index.covered() >= meta.bytes;
        if !is_whole || self.failed.load(Ordering::Relaxed) {
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
        let bytes = end.position.saturating_sub(start.position);
        let is_seen = try_lock(&self.seen)?.covers(&(start.position..end.position));
        (is_seen && bytes >= STRETCH_BYTES_MIN as u64).then_some((start, end))
    }
}
