//! The write-ahead log's slots: which are in use, which are free, and the one being written.
//!
//! Invariant: a frame is only written over bytes that are durable already, behind a header that is
//! durable already; so syncing it never depends on file growth or on a name. Knows no entries.

pub(crate) mod frame;
pub(crate) mod replay;
pub(crate) mod scan;

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::api::{Durability, LogConfig};
use crate::disk::{Disk, DiskFile, OpenMode, SECTOR_BYTES};
use crate::failpoints::{self, Bug};
use crate::locks::lock;
use crate::storage::StorageError;
use crate::wal::frame::{FrameSeq, Opening, SLOT_HEADER_BYTES, SlotHeader};

/// Slots grow by at least this and at most [`GROWTH_BYTES_MAX`], twofold in between.
const GROWTH_BYTES_MIN: u64 = 256 << 10;
const GROWTH_BYTES_MAX: u64 = 8 << 20;
const SPARE_STEP_BYTES: u64 = 2 << 20;
/// A slot of which less was written does not ask for the next one: an idle node stays small.
const SPARE_FROM_BYTES: u64 = 1 << 20;
static ZEROS: Zeros = Zeros([0; 256 << 10]);

/// They begin where a sector may.
#[repr(align(512))]
struct Zeros([u8; 256 << 10]);

/// Number of a slot, which is its file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SlotId(pub(crate) u32);

impl SlotId {
    pub(crate) fn path(self, dir: &Path) -> PathBuf {
        dir.join(format!("{:08}.wal", self.0))
    }

    /// The slot that has this file name.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let id = name.strip_suffix(".wal")?.parse().ok().map(Self)?;
        (format!("{:08}.wal", id.0) == name).then_some(id)
    }
}

/// A slot that holds frames which may still be needed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LiveSlot {
    pub(crate) id: SlotId,
    pub(crate) first_seq: FrameSeq,
    pub(crate) bytes: u64,
}

/// All slots, oldest live one first; the last live one is being written.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    pub(crate) live: VecDeque<LiveSlot>,
    /// Slots to use, or to use again, with their sizes.
    pub(crate) free: Vec<(SlotId, u64)>,
    /// A slot that is being written with zeros, with the size that it gets.
    pub(crate) making: Option<(SlotId, u64)>,
    /// A slot that the writer took and has not begun yet, with its size.
    pub(crate) beginning: Option<(SlotId, u64)>,
}

impl Slots {
    /// Frees the slots that hold nothing above `seq`, except the one being written.
    pub(crate) fn retire(&mut self, seq: FrameSeq) {
        while let (Some(oldest), Some(second)) = (self.live.front(), self.live.get(1)) {
            // Of two that begin at one frame either may hold it.
            let begin_alike = second.first_seq == oldest.first_seq;
            if second.first_seq > seq.next() || (begin_alike && second.first_seq > seq) {
                break;
            }
            self.free.push((oldest.id, oldest.bytes));
            self.live.pop_front();
        }
    }

    fn bytes(&self) -> u64 {
        let live = self.live.iter().map(|slot| slot.bytes);
        live.chain(self.others().map(|(_, bytes)| *bytes)).sum()
    }

    /// Whether a slot of this size is ready.
    fn has_spare(&self, bytes: u64) -> bool {
        self.free.iter().any(|(_, free)| *free >= bytes)
    }

    fn unused_id(&self) -> SlotId {
        let live = self.live.iter().map(|slot| slot.id.0);
        let highest = live.chain(self.others().map(|(id, _)| id.0)).max();
        SlotId(highest.map_or(0, |id| id.saturating_add(1)))
    }

    /// Those that hold nothing.
    fn others(&self) -> impl Iterator<Item = &(SlotId, u64)> {
        self.free.iter().chain(&self.making).chain(&self.beginning)
    }
}

/// Sizes of the write-ahead log, and what makes its frames count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WalLimits {
    pub(crate) file_bytes: u64,
    pub(crate) bytes_max: u64,
    pub(crate) durability: Durability,
}

impl WalLimits {
    pub(crate) fn of(config: &LogConfig) -> Self {
        Self {
            file_bytes: config.wal_file_bytes,
            bytes_max: config.wal_bytes_max,
            durability: config.durability,
        }
    }

    fn open(&self, disk: &dyn Disk, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        match self.durability {
            Durability::Fsync => disk.open_in_sectors(path, mode),
            // Frames count once they are in the page cache.
            Durability::Os => disk.open(path, mode),
        }
    }
}

