//! Open segment files, the least recently used closed first.
//!
//! Invariant: at most `limit` are kept here, and fewer where their indexes take too much memory;
//! one in use elsewhere stays open until it is let go.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::disk::{Disk, OpenMode};
use crate::locks::{lock, try_lock};
use crate::segment::{SegmentFile, SegmentMeta};

/// Memory that the indexes of open segments take: those of 64 full segments of 1 GiB.
const INDEX_BYTES_MAX: usize = 64 << 20;

#[derive(Debug)]
pub(crate) struct Handles {
    limit: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    files: HashMap<PathBuf, (u64, Arc<SegmentFile>)>,
    uses: u64,
}

impl Handles {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            open: Mutex::default(),
        }
    }

    /// The segment's file, opened in `mode` if it is not open.
    pub(crate) fn segment(
        &self,
        disk: &dyn Disk,
        dir: &Path,
        meta: &SegmentMeta,
        mode: OpenMode,
    ) -> io::Result<Arc<SegmentFile>> {
        let path = meta.path(dir);
        if let Some(file) = lock(&self.open).find(&path) {
            return Ok(file);
        }
        let opened = SegmentFile::open(disk, dir, meta, mode)?;
        Ok(lock(&self.open).keep(path, Arc::new(opened), self.limit))
    }

    /// The segment's file, if it is open and nobody is opening or closing one.
    pub(crate) fn opened(&self, dir: &Path, meta: &SegmentMeta) -> Option<Arc<SegmentFile>> {
        try_lock(&self.open)?.find(&meta.path(dir))
    }

    /// Closes a file that is to be removed, or to be opened afresh.
    pub(crate) fn forget(&self, path: &Path) {
        lock(&self.open).files.remove(path);
    }
}

impl Open {
    fn find(&mut self, path: &Path) -> Option<Arc<SegmentFile>> {
        self.uses += 1;
        let (used, file) = self.files.get_mut(path)?;
        *used = self.uses;
        Some(Arc::clone(file))
    }

    /// Keeps `file`, unless another thread was faster: then that one's.
    fn keep(&mut self, path: PathBuf, file: Arc<SegmentFile>, limit: usize) -> Arc<SegmentFile> {
        if let Some(faster) = self.find(&path) {
            return faster;
        }
        let index_bytes = |(_, file): &(u64, Arc<SegmentFile>)| file.index_bytes();
        let mut bytes: usize = self.files.values().map(index_bytes).sum();
        while self.files.len() >= limit || bytes > INDEX_BYTES_MAX {
            let oldest = self.files.iter().min_by_key(|(_, (used, _))| *used);
            let Some(oldest) = oldest.map(|(path, _)| path.clone()) else {
                break;
            };
            let closed = self.files.remove(&oldest);
            bytes = bytes.saturating_sub(closed.as_ref().map_or(0, index_bytes));
        }
        self.files.insert(path, (self.uses, Arc::clone(&file)));
        file
    }
}

#[cfg(test)]
mod tests {
    use avouch_protocol::types::Offset;

    use super::*;
    use crate::RealDisk;

    // Conformance: log-proof/11
    #[test]
    fn of_very_many_segments_only_the_last_used_stay_open() {
        let dir = tempfile::tempdir().unwrap();
        let handles = Handles::new(8);
        let open = |offset: i64, mode| {
            let meta = SegmentMeta::new(Offset(offset));
            handles.segment(&RealDisk, dir.path(), &meta, mode).unwrap()
        };
        let all: Vec<_> = (0..4_000)
            .map(|offset| Arc::downgrade(&open(offset, OpenMode::Create)))
            .collect();
        let is_open = |offset: &usize| all[*offset].upgrade().is_some();
        assert_eq!((0..4_000).filter(is_open).count(), 8);
        // One that is used again and again outlives those that are used once.
        for offset in 0..100 {
            open(3_992, OpenMode::Existing);
            open(offset, OpenMode::Existing);
        }
        assert!(is_open(&3_992));
        assert!(!is_open(&3_999));
    }
}
