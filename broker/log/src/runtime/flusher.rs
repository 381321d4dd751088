//! The flusher: writes durable batches into segments and takes checkpoints.
//!
//! Invariants: only visible batches are written; a checkpoint covers a WAL frame only after its
//! batches are synced in segments; WAL files are recycled and files removed only after the
//! checkpoint that no longer needs them is durable.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread;

use avouch_protocol::types::Offset;

use crate::api::{Durability, UNSYNCED_FILES_FACTOR};
use crate::checkpoint::{self, Checkpoint};
use crate::disk::{FileSystem, OpenMode};
use crate::failpoints::{self, Bug};
use crate::locks::lock;
use crate::partition::roll::{self, Next};
use crate::partition::settings::PartitionSettings;
use crate::partition::{Partition, TailBatch};
use crate::runtime::shared::{Garbage, Shared};
use crate::segment::{SegmentFile, SegmentMeta, index_path};
use crate::storage::StorageError;
use crate::wal::frame::{FrameSeq, Incarnation};

/// Bytes written to a segment with one call, unless a single batch is larger.
const WRITE_BYTES: usize = 1 << 20;
/// Threads that sync the files of a large checkpoint.
const SYNC_THREADS: usize = 8;
/// Number of files from which these threads are used.
const PARALLEL_SYNC_MIN: usize = 64;

/// Writes segments and checkpoints. The two locks let the writer flush while a checkpoint waits for
/// thousands of syncs.
#[derive(Debug)]
pub(crate) struct Flusher {
    shared: Arc<Shared>,
    incarnation: Incarnation,
    /// Held during a complete checkpoint; locked before `unsynced`.
    checkpointing: Mutex<()>,
    unsynced: Mutex<Unsynced>,
    /// Syncs all files of a large checkpoint in one call, where supported.
    file_system: Option<Box<dyn FileSystem>>,
}

/// Files and directories written since their last sync.
#[derive(Debug, Default)]
struct Unsynced {
    /// Kept open, because a write error is only reported to a handle that was open at that time.
    files: BTreeMap<PathBuf, Arc<SegmentFile>>,
    /// Directories with new entries.
    dirs: BTreeSet<PathBuf>,
}

impl Flusher {
    pub(crate) fn new(shared: Arc<Shared>, incarnation: Incarnation) -> Self {
        let (checkpointing, unsynced) = (Mutex::default(), Mutex::default());
        // Without this handle each file is synced on its own.
        let file_system = shared.disk.file_system(&shared.config.dir);
        Self {
            shared,
            incarnation,
            checkpointing,
            unsynced,
            file_system: file_system.ok().flatten(),
        }
    }

    /// Writes all visible batches that are in no segment into segments, without a sync.
    pub(crate) fn flush(&self) -> Result<(), StorageError> {
        self.unless_poisoned(|| {
            let flushed = self.flush_all(&mut lock(&self.unsynced));
            self.shared.memory.trim();
            flushed
        })
    }

    /// Writes the visible batches of one partition into segments.
    pub(crate) fn flush_one(&self, partition: &Partition) -> Result<(), StorageError> {
        self.unless_poisoned(|| self.flush_partition(&mut lock(&self.unsynced), partition))
    }

    /// Closes the active segment of a partition and starts a new one.
    pub(crate) fn roll(&self, partition: &Partition) -> Result<(), StorageError> {
        self.unless_poisoned(|| {
            let mut unsynced = lock(&self.unsynced);
            self.flush_partition(&mut unsynced, partition)?;
            let (active, base_offset) = {
                let state = partition.state();
                let active = state.segments.last().filter(|_| !state.deleted);
                (active.cloned(), state.flushed_to)
            };
            let Some(active) = active.filter(|active| active.bytes > 0) else {
                return Ok(());
            };
            self.close_index(partition, &active)?;
            self.start_segment(&mut unsynced, partition, base_offset)
                .map(drop)
        })
    }

    /// Creates the directory of a partition and removes files of a crashed process from it.
    pub(crate) fn prepare(&self, partition: &Partition) -> Result<(), StorageError> {
        self.unless_poisoned(|| {
            let mut unsynced = lock(&self.unsynced);
            if partition.state().leftovers {
                self.clear_leftovers(&mut unsynced, partition)?;
            }
            Ok(())
        })
    }

