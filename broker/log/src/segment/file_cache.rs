//! Cache of open segment files with least-recently-used eviction.
//!
//! Invariant: at most `limit` files are cached, fewer if their indexes need too much memory. A file
//! in use stays open after its eviction until its last user drops it; while `limit` evicted files
//! are in use, no further file is given out for a response.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};

use crate::disk::{Disk, OpenMode};
use crate::locks::{lock, try_lock};
use crate::partition::Partition;
use crate::segment::{SegmentFile, SegmentMeta};

/// Memory for the indexes of cached segments, enough for 64 full segments of 1 GiB.
const INDEX_BYTES_MAX: usize = 64 << 20;

#[derive(Debug)]
pub(crate) struct FileCache {
    limit: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    files: HashMap<PathBuf, (u64, Arc<SegmentFile>)>,
    uses: u64,
    /// Files evicted while they were in use.
    evicted: Vec<Weak<SegmentFile>>,
}

impl FileCache {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            open: Mutex::default(),
        }
    }

    /// Returns the file of a segment; opens it in `mode` if it is not cached.
    pub(crate) fn segment(
        &self,
        disk: &dyn Disk,
        partition: &Partition,
        meta: &SegmentMeta,
        mode: OpenMode,
    ) -> io::Result<Arc<SegmentFile>> {
        let dir = &partition.dir;
        let path = meta.path(dir);
        if let Some(file) = lock(&self.open).find(&path) {
            return Ok(file);
        }
        // Opened without the lock, because loading the index reads the disk.
        let opened = SegmentFile::open(disk, dir, partition.tp, meta, mode)?;
        Ok(lock(&self.open).keep(path, Arc::new(opened), self.limit))
    }

    /// Returns the file of a segment for a response, which can hold it for long. `None` if it is
    /// not cached, the cache is locked, or responses hold too many evicted files.
    pub(crate) fn opened(&self, dir: &Path, meta: &SegmentMeta) -> Option<Arc<SegmentFile>> {
        let mut open = try_lock(&self.open)?;
        // The files in the cache can be evicted too, so up to twice the limit is in use.
        (open.evicted_in_use() < self.limit).then(|| open.find(&meta.path(dir)))?
    }

    /// Removes a file from the cache before it is deleted or opened again.
    pub(crate) fn forget(&self, path: &Path) {
        let mut open = lock(&self.open);
        let removed = open.files.remove(path);
        open.evicted
            .extend(removed.map(|(_, file)| Arc::downgrade(&file)));
    }
}

impl Open {
    fn find(&mut self, path: &Path) -> Option<Arc<SegmentFile>> {
        self.uses += 1;
        let (used, file) = self.files.get_mut(path)?;
        *used = self.uses;
        Some(Arc::clone(file))
    }

    fn evicted_in_use(&mut self) -> usize {
        self.evicted.retain(|file| file.strong_count() > 0);
        self.evicted.len()
    }

    /// Caches `file`. Returns the cached one instead if another thread opened it meanwhile.
    fn keep(&mut self, path: PathBuf, file: Arc<SegmentFile>, limit: usize) -> Arc<SegmentFile> {
        if let Some(faster) = self.find(&path) {
            return faster;
        }
        let index_bytes = |(_, file): &(u64, Arc<SegmentFile>)| file.index_bytes();
        let mut bytes: usize = self.files.values().map(index_bytes).sum();
        while self.files.len() >= limit || bytes > INDEX_BYTES_MAX {
            // Linear in at most `limit` entries, and only when a file is opened.
            let oldest = self.files.iter().min_by_key(|(_, (used, _))| *used);
            let Some(oldest) = oldest.map(|(path, _)| path.clone()) else {
                break;
            };
            let closed = self.files.remove(&oldest);
            bytes = bytes.saturating_sub(closed.as_ref().map_or(0, index_bytes));
            self.evicted
                .extend(closed.map(|(_, file)| Arc::downgrade(&file)));
        }
        self.files.insert(path, (self.uses, Arc::clone(&file)));
        self.evicted_in_use();
        file
    }
}

#[cfg(test)]
mod tests {
    use avouch_protocol::types::Offset;

    use super::*;
    use crate::RealDisk;
    use crate::partition::State;

    // Conformance: log-proof/11
    #[test]
    fn file_cache_closes_the_least_recently_used() {
        let dir = tempfile::tempdir().unwrap();
        let tp = crate::tests::batches::tp(1);
        let partition = Partition::new(tp, dir.path().to_owned(), State::default());
        let file_cache = FileCache::new(8);
        let open = |offset: i64, mode| {
            let meta = SegmentMeta::new(Offset(offset));
            file_cache
                .segment(&RealDisk, &partition, &meta, mode)
                .unwrap()
        };
        let all: Vec<_> = (0..4_000)
            .map(|offset| Arc::downgrade(&open(offset, OpenMode::Create)))
            .collect();
        let is_open = |offset: &usize| all[*offset].upgrade().is_some();
        assert_eq!((0..4_000).filter(is_open).count(), 8);
        // Repeated use keeps a file open while others are used once.
        for offset in 0..100 {
            open(3_992, OpenMode::Existing);
            open(offset, OpenMode::Existing);
        }
        assert!(is_open(&3_992));
        assert!(!is_open(&3_999));
    }

    // Conformance: operation/11
    #[test]
    fn unsent_responses_hold_bounded_files() {
        let dir = tempfile::tempdir().unwrap();
        let tp = crate::tests::batches::tp(1);
        let partition = Partition::new(tp, dir.path().to_owned(), State::default());
        let (limit, file_cache) = (8, FileCache::new(8));
        let mut responses = Vec::new();
        for offset in 0..100 {
            let meta = SegmentMeta::new(Offset(offset));
            let opened = file_cache.segment(&RealDisk, &partition, &meta, OpenMode::Create);
            drop(opened.unwrap());
            responses.extend(file_cache.opened(dir.path(), &meta));
        }
        let bound = limit * (1 + crate::api::EVICTED_FILES_FACTOR);
        assert!(
            (limit..=bound).contains(&responses.len()),
            "{}",
            responses.len()
        );
        responses.clear();
        let newest = SegmentMeta::new(Offset(99));
        assert!(file_cache.opened(dir.path(), &newest).is_some());
    }
}
