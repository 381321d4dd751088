//! State shared by all threads of the log: partitions, memory of the tails, storage failure.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, RwLock};

use avouch_protocol::types::{LeaderEpoch, Offset, TopicId, TopicPartition};

use crate::api::{CorruptRange, Listener, LogConfig};
use crate::disk::Disk;
use crate::locks::{lock, read, write};
use crate::partition::producer_state::LastUse;
use crate::partition::{Partition, State};
use crate::runtime::queue::Queue;
use crate::runtime::wakeup::Wakeup;
use crate::segment::file_cache::FileCache;
use crate::storage::StorageError;
use crate::wal::WalFiles;
use crate::wal::frame::FrameSeq;

/// Maximum number of corrupt ranges that are remembered as reported.
const REPORTED_RANGES_MAX: usize = 10_000;

pub(crate) struct Shared {
    pub(crate) config: LogConfig,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) listener: Arc<dyn Listener>,
    pub(crate) queue: Queue,
    pub(crate) wal_files: Arc<Mutex<WalFiles>>,
    pub(crate) file_cache: FileCache,
    pub(crate) memory: TailMemory,
    pub(crate) garbage: Mutex<Garbage>,
    pub(crate) wake_flusher: Wakeup,
    /// Start of corrupt ranges that were reported.
    reported_ranges: Mutex<BTreeSet<(TopicPartition, Offset)>>,
    /// Number of snapshots whose files must not be removed.
    pub(crate) holds: AtomicUsize,
    /// Held during a complete compaction.
    pub(crate) compacting: Mutex<()>,
    /// Any task but `Stop` requests a preallocated WAL file.
    pub(crate) wake_preallocator: Wakeup,
    /// Leader epoch of new partitions.
    pub(crate) epoch_floor: LeaderEpoch,
    partitions: RwLock<HashMap<TopicPartition, Arc<Partition>>>,
    published: AtomicU64,
    /// Whether this session has started a WAL file.
    pub(crate) wal_started: AtomicBool,
    /// Upper bound of the number of producers; see [`Shared::note_producers`].
    producers_at_most: AtomicUsize,
    wal_bytes: AtomicU64,
    checkpointed_wal_bytes: AtomicU64,
    poison: OnceLock<String>,
}

/// Files to remove when a checkpoint no longer needs them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Garbage {
    pub(crate) topics: BTreeSet<TopicId>,
    pub(crate) segments: Vec<PathBuf>,
}

impl Shared {
    pub(crate) fn new(
        config: LogConfig,
        disk: Arc<dyn Disk>,
        listener: Arc<dyn Listener>,
        wal_files: WalFiles,
        epoch_floor: LeaderEpoch,
    ) -> Self {
        Self {
            queue: Queue::default(),
            wal_files: Arc::new(Mutex::new(wal_files)),
            file_cache: FileCache::new(config.open_files_max),
            memory: TailMemory::new(config.tail_bytes_max),
            garbage: Mutex::default(),
            wake_flusher: Wakeup::default(),
            reported_ranges: Mutex::default(),
            holds: AtomicUsize::new(0),
            compacting: Mutex::default(),
            wake_preallocator: Wakeup::default(),
            epoch_floor,
            partitions: RwLock::default(),
            published: AtomicU64::new(0),
            wal_started: AtomicBool::new(false),
            producers_at_most: AtomicUsize::new(0),
            wal_bytes: AtomicU64::new(0),
            checkpointed_wal_bytes: AtomicU64::new(0),
            poison: OnceLock::new(),
            config,
            disk,
            listener,
        }
    }

    pub(crate) fn partition(&self, tp: TopicPartition) -> Option<Arc<Partition>> {
        read(&self.partitions).get(&tp).cloned()
    }

    /// Returns all partitions in order, so that tests see the same order of disk operations.
    pub(crate) fn partitions(&self) -> Vec<Arc<Partition>> {
        let mut all: Vec<_> = read(&self.partitions).values().cloned().collect();
        all.sort_unstable_by_key(|partition| partition.tp);
        all
    }

    pub(crate) fn partitions_of(&self, topic: TopicId) -> Vec<Arc<Partition>> {
        let all = read(&self.partitions);
        all.values()
            .filter(|partition| partition.tp.topic == topic)
            .cloned()
            .collect()
    }

    /// Returns the partition; creates it without data if it is unknown.
    pub(crate) fn partition_or_new(&self, tp: TopicPartition) -> Arc<Partition> {
        if let Some(partition) = self.partition(tp) {
            return partition;
        }
        let state = || State::empty(self.epoch_floor);
        let new = || Arc::new(Partition::new(tp, self.partition_dir(tp), state()));
        // Another thread may have created it since the read lock was released; then its entry is
        // used.
        Arc::clone(write(&self.partitions).entry(tp).or_insert_with(new))
    }

    pub(crate) fn adopt(&self, tp: TopicPartition, state: State) {
        let producers = state.producers.len();
        let partition = Arc::new(Partition::new(tp, self.partition_dir(tp), state));
        write(&self.partitions).insert(tp, partition);
        self.note_producers(producers);
    }

    /// Removes a partition of a deleted topic and frees its memory.
    pub(crate) fn drop_partition(&self, partition: &Partition) {
        // Removed from the map first: lookups fail from here on. Threads that hold the `Arc`
        // already see `deleted`.
        write(&self.partitions).remove(&partition.tp);
        let mut state = partition.state();
        state.deleting = true;
        state.deleted = true;
        let unflushed = state.unflushed().map(|batch| batch.bytes.len()).sum();
        // The flusher skips deleted partitions, so their bytes would count as unflushed forever.
        self.memory.flushed(unflushed);
        state.tail.clear();
    }