    /// Takes a checkpoint: makes all visible batches durable in segments and frees WAL files.
    pub(crate) fn checkpoint(&self) -> Result<(), StorageError> {
        let open_os = self.shared.config.durability == Durability::Os;
        self.unless_poisoned(|| self.take_checkpoint(open_os))
    }

    /// Takes the last checkpoint of a log that is being closed.
    pub(crate) fn final_checkpoint(&self) -> Result<(), StorageError> {
        self.unless_poisoned(|| self.take_checkpoint(false))
    }

    /// Writes all visible batches into segments, without a sync, and returns the checkpoint that
    /// describes them. It is not written. Called by the writer's thread.
    pub(crate) fn checkpoint_of_segments(&self) -> Result<Checkpoint, StorageError> {
        self.unless_poisoned(|| {
            let mut unsynced = lock(&self.unsynced);
            self.flush_all(&mut unsynced)?;
            Ok(self.snapshot(self.shared.published(), true).0)
        })
    }

    /// Waits until a checkpoint in progress is complete.
    pub(crate) fn wait_for_checkpoint(&self) {
        drop(lock(&self.checkpointing));
    }

    /// Runs `work` unless storage failed. After a failed sync the contents of segments are unknown,
    /// so no checkpoint may name them.
    fn unless_poisoned<T>(
        &self,
        work: impl FnOnce() -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        if let Some(reason) = self.shared.poison() {
            return Err(StorageError::Failed(reason.to_owned()));
        }
        let result = work();
        if let Err(error) = &result {
            self.shared.note_failure(error);
            if error.is_temporary() {
                self.shared.listener.write_postponed(&error.to_string());
            }
        }
        result
    }

    fn take_checkpoint(&self, open_os: bool) -> Result<(), StorageError> {
        let _one_at_a_time = lock(&self.checkpointing);
        // Read before the flush: every frame up to `seq` is then in segments, and frames published
        // meanwhile are replayed, which has no effect.
        let seq = self.shared.published();
        // Read before the flush too, so that frames written during the checkpoint count towards the
        // next one.
        let wal_bytes = self.shared.wal_bytes();
        // The lock makes this one point in time: every file that the checkpoint names is in the set
        // that is synced for it.
        let (unsynced, checkpoint, garbage) = {
            let mut unsynced = lock(&self.unsynced);
            self.flush_all(&mut unsynced)?;
            let (checkpoint, garbage) = self.snapshot(seq, open_os);
            // From here on the writer may flush into `unsynced` again while this checkpoint syncs
            // its own set.
            (std::mem::take(&mut *unsynced), checkpoint, garbage)
        };
        self.shared.memory.trim();
        if let Err(error) = self.sync(&unsynced) {
            if error.is_temporary() {
                // Not all of it was synced, so the next checkpoint has to sync it.
                let mut current = lock(&self.unsynced);
                current.files.extend(unsynced.files);
                current.dirs.extend(unsynced.dirs);
            }
            return Err(error);
        }
        self.write(&checkpoint)?;
        // Only now: until the rename is durable, a start would need these frames.
        lock(&self.shared.wal_files).retire(seq);
        self.shared.note_checkpoint(wal_bytes);
        self.remove(&garbage);
        Ok(())
    }

    fn sync(&self, unsynced: &Unsynced) -> Result<(), StorageError> {
        let many = unsynced.files.len() + unsynced.dirs.len() >= self.shared.config.sync_all_from;
        if let Some(file_system) = self.file_system.as_ref().filter(|_| many) {
            let dir = &self.shared.config.dir;
            let synced = file_system.sync();
            return synced.map_err(|error| StorageError::failed(dir, &error));
        }
        let files: Vec<_> = unsynced.files.values().collect();
        if !failpoints::is_on(Bug::SegmentsNotSynced) {
            in_parallel(&files, |file| file.sync())?;
        }
        let dirs: Vec<_> = unsynced.dirs.iter().collect();
        in_parallel(&dirs, |dir| self.sync_dir(dir))
    }