/// Writes a whole slot of zeros, unless one is ready or there is no room for it: so that the
/// writer finds it and need not grow a slot while producers wait. Runs beside the writer.
///
/// # Errors
/// `Full` leaves nothing behind.
pub(crate) fn prepare_spare(
    disk: &dyn Disk,
    dir: &Path,
    limits: WalLimits,
    slots: &Mutex<Slots>,
) -> Result<(), StorageError> {
    let bytes = limits.file_bytes;
    // On a disk that is nearly full the space has better uses.
    if disk.free_bytes(dir).is_ok_and(|free| free < 2 * bytes) {
        return Ok(());
    }
    let id = {
        let mut slots = lock(slots);
        let is_enough = slots.has_spare(bytes) || slots.making.is_some();
        if is_enough || slots.bytes() + bytes > limits.bytes_max {
            return Ok(());
        }
        let id = slots.unused_id();
        slots.making = Some((id, bytes));
        id
    };
    let path = id.path(dir);
    let made = fill_spare(disk, dir, &path, limits);
    if made.is_err() {
        // It has no header, so one that stays is a free slot at the next start.
        drop(disk.remove_file(&path));
    }
    let mut slots = lock(slots);
    slots.making = None;
    made?;
    slots.free.push((id, bytes));
    Ok(())
}

fn fill_spare(
    disk: &dyn Disk,
    dir: &Path,
    path: &Path,
    limits: WalLimits,
) -> Result<(), StorageError> {
    let bytes = limits.file_bytes;
    let opened = limits.open(disk, path, OpenMode::Truncate);
    let file = opened.map_err(|error| StorageError::of(path, &error))?;
    let mut spare = Current {
        path: path.to_owned(),
        file,
        at: 0,
        grown: 0,
    };
    // In steps, so that the disk is never busy with all of it while a frame waits to be synced.
    while spare.grown < bytes {
        let step = (spare.grown + SPARE_STEP_BYTES).min(bytes);
        grow(&mut spare, step)?;
    }
    disk.sync_dir(dir)
        .map_err(|error| StorageError::failed(dir, &error))
}

/// The writing end.
#[derive(Debug)]
pub(crate) struct Wal {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    limits: WalLimits,
    opening: Opening,
    slots: Arc<Mutex<Slots>>,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    /// Where the next frame goes.
    at: u64,
    /// Bytes that are durably there.
    grown: u64,
}