    /// Counts `new` producers. Above `producers_max` the least recently used tenth is removed, so
    /// that producers are seldom enumerated. The caller must hold no lock of a partition.
    pub(crate) fn note_producers(&self, new: usize) {
        let max = self.config.producers_max;
        // An upper bound is enough: expiry and deletion do not subtract, the exact count below
        // corrects it.
        let at_most = self.producers_at_most.fetch_add(new, Ordering::Relaxed) + new;
        if new == 0 || at_most <= max {
            return;
        }
        let partitions = self.partitions();
        let mut uses: Vec<LastUse> = Vec::with_capacity(at_most);
        for partition in &partitions {
            uses.extend(partition.state().producers.last_uses());
        }
        let kept = (max - max / 10).max(1);
        if uses.len() > kept {
            let forgotten = uses.len() - kept;
            // Partial selection is linear in the number of producers, a sort would not be.
            let (_, oldest_kept, _) = uses.select_nth_unstable(forgotten);
            for partition in &partitions {
                partition.state().producers.forget_before(*oldest_kept);
            }
        }
        let left = partitions
            .iter()
            .map(|partition| partition.state().producers.len());
        let at_most = left.sum();
        self.producers_at_most.store(at_most, Ordering::Relaxed);
    }

    /// Returns the sequence up to which frames are visible.
    pub(crate) fn published(&self) -> FrameSeq {
        FrameSeq(self.published.load(Ordering::Acquire))
    }

    /// Makes frames up to `seq` visible; the last of them has `bytes`.
    pub(crate) fn publish(&self, seq: FrameSeq, bytes: usize) {
        self.wal_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        // Pairs with the load in `published`: a checkpoint that reads `seq` also sees the tails of
        // its batches.
        self.published.store(seq.0, Ordering::Release);
    }

    /// Returns the bytes of frames written since the start.
    pub(crate) fn wal_bytes(&self) -> u64 {
        self.wal_bytes.load(Ordering::Relaxed)
    }

    /// Records that a checkpoint covers the first `bytes` of frames written since the start.
    pub(crate) fn note_checkpoint(&self, bytes: u64) {
        self.checkpointed_wal_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Returns the bytes of frames that a restart would replay.
    pub(crate) fn wal_bytes_since_checkpoint(&self) -> u64 {
        let checkpointed = self.checkpointed_wal_bytes.load(Ordering::Relaxed);
        self.wal_bytes().saturating_sub(checkpointed)
    }

    /// Stops all writing if `error` is permanent.
    pub(crate) fn note_failure(&self, error: &StorageError) {
        match error {
            StorageError::Full | StorageError::WalFull | StorageError::NoHandle(_) => {}
            StorageError::Failed(reason) => {
                // Only the first failure is reported; later ones are its consequences.
                if self.poison.set(reason.clone()).is_ok() {
                    self.listener.poisoned(reason);
                }
            }
        }
    }

    /// Reports a corrupt range, each once, up to [`REPORTED_RANGES_MAX`] ranges.
    pub(crate) fn report_corrupt_range(&self, tp: TopicPartition, range: CorruptRange) {
        let mut known = lock(&self.reported_ranges);
        let is_new = known.len() < REPORTED_RANGES_MAX && known.insert((tp, range.from));
        // The listener may block on its own locks, so call it without this one.
        drop(known);
        if is_new {
            self.listener.corrupt_range_found(tp, range);
        }
    }

    /// Returns the reason of a permanent storage failure.
    pub(crate) fn poison(&self) -> Option<&str> {
        self.poison.get().map(String::as_str)
    }

    pub(crate) fn wal_dir(&self) -> PathBuf {
        self.config.dir.join("wal")
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.config.dir.join("data")
    }

    fn partition_dir(&self, tp: TopicPartition) -> PathBuf {
        self.data_dir().join(tp.to_string())
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Memory of the tails of all partitions.
///
/// Batches leave in order of arrival over all partitions, so that all batches which share the
/// buffer of a WAL frame leave together and the buffer is freed.
#[derive(Debug)]
pub(crate) struct TailMemory {
    bytes_max: usize,
    kept: Mutex<Kept>,
    unflushed: AtomicUsize,
}

#[derive(Debug, Default)]
struct Kept {
    oldest_first: VecDeque<(Arc<Partition>, usize)>,
    bytes: usize,
}

impl TailMemory {
    fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            kept: Mutex::default(),
            unflushed: AtomicUsize::new(0),
        }
    }

    /// Adds batches that were added to tails.
    pub(crate) fn added(&self, batches: impl Iterator<Item = (Arc<Partition>, usize)>) {
        let mut kept = lock(&self.kept);
        for (partition, bytes) in batches {
            kept.bytes += bytes;
            self.unflushed.fetch_add(bytes, Ordering::Relaxed);
            kept.oldest_first.push_back((partition, bytes));
        }
    }

    /// Subtracts bytes that are in segments now.
    pub(crate) fn flushed(&self, bytes: usize) {
        self.unflushed.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Returns the bytes that are in no segment.
    pub(crate) fn unflushed(&self) -> usize {
        self.unflushed.load(Ordering::Relaxed)
    }

    /// Removes the oldest batches that are in segments while the limit is exceeded.
    pub(crate) fn trim(&self) {
        let mut kept = lock(&self.kept);
        while kept.bytes > self.bytes_max
            && let Some((partition, bytes)) = kept.oldest_first.front()
            // Stops at the first batch that is in no segment: later ones share a frame buffer with
            // it or are newer, and dropping them would free little.
            && partition.state().trim_oldest()
        {
            let bytes = *bytes;
            kept.bytes -= bytes;
            kept.oldest_first.pop_front();
        }
    }
}