    /// Returns the checkpoint and the files it makes unnecessary. The order matters: a segment in
    /// the garbage is missing from its partition's list, and a partition missing from the list has
    /// its topic in the deleted ones.
    fn snapshot(&self, seq: FrameSeq, open_os: bool) -> (Checkpoint, Garbage) {
        // A segment enters the garbage after it left its partition's list, so it cannot be in both
        // here.
        let segments = lock(&self.shared.garbage).segments.clone();
        let all = self.shared.partitions();
        let partitions = all
            .iter()
            .map(|partition| partition.state().checkpoint(partition.tp))
            .collect();
        let garbage = Garbage {
            topics: lock(&self.shared.garbage).topics.clone(),
            segments,
        };
        let checkpoint = Checkpoint {
            open_os,
            wal_started: self.shared.wal_started.load(Ordering::Acquire),
            seq,
            incarnation: self.incarnation,
            epoch_floor: self.shared.epoch_floor,
            deleted: garbage.topics.iter().copied().collect(),
            partitions,
        };
        (checkpoint, garbage)
    }

    fn write(&self, checkpoint: &Checkpoint) -> Result<(), StorageError> {
        checkpoint::store(&*self.shared.disk, &self.shared.config.dir, checkpoint)
    }

    /// Removes files that the durable checkpoint no longer names. If that fails, a file remains
    /// that nothing refers to.
    fn remove(&self, garbage: &Garbage) {
        // A later snapshot has none of these files: they left the lists before this checkpoint.
        if self.shared.holds.load(Ordering::Acquire) > 0 {
            return;
        }
        for path in &garbage.segments {
            // An open handle would keep the blocks of the removed file allocated.
            self.shared.file_cache.forget(path);
            self.remove_file(path);
            self.remove_file(&index_path(path));
        }
        if !garbage.topics.is_empty() {
            self.remove_topics(garbage);
        }
        let mut current = lock(&self.shared.garbage);
        current
            .segments
            .retain(|path| !garbage.segments.contains(path));
        current
            .topics
            .retain(|topic| !garbage.topics.contains(topic));
    }

    fn remove_topics(&self, garbage: &Garbage) {
        let data_dir = self.shared.data_dir();
        let names = self.shared.disk.list(&data_dir).unwrap_or_default();
        for name in names {
            let topic = name.rsplit_once('-').map(|(topic, _)| topic);
            if !garbage
                .topics
                .iter()
                .any(|gone| topic == Some(gone.to_string().as_str()))
            {
                continue;
            }
            let dir = data_dir.join(name);
            for file in self.shared.disk.list(&dir).unwrap_or_default() {
                self.shared.file_cache.forget(&dir.join(&file));
                self.remove_file(&dir.join(file));
            }
            if let Err(error) = self.shared.disk.remove_dir(&dir) {
                let dir = dir.display();
                tracing::warn!(%dir, %error, "cannot remove the directory of a deleted partition");
            }
        }
        // The removal becomes durable with the next checkpoint; until then the deleted topics
        // remain listed.
        lock(&self.unsynced).dirs.insert(data_dir);
    }

