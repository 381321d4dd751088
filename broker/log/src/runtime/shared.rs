//! What all threads of the log share: partitions, the memory the tail takes, and whether storage
//! has failed for good.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, RwLock};

use avouch_protocol::types::{LeaderEpoch, Offset, TopicId, TopicPartition};

use crate::api::{Damage, Listener, LogConfig};
use crate::disk::Disk;
use crate::locks::{lock, read, write};
use crate::partition::producer_state::LastUse;
use crate::partition::{Partition, State};
use crate::runtime::queue::Queue;
use crate::runtime::wakeup::Signal;
use crate::segment::file_cache::Handles;
use crate::storage::StorageError;
use crate::wal::Slots;
use crate::wal::frame::FrameSeq;

/// Places of damage that are remembered as told.
const DAMAGED_MAX: usize = 10_000;

pub(crate) struct Shared {
    pub(crate) config: LogConfig,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) listener: Arc<dyn Listener>,
    pub(crate) queue: Queue,
    pub(crate) slots: Arc<Mutex<Slots>>,
    pub(crate) handles: Handles,
    pub(crate) memory: TailMemory,
    pub(crate) garbage: Mutex<Garbage>,
    pub(crate) wake_flusher: Signal,
    /// Damage that readers met, so that each is told once.
    damaged: Mutex<BTreeSet<(TopicPartition, Offset)>>,
    /// Held over a whole compaction.
    pub(crate) compacting: Mutex<()>,
    /// Any wish but the last asks for a spare slot.
    pub(crate) wake_spare: Signal,
    /// Leader epoch of partitions made from now on.
    pub(crate) epoch_floor: LeaderEpoch,
    partitions: RwLock<HashMap<TopicPartition, Arc<Partition>>>,
    published: AtomicU64,
    /// At least as many producers as are remembered; see [`Shared::note_producers`].
    producers_at_most: AtomicUsize,
    wal_bytes: AtomicU64,
    checkpointed_wal_bytes: AtomicU64,
    poison: OnceLock<String>,
}

/// Files to be removed once a checkpoint no longer needs them.
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
        slots: Slots,
        epoch_floor: LeaderEpoch,
    ) -> Self {
        Self {
            queue: Queue::default(),
            slots: Arc::new(Mutex::new(slots)),
            handles: Handles::new(config.open_files_max),
            memory: TailMemory::new(config.tail_bytes_max),
            garbage: Mutex::default(),
            wake_flusher: Signal::default(),
            damaged: Mutex::default(),
            compacting: Mutex::default(),
            wake_spare: Signal::default(),
            epoch_floor,
            partitions: RwLock::default(),
            published: AtomicU64::new(0),
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

    /// All partitions, sorted, so that whatever is done to each is done in the same order always.
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

    /// The partition, made without data if it is not known.
    pub(crate) fn partition_or_new(&self, tp: TopicPartition) -> Arc<Partition> {
        if let Some(partition) = self.partition(tp) {
            return partition;
        }
        let state = || State::empty(self.epoch_floor);
        let new = || Arc::new(Partition::new(tp, self.partition_dir(tp), state()));
        Arc::clone(write(&self.partitions).entry(tp).or_insert_with(new))
    }

    pub(crate) fn adopt(&self, tp: TopicPartition, state: State) {
        let producers = state.producers.len();
        let partition = Arc::new(Partition::new(tp, self.partition_dir(tp), state));
        write(&self.partitions).insert(tp, partition);
        self.note_producers(producers);
    }

    /// Takes a deleted topic's partition from readers, and its memory.
    pub(crate) fn drop_partition(&self, partition: &Partition) {
        write(&self.partitions).remove(&partition.tp);
        let mut state = partition.state();
        state.deleting = true;
        state.deleted = true;
        let unflushed = state.unflushed().map(|batch| batch.bytes.len()).sum();
        self.memory.flushed(unflushed);
        state.tail.clear();
    }

    /// `new` producers are remembered besides those before. When there may be more of them than
    /// `producers_max`, the least recently used are forgotten, a tenth at a time, so that it is
    /// seldom that all are looked at. Holds no lock when it is called.
    pub(crate) fn note_producers(&self, new: usize) {
        let max = self.config.producers_max;
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

    /// Frames up to this one are visible.
    pub(crate) fn published(&self) -> FrameSeq {
        FrameSeq(self.published.load(Ordering::Acquire))
    }

    /// Frames up to `seq` are visible; the last of them took `bytes`.
    pub(crate) fn publish(&self, seq: FrameSeq, bytes: usize) {
        self.wal_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.published.store(seq.0, Ordering::Release);
    }

    /// Bytes of frames written since opening.
    pub(crate) fn wal_bytes(&self) -> u64 {
        self.wal_bytes.load(Ordering::Relaxed)
    }

    /// A checkpoint covers the frames of the first `bytes` written since opening.
    pub(crate) fn note_checkpoint(&self, bytes: u64) {
        self.checkpointed_wal_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Bytes of frames that a restart would replay.
    pub(crate) fn wal_bytes_since_checkpoint(&self) -> u64 {
        let checkpointed = self.checkpointed_wal_bytes.load(Ordering::Relaxed);
        self.wal_bytes().saturating_sub(checkpointed)
    }

    /// Ends all writing for good if `error` is one that does not pass.
    pub(crate) fn note_failure(&self, error: &StorageError) {
        match error {
            StorageError::Full | StorageError::WalFull => {}
            StorageError::Failed(reason) => {
                if self.poison.set(reason.clone()).is_ok() {
                    self.listener.poisoned(reason);
                }
            }
        }
    }

    /// A reader met damage. Told once for each place, up to [`DAMAGED_MAX`] places.
    pub(crate) fn note_damage(&self, tp: TopicPartition, damage: Damage) {
        let mut known = lock(&self.damaged);
        let is_new = known.len() < DAMAGED_MAX && known.insert((tp, damage.from));
        drop(known);
        if is_new {
            self.listener.damaged(tp, damage);
        }
    }

    /// Why storage failed for good, if it did.
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

/// How much memory the tails of all partitions take.
///
/// Batches leave in the order in which they came, over all partitions, so that the buffers that
/// they share with their WAL frames go whole.
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

    /// Batches were put into tails.
    pub(crate) fn added(&self, batches: impl Iterator<Item = (Arc<Partition>, usize)>) {
        let mut kept = lock(&self.kept);
        for (partition, bytes) in batches {
            kept.bytes += bytes;
            self.unflushed.fetch_add(bytes, Ordering::Relaxed);
            kept.oldest_first.push_back((partition, bytes));
        }
    }

    /// Bytes of tails are in segments now.
    pub(crate) fn flushed(&self, bytes: usize) {
        self.unflushed.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Bytes that are in no segment.
    pub(crate) fn unflushed(&self) -> usize {
        self.unflushed.load(Ordering::Relaxed)
    }

    /// Drops the oldest batches that are in segments while there is too much.
    pub(crate) fn trim(&self) {
        let mut kept = lock(&self.kept);
        while kept.bytes > self.bytes_max
            && let Some((partition, bytes)) = kept.oldest_first.front()
            && partition.state().trim_oldest()
        {
            let bytes = *bytes;
            kept.bytes -= bytes;
            kept.oldest_first.pop_front();
        }
    }
}