impl Wal {
    /// A writing end that will begin a slot of its own.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        limits: WalLimits,
        opening: Opening,
        slots: Arc<Mutex<Slots>>,
    ) -> Self {
        Self {
            disk,
            dir,
            limits,
            opening,
            slots,
            current: None,
        }
    }

    pub(crate) fn opening(&self) -> Opening {
        self.opening
    }

    /// Makes sure that a frame `seq` of `bytes` can be written next.
    ///
    /// # Errors
    /// `Full` and `WalFull` leave everything as it was.
    pub(crate) fn reserve(&mut self, seq: FrameSeq, bytes: usize) -> Result<(), StorageError> {
        let bytes = slot_bytes(bytes) as u64;
        // No two slots begin at one frame: one that is still empty grows to what is asked.
        let fits = |current: &Current| {
            current.at + bytes <= self.limits.file_bytes.max(current.grown)
                || current.at == SLOT_HEADER_BYTES as u64
        };
        // One that is ready is better than growing on.
        let has_spare = lock(&self.slots).has_spare(self.limits.file_bytes);
        let stays = |current: &Current| {
            let would_grow = current.at + bytes > current.grown;
            let is_empty = current.at == SLOT_HEADER_BYTES as u64;
            fits(current) && (is_empty || !would_grow || !has_spare)
        };
        if !self.current.as_ref().is_some_and(stays) {
            self.begin_slot(seq, bytes)?;
        }
        let file_bytes = self.limits.file_bytes;
        let current = self
            .current
            .as_mut()
            .expect("a slot was begun where there was none");
        let need = current.at + bytes;
        if need > current.grown {
            let step = current.grown.clamp(GROWTH_BYTES_MIN, GROWTH_BYTES_MAX);
            let target = need.max((current.grown + step).min(file_bytes));
            grow(current, target)?;
            if let Some(slot) = lock(&self.slots).live.back_mut() {
                slot.bytes = target;
            }
        }
        Ok(())
    }

    /// Whether [`prepare_spare`] has something to do soon.
    pub(crate) fn wants_spare(&self) -> bool {
        let from = SPARE_FROM_BYTES.min(self.limits.file_bytes / 4);
        let is_used = self
            .current
            .as_ref()
            .is_some_and(|current| current.at > from);
        is_used && !lock(&self.slots).has_spare(self.limits.file_bytes)
    }

    /// Writes a frame where [`Wal::reserve`] made room for it.
    ///
    /// # Errors
    /// Always `Failed`: the slot's contents are unknown then.
    pub(crate) fn write(&mut self, frame: &[u8]) -> Result<(), StorageError> {
        let current = self.current.as_mut().expect("reserve came first");
        current
            .file
            .write_at(frame, current.at)
            .map_err(|error| StorageError::failed(&current.path, &error))?;
        current.at += slot_bytes(frame.len()) as u64;
        Ok(())
    }

    /// Makes the frames written so far durable.
    ///
    /// # Errors
    /// Always `Failed`, and never to be retried.
    pub(crate) fn sync(&self) -> Result<(), StorageError> {
        match &self.current {
            Some(current) => sync(&current.path, &current.file),
            None => Ok(()),
        }
    }

    /// Starts writing a slot whose first frame is `seq` and has `bytes`. The new slot becomes
    /// current only once its growth and then its header are durable.
    fn begin_slot(&mut self, seq: FrameSeq, bytes: u64) -> Result<(), StorageError> {
        // A slot that has begun is proof that all frames before it were durable.
        self.sync()?;
        let (id, is_new) = self.pick_slot(bytes)?;
        let begun = self.fill_slot(id, is_new, seq, bytes);
        let mut slots = lock(&self.slots);
        let taken = slots.beginning.take();
        match begun {
            Ok(begun) => {
                slots.live.push_back(LiveSlot {
                    id,
                    first_seq: seq,
                    bytes: begun.grown,
                });
                self.current = Some(begun);
                Ok(())
            }
            Err(error) => {
                if is_new {
                    // It has no header, so one that stays is a free slot at the next start.
                    drop(self.disk.remove_file(&id.path(&self.dir)));
                } else {
                    slots.free.extend(taken);
                }
                Err(error)
            }
        }
    }

    /// Grows a slot to what its first frame needs, then writes its header. In this order: a slot
    /// with a header counts as begun, and ends those before it, whatever became of its growth.
    fn fill_slot(
        &self,
        id: SlotId,
        is_new: bool,
        seq: FrameSeq,
        bytes: u64,
    ) -> Result<Current, StorageError> {
        let path = id.path(&self.dir);
        let full_or_failed = |error| StorageError::of(&path, &error);
        let opened = self.limits.open(&*self.disk, &path, OpenMode::Create);
        let file = opened.map_err(full_or_failed)?;
        let kept = file.size_bytes().map_err(full_or_failed)?;
        let at = SLOT_HEADER_BYTES as u64;
        let mut begun = Current {
            path: path.clone(),
            file,
            at,
            grown: kept,
        };
        let first = (at + bytes).max(GROWTH_BYTES_MIN.min(self.limits.file_bytes));
        if begun.grown < first {
            grow(&mut begun, first)?;
        }
        let header = SlotHeader {
            incarnation: self.opening.incarnation,
            first_seq: seq,
            salt: Some(self.opening.salt),
        };
        // From here on nothing needs space, and nothing may fail.
        begun
            .file
            .write_at(&header.encode(), 0)
            .map_err(|error| StorageError::failed(&path, &error))?;
        sync(&path, &begun.file)?;
        if is_new && !failpoints::is_on(Bug::NamesNotSynced) {
            self.disk
                .sync_dir(&self.dir)
                .map_err(|error| StorageError::failed(&self.dir, &error))?;
        }
        Ok(begun)
    }

    /// Takes a slot, so that nobody else does, and says whether its name is new.
    fn pick_slot(&self, bytes: u64) -> Result<(SlotId, bool), StorageError> {
        let mut slots = lock(&self.slots);
        let largest = slots.free.iter().max_by_key(|(_, bytes)| *bytes).copied();
        if let Some((id, bytes)) = largest {
            slots.free.retain(|(free, _)| *free != id);
            slots.beginning = Some((id, bytes));
            return Ok((id, false));
        }
        let size = self.limits.file_bytes.max(SLOT_HEADER_BYTES as u64 + bytes);
        // A slot above the limit is better than none: a frame may be larger than the limit, and
        // the last live slot is never let go.
        let has_others = slots.live.len() > 1;
        if has_others && slots.bytes() + size > self.limits.bytes_max.max(2 * size) {
            return Err(StorageError::WalFull);
        }
        let id = slots.unused_id();
        slots.beginning = Some((id, size));
        Ok((id, true))
    }
}

/// Bytes of a slot that a frame takes: the next one begins at a sector.
pub(crate) fn slot_bytes(frame_bytes: usize) -> usize {
    frame_bytes.next_multiple_of(SECTOR_BYTES)
}

fn grow(current: &mut Current, target: u64) -> Result<(), StorageError> {
    // A slot may end amid a sector: it was made by an earlier version, or its growth was cut short.
    // No frame reaches into that sector, for room is reserved in whole ones.
    let mut at = current.grown - current.grown % SECTOR_BYTES as u64;
    while at < target {
        let Zeros(zeros) = &ZEROS;
        let step = (target - at).min(zeros.len() as u64);
        let zeros = usize::try_from(step).map_or(&zeros[..], |step| &zeros[..step]);
        current
            .file
            .write_at(zeros, at)
            .map_err(|error| StorageError::of(&current.path, &error))?;
        at += step;
    }
    sync(&current.path, &current.file)?;
    current.grown = target;
    Ok(())
}

fn sync(path: &Path, file: &Arc<dyn DiskFile>) -> Result<(), StorageError> {
    let synced = match file.sync_data() {
        Err(_) if failpoints::is_on(Bug::FailedSyncRetried) => file.sync_data(),
        synced => synced,
    };
    synced.map_err(|error| StorageError::failed(path, &error))
}