    fn remove_file(&self, path: &Path) {
        match self.shared.disk.remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let path = path.display();
                tracing::warn!(%path, %error, "cannot remove a file that is no longer needed");
            }
            Ok(()) | Err(_) => {}
        }
    }

    fn flush_all(&self, unsynced: &mut Unsynced) -> Result<(), StorageError> {
        for partition in self.shared.partitions() {
            self.flush_partition(unsynced, &partition)?;
        }
        Ok(())
    }

    fn flush_partition(
        &self,
        unsynced: &mut Unsynced,
        partition: &Partition,
    ) -> Result<(), StorageError> {
        let (batches, leftovers) = {
            let mut state = partition.state();
            let batches: Vec<TailBatch> = state.unflushed().cloned().collect();
            if batches.is_empty() {
                // The tail is empty, so offsets missing up to here are corrupt ranges.
                state.flushed_to = state.high_watermark;
            }
            if batches.is_empty() || state.deleted {
                return Ok(());
            }
            (batches, state.leftovers)
        };
        if leftovers {
            self.clear_leftovers(unsynced, partition)?;
        }
        let settings = partition
            .state()
            .settings_or(self.shared.config.segment_bytes);
        let mut rest = batches.as_slice();
        while let Some(first) = rest.first() {
            let segment = self.segment_for(unsynced, partition, first, &settings)?;
            // The lock of the partition is not held during the write; only this thread changes the
            // last segment.
            let count = how_many(rest, &segment, &settings);
            let (now, later) = rest.split_at(count);
            self.append(unsynced, partition, &segment, now)?;
            rest = later;
        }
        Ok(())
    }

    /// Returns the segment for `batch`: the active one, or a new one if the active one is full.
    fn segment_for(
        &self,
        unsynced: &mut Unsynced,
        partition: &Partition,
        batch: &TailBatch,
        settings: &PartitionSettings,
    ) -> Result<SegmentMeta, StorageError> {
        let last = partition.state().segments.last().cloned();
        match last {
            Some(last) if !roll::closes(&last, next_of(batch), settings) => Ok(last),
            Some(last) => {
                self.close_index(partition, &last)?;
                self.start_segment(unsynced, partition, batch.base_offset)
            }
            None => self.start_segment(unsynced, partition, batch.base_offset),
        }
    }

    fn start_segment(
        &self,
        unsynced: &mut Unsynced,
        partition: &Partition,
        base_offset: Offset,
    ) -> Result<SegmentMeta, StorageError> {
        let segment = SegmentMeta::new(base_offset);
        let path = segment.path(&partition.dir);
        let failed = |error| StorageError::of(&path, &error);
        let shared = &self.shared;
        // A file of this name can be cached from before a deletion of the same offsets.
        shared.file_cache.forget(&path);
        let file = shared
            .file_cache
            .segment(&*shared.disk, partition, &segment, OpenMode::Truncate)
            .map_err(failed)?;
        // Its header must be durable even if no batch follows before the next checkpoint.
        unsynced.files.insert(path.clone(), file);
        unsynced.dirs.insert(partition.dir.clone());
        partition.state().segments.push(segment.clone());
        Ok(segment)
    }

    /// Syncs the index of a closed segment, so that a power loss does not cost a rebuild.
    fn close_index(
        &self,
        partition: &Partition,
        segment: &SegmentMeta,
    ) -> Result<(), StorageError> {
        let path = index_path(&segment.path(&partition.dir));
        match self.shared.disk.open(&path, OpenMode::Existing) {
            Ok(file) => file
                .sync_data()
                .map_err(|error| StorageError::failed(&path, &error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(StorageError::of(&path, &error)),
        }
    }

    fn append(
        &self,
        unsynced: &mut Unsynced,
        partition: &Partition,
        segment: &SegmentMeta,
        batches: &[TailBatch],
    ) -> Result<(), StorageError> {
        let path = segment.path(&partition.dir);
        let shared = &self.shared;
        let file = shared
            .file_cache
            .segment(&*shared.disk, partition, segment, OpenMode::Existing)
            .map_err(|error| StorageError::of(&path, &error))?;
        let runs: Vec<&[u8]> = batches.iter().map(|batch| &batch.bytes[..]).collect();
        file.append(&*shared.disk, segment.bytes, &runs)?;
        note_appended(shared, partition, batches);
        // Keep the handle that was written: on Linux a write-back error is reported once per open
        // handle.
        unsynced.files.insert(path, file);
        if unsynced.files.len() > shared.config.open_files_max * UNSYNCED_FILES_FACTOR
            // Bounds the open files; the early sync is not repeated by the checkpoint.
            && let Some((_, file)) = unsynced.files.pop_first()
        {
            file.sync()?;
        }
        Ok(())
    }

    /// Changes the directory of a partition to what the checkpoint describes, before its first
    /// write.
    fn clear_leftovers(
        &self,
        unsynced: &mut Unsynced,
        partition: &Partition,
    ) -> Result<(), StorageError> {
        let shared = Arc::clone(&self.shared);
        let failed = |error| StorageError::of(&partition.dir, &error);
        if !shared.disk.exists(&partition.dir) {
            shared.disk.create_dir(&partition.dir).map_err(failed)?;
        }
        // A crashed process may have created the entries without syncing them.
        unsynced.dirs.insert(shared.data_dir());
        unsynced.dirs.insert(partition.dir.clone());
        let segments = partition.state().segments.clone();
        // Segments deleted since the start are still named by the last checkpoint, so they must
        // remain until the next one is durable.
        let deleted = lock(&shared.garbage).segments.clone();
        let known: BTreeSet<PathBuf> = segments
            .iter()
            .map(|segment| segment.path(&partition.dir))
            .chain(deleted)
            .flat_map(|path| [index_path(&path), path])
            .collect();
        for name in shared.disk.list(&partition.dir).map_err(failed)? {
            let path = partition.dir.join(name);
            if !known.contains(&path) {
                shared.disk.remove_file(&path).map_err(failed)?;
            }
        }
        if let Some(last) = segments.last() {
            let path = last.path(&partition.dir);
            let failed = |error| StorageError::of(&path, &error);
            shared
                .file_cache
                .segment(&*shared.disk, partition, last, OpenMode::Existing)
                .and_then(|file| file.cut(&*shared.disk, last.bytes))
                .map_err(failed)?;
        }
        partition.state().leftovers = false;
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> Result<(), StorageError> {
        if failpoints::is_on(Bug::NamesNotSynced) {
            return Ok(());
        }
        match self.shared.disk.sync_dir(dir) {
            // The topic was deleted meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(StorageError::failed(dir, &error)),
            Ok(()) => Ok(()),
        }
    }
}

/// Syncs many files with several threads, because file systems commit concurrent syncs together.
fn in_parallel<T: Sync>(
    items: &[T],
    sync: impl Fn(&T) -> Result<(), StorageError> + Sync,
) -> Result<(), StorageError> {
    if items.len() < PARALLEL_SYNC_MIN {
        return items.iter().try_for_each(sync);
    }
    let sync = &sync;
    thread::scope(|scope| {
        // Rounded up, so there are at most `SYNC_THREADS` parts.
        let parts = items.chunks(items.len().div_ceil(SYNC_THREADS));
        let threads: Vec<_> = parts
            .map(|part| scope.spawn(move || part.iter().try_for_each(sync)))
            .collect();
        let panicked = || StorageError::Failed("a sync panicked".to_owned());
        let mut results = threads.into_iter().map(thread::ScopedJoinHandle::join);
        results.try_for_each(|result| result.unwrap_or_else(|_| Err(panicked())))
    })
}

/// Returns how many of `batches`, at least one, go into `segment` with one write.
fn how_many(batches: &[TailBatch], segment: &SegmentMeta, settings: &PartitionSettings) -> usize {
    // Rolling depends on the size after each batch, so the metadata is advanced on a copy.
    let mut grown = segment.clone();
    let mut bytes = 0;
    let fits = |batch: &&TailBatch| {
        bytes += batch.bytes.len();
        let next = next_of(batch);
        let fits = bytes <= WRITE_BYTES && !roll::closes(&grown, next, settings);
        grown.note(
            batch.base_offset,
            next.next_offset,
            next.bytes,
            next.max_timestamp,
        );
        fits
    };
    batches.iter().take_while(fits).count().max(1)
}

fn next_of(batch: &TailBatch) -> Next {
    Next {
        next_offset: batch.next_offset,
        bytes: batch.bytes.len() as u64,
        max_timestamp: batch.max_timestamp,
    }
}

/// Adds batches to the metadata of the last segment.
fn note_appended(shared: &Shared, partition: &Partition, batches: &[TailBatch]) {
    let mut state = partition.state();
    // The topic was deleted during the write: its bytes were subtracted already.
    if state.deleted {
        return;
    }
    let mut flushed = 0;
    let mut flushed_to = Offset(0);
    if let Some(segment) = state.segments.last_mut() {
        for batch in batches {
            flushed += batch.bytes.len();
            flushed_to = batch.next_offset;
            let next = next_of(batch);
            segment.note(
                batch.base_offset,
                next.next_offset,
                next.bytes,
                next.max_timestamp,
            );
            segment.tags.insert(batch.tag);
        }
    }
    state.flushed_to = flushed_to;
    drop(state);
    shared.memory.flushed(flushed);
}
