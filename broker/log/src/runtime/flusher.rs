//! The flusher: writes what is durable in the WAL behind it into segments, and takes checkpoints.
//!
//! Invariants: only what is visible is written; a checkpoint names a WAL frame only after all up
//! to it is synced in segments; WAL slots are recycled, and files removed, only after the
//! checkpoint that no longer needs them is durable.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use avouch_protocol::types::Offset;

use crate::api::Durability;
use crate::checkpoint::Checkpoint;
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

/// Bytes that are appended to a segment before its partition is looked at again, unless one batch
/// has more.
const WRITE_BYTES: usize = 1 << 20;
/// Segments written between two checkpoints are held open up to this times `open_files_max`; then
/// some are synced early, which is slow.
const UNSYNCED_FILES_FACTOR: usize = 16;
/// Threads that sync a checkpoint's files if there are many.
const SYNC_THREADS: usize = 8;
/// From how many files on.
const SIDE_BY_SIDE_MIN: usize = 64;

/// Two locks, so that the writer can empty its memory into segments while a checkpoint waits for
/// thousands of them to be synced.
#[derive(Debug)]
pub(crate) struct Flusher {
    shared: Arc<Shared>,
    incarnation: Incarnation,
    /// Held over a whole checkpoint; taken before `unsynced`.
    checkpointing: Mutex<()>,
    unsynced: Mutex<Unsynced>,
    /// To sync a checkpoint of very many files.
    file_system: Option<Box<dyn FileSystem>>,
}

/// What was written since it was last synced.
#[derive(Debug, Default)]
struct Unsynced {
    /// Held open, so that no error is missed.
    files: BTreeMap<PathBuf, Arc<SegmentFile>>,
    /// Directories with names that are not durable.
    dirs: BTreeSet<PathBuf>,
}

impl Flusher {
    pub(crate) fn new(shared: Arc<Shared>, incarnation: Incarnation) -> Self {
        let (checkpointing, unsynced) = (Mutex::default(), Mutex::default());
        // Without one each file is synced by itself.
        let file_system = shared.disk.file_system(&shared.config.dir);
        Self {
            shared,
            incarnation,
            checkpointing,
            unsynced,
            file_system: file_system.ok().flatten(),
        }
    }

    /// Writes all that is visible and in no segment into segments, without syncing them.
    pub(crate) fn flush(&self) -> Result<(), StorageError> {
        self.unless_poisoned(|| {
            let flushed = self.flush_all(&mut lock(&self.unsynced));
            self.shared.memory.trim();
            flushed
        })
    }

    /// Writes what is visible of one partition and in no segment into segments.
    pub(crate) fn flush_one(&self, partition: &Partition) -> Result<(), StorageError> {
        self.unless_poisoned(|| self.flush_partition(&mut lock(&self.unsynced), partition))
    }

