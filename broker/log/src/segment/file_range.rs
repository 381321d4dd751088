//! Ranges of a segment file that can be sent without being read, because they were verified.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use avouch_protocol::chunk::FileRange;
use avouch_protocol::types::Offset;

use super::{Peek, SegmentFile, SegmentMeta};
use crate::disk::page_cache::is_cached;
use crate::locks::try_lock;
use crate::segment::index::BatchPosition;
use crate::segment::scanner::{BatchScanner, OffsetGaps, SCAN_BYTES, ScanStep};

/// Minimum size of a file range; fewer bytes are read and copied.
const FILE_RANGE_BYTES_MIN: usize = 64 << 10;

impl SegmentFile {
    /// Returns the range of the file from the batch that contains `from` to an indexed batch, and
    /// the offset there. See [`crate::Log::file_range`].
    pub(crate) fn file_range(
        &self,
        meta: &SegmentMeta,
        (from, limit): (Offset, Offset),
        max_bytes: usize,
    ) -> io::Result<Option<(FileRange, Offset)>> {
        // The simulated disk has no file descriptor to send from.
        let file = Arc::clone(&self.file).system_file();
        let known = self.verified_range(meta, (from, limit), max_bytes);
        let (Some(file), Some((start, end))) = (file, known) else {
            return Ok(None);
        };
        let header_bytes = u64::from(self.header_bytes);
        // Includes the header after the range, which is read below.
        let looked_at = meta.bytes.min(end.position + SCAN_BYTES as u64) - start.position;
        let looked_at = usize::try_from(looked_at).unwrap_or(usize::MAX);
        let mut range = FileRange {
            failed: Arc::clone(&self.failed),
            ..FileRange::new(file, start.position + header_bytes, looked_at)
        };
        if !is_cached(&range) {
            return Ok(None);
        }
        let containing = self.find(meta, &OffsetGaps::default(), start, |step| step.to() > from)?;
        let Some(ScanStep::Batch(at, _)) = containing else {
            return Ok(None);
        };
        let mut scanner = BatchScanner::new(&*self.file);
        let following = scanner.header(end.position)?.and_then(Peek::of);
        let is_right = end.position == meta.bytes
            || following.is_some_and(|batch| batch.base_offset == end.offset);
        range.at = at + header_bytes;
        range.bytes = usize::try_from(end.position.saturating_sub(at)).unwrap_or(0);
        let is_worth_it = is_right && range.bytes >= FILE_RANGE_BYTES_MIN;
        Ok(is_worth_it.then_some((range, end.offset)))
    }

    /// Returns the verified range around a request, from memory only. It starts at the indexed
    /// batch at or before the one that contains `from`.
    fn verified_range(
        &self,
        meta: &SegmentMeta,
        (from, limit): (Offset, Offset),
        max_bytes: usize,
    ) -> Option<(BatchPosition, BatchPosition)> {
        // A reactor thread calls this, and the lock is held during disk reads, so never wait for
        // it.
        let loaded = try_lock(&self.index)?;
        let is_whole = meta.is_contiguous() && loaded.index.covered() >= meta.bytes;
        if !is_whole || self.failed.load(Ordering::Relaxed) {
            return None;
        }
        let start = loaded.index.position_of(self.base_offset, from);
        let most = start.position.saturating_add(max_bytes as u64);
        let end = if most >= meta.bytes && limit >= meta.next_offset {
            BatchPosition {
                position: meta.bytes,
                offset: meta.next_offset,
            }
        } else {
            let most = most.min(meta.bytes);
            loaded.index.last_up_to(self.base_offset, most, limit)
        };
        let bytes = end.position.saturating_sub(start.position);
        let is_seen = try_lock(&self.verified)?.covers(&(start.position..end.position));
        (is_seen && bytes >= FILE_RANGE_BYTES_MIN as u64).then_some((start, end))
    }
}