    /// Closes a partition's active segment: what is written from now on goes into another one.
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
            self.begin_segment(&mut unsynced, partition, base_offset)
                .map(drop)
        })
    }

    /// Makes sure that a partition's directory is there and holds nothing that a crash left.
    pub(crate) fn prepare(&self, partition: &Partition) -> Result<(), StorageError> {
        self.unless_poisoned(|| {
            let mut unsynced = lock(&self.unsynced);
            if partition.state().leftovers {
                self.clear_leftovers(&mut unsynced, partition)?;
            }
            Ok(())
        })
    }

    /// Makes all that is visible now durable in segments and lets the WAL go.
    pub(crate) fn checkpoint(&self) -> Result<(), StorageError> {
        let open_os = self.shared.config.durability == Durability::Os;
        self.unless_poisoned(|| self.take_checkpoint(open_os))
    }

    /// The last checkpoint of a log that is being closed.
    pub(crate) fn final_checkpoint(&self) -> Result<(), StorageError> {
        self.unless_poisoned(|| self.take_checkpoint(false))
    }

    /// Waits until the checkpoint that is being taken, if one is, is done.
    pub(crate) fn wait_for_checkpoint(&self) {
        drop(lock(&self.checkpointing));
    }

    /// After a failed sync it is unknown what the segments hold: no checkpoint may name them.
    fn unless_poisoned(
        &self,
        work: impl FnOnce() -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        if let Some(reason) = self.shared.poison() {
            return Err(StorageError::Failed(reason.to_owned()));
        }
        let result = work();
        if let Err(error) = &result {
            self.shared.note_failure(error);
        }
        result
    }

    fn take_checkpoint(&self, open_os: bool) -> Result<(), StorageError> {
        let _one_at_a_time = lock(&self.checkpointing);
        let seq = self.shared.published();
        let wal_bytes = self.shared.wal_bytes();
        // What the checkpoint will say and what has to be synced for it, as of one moment.
        let (unsynced, checkpoint, garbage) = {
            let mut unsynced = lock(&self.unsynced);
            self.flush_all(&mut unsynced)?;
            let (checkpoint, garbage) = self.snapshot(seq, open_os);
            (std::mem::take(&mut *unsynced), checkpoint, garbage)
        };
        self.shared.memory.trim();
        self.sync(&unsynced)?;
        self.write(&checkpoint)?;
        lock(&self.shared.slots).retire(seq);
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
            side_by_side(&files, |file| file.sync())?;
        }
        let dirs: Vec<_> = unsynced.dirs.iter().collect();
        side_by_side(&dirs, |dir| self.sync_dir(dir))
    }

    /// Retired segments first, partitions then, tombstones last: what a partition's part does
    /// not name any more is removed, and a partition that is missing has its tombstone.
    fn snapshot(&self, seq: FrameSeq, open_os: bool) -> (Checkpoint, Garbage) {
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
            seq,
            incarnation: self.incarnation,
            epoch_floor: self.shared.epoch_floor,
            deleted: garbage.topics.iter().copied().collect(),
            partitions,
        };
        (checkpoint, garbage)
    }

    fn write(&self, checkpoint: &Checkpoint) -> Result<(), StorageError> {
        let dir = &self.shared.config.dir;
        let (temporary, path) = (dir.join("checkpoint.tmp"), dir.join("checkpoint"));
        let disk = &self.shared.disk;
        let fill = || {
            let file = disk.open(&temporary, OpenMode::Truncate)?;
            file.write_at(&checkpoint.encode(), 0)?;
            io::Result::Ok(file)
        };
        let file = fill().map_err(|error| StorageError::of(&temporary, &error))?;
        let settle = || {
            if failpoints::is_on(Bug::CheckpointNotSynced) {
                return disk.rename(&temporary, &path);
            }
            file.sync_data()?;
            disk.rename(&temporary, &path)?;
            disk.sync_dir(dir)
        };
        settle().map_err(|error| StorageError::failed(&path, &error))
    }

    /// Removes what the durable checkpoint no longer names. A file that will not go is left: it
    /// takes space, but nothing refers to it.
    fn remove(&self, garbage: &Garbage) {
        for path in &garbage.segments {
            self.shared.handles.forget(path);
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
                self.shared.handles.forget(&dir.join(&file));
                self.remove_file(&dir.join(file));
            }
            if let Err(error) = self.shared.disk.remove_dir(&dir) {
                let dir = dir.display();
                tracing::warn!(%dir, %error, "a deleted partition's directory stays");
            }
        }
        lock(&self.unsynced).dirs.insert(data_dir);
    }

    fn remove_file(&self, path: &Path) {
        match self.shared.disk.remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "an unneeded file stays");
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
                // Nothing in memory and nothing to come: what is missing up to here is damage.
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
            let count = how_many(rest, &segment, &settings);
            let (now, later) = rest.split_at(count);
            self.append(unsynced, partition, &segment, now)?;
            rest = later;
        }
        Ok(())
    }

    /// The segment that takes `batch`: the last one, or a new one if that is to be closed.
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
                self.begin_segment(unsynced, partition, batch.base_offset)
            }
            None => self.begin_segment(unsynced, partition, batch.base_offset),
        }
    }

    fn begin_segment(
        &self,
        unsynced: &mut Unsynced,
        partition: &Partition,
        base_offset: Offset,
    ) -> Result<SegmentMeta, StorageError> {
        let segment = SegmentMeta::new(base_offset);
        let path = segment.path(&partition.dir);
        let failed = |error| StorageError::of(&path, &error);
        let shared = &self.shared;
        shared.handles.forget(&path);
        shared
            .handles
            .segment(&*shared.disk, &partition.dir, &segment, OpenMode::Truncate)
            .map_err(failed)?;
        unsynced.dirs.insert(partition.dir.clone());
        partition.state().segments.push(segment.clone());
        Ok(segment)
    }

    /// The index of a closed segment is synced once, so that a power cut does not cost a scan.
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
            .handles
            .segment(&*shared.disk, &partition.dir, segment, OpenMode::Existing)
            .map_err(|error| StorageError::of(&path, &error))?;
        let runs: Vec<&[u8]> = batches.iter().map(|batch| &batch.bytes[..]).collect();
        file.append(&*shared.disk, segment.bytes, &runs)?;
        note_appended(shared, partition, batches);
        unsynced.files.insert(path, file);
        if unsynced.files.len() > shared.config.open_files_max * UNSYNCED_FILES_FACTOR
            && let Some((_, file)) = unsynced.files.pop_first()
        {
            file.sync()?;
        }
        Ok(())
    }

    /// Brings a partition's directory to what the checkpoint says, before it is written to for
    /// the first time.
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
        // What is there may have been made by a process that was killed before it was durable.
        unsynced.dirs.insert(shared.data_dir());
        unsynced.dirs.insert(partition.dir.clone());
        let segments = partition.state().segments.clone();
        // Given up since opening, so the checkpoint still names them: they go behind the next one.
        let retired = lock(&shared.garbage).segments.clone();
        let known: BTreeSet<PathBuf> = segments
            .iter()
            .map(|segment| segment.path(&partition.dir))
            .chain(retired)
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
                .handles
                .segment(&*shared.disk, &partition.dir, last, OpenMode::Existing)
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
            // The directory of a topic that was deleted meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(StorageError::failed(dir, &error)),
            Ok(()) => Ok(()),
        }
    }
}

/// Syncs many files by several threads, since file systems commit concurrent syncs together.
fn side_by_side<T: Sync>(
    items: &[T],
    sync: impl Fn(&T) -> Result<(), StorageError> + Sync,
) -> Result<(), StorageError> {
    if items.len() < SIDE_BY_SIDE_MIN {
        return items.iter().try_for_each(sync);
    }
    let sync = &sync;
    thread::scope(|scope| {
        let parts = items.chunks(items.len().div_ceil(SYNC_THREADS));
        let threads: Vec<_> = parts
            .map(|part| scope.spawn(move || part.iter().try_for_each(sync)))
            .collect();
        let panicked = || StorageError::Failed("a sync panicked".to_owned());
        let mut results = threads.into_iter().map(thread::ScopedJoinHandle::join);
        results.try_for_each(|result| result.unwrap_or_else(|_| Err(panicked())))
    })
}

/// How many of `batches` one write to `segment` takes: at least one, and none that closes it.
fn how_many(batches: &[TailBatch], segment: &SegmentMeta, settings: &PartitionSettings) -> usize {
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

/// The batches are in the partition's last segment now.
fn note_appended(shared: &Shared, partition: &Partition, batches: &[TailBatch]) {
    let mut state = partition.state();
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
