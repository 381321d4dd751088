//! WAL files: which are in use, which are free, and the writing end of the current one.
//!
//! Invariant: a frame only overwrites bytes that are already durable, in a file whose header is
//! already durable. So its sync never depends on a change of the file size or a directory entry.

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
use crate::wal::frame::{FrameSeq, Session, WAL_HEADER_BYTES, WalFileHeader};

/// A WAL file grows by this much at first, then by its own size, at most by [`GROWTH_BYTES_MAX`].
const GROWTH_BYTES_MIN: u64 = 256 << 10;
const GROWTH_BYTES_MAX: u64 = 8 << 20;
const PREALLOCATION_STEP_BYTES: u64 = 2 << 20;
/// Bytes written to a WAL file before the next one is preallocated: an idle node needs one file.
const PREALLOCATION_FROM_BYTES: u64 = 1 << 20;
static ZEROS: Zeros = Zeros([0; 256 << 10]);

/// Zeros aligned to a sector, as direct I/O requires.
#[repr(align(512))]
struct Zeros([u8; 256 << 10]);

/// Number of a WAL file; its file name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WalFileId(pub(crate) u32);

impl WalFileId {
    pub(crate) fn path(self, dir: &Path) -> PathBuf {
        dir.join(format!("{:08}.wal", self.0))
    }

    /// Returns the number of the WAL file with this name.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let id = name.strip_suffix(".wal")?.parse().ok().map(Self)?;
        (format!("{:08}.wal", id.0) == name).then_some(id)
    }
}

/// A WAL file with frames that may still be needed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LiveWalFile {
    pub(crate) id: WalFileId,
    pub(crate) first_seq: FrameSeq,
    pub(crate) bytes: u64,
}

/// All WAL files. The oldest live file comes first, the last live file is being written.
#[derive(Debug, Default)]
pub(crate) struct WalFiles {
    pub(crate) live: VecDeque<LiveWalFile>,
    /// Files that can be used, or reused, with their sizes.
    pub(crate) free: Vec<(WalFileId, u64)>,
    /// The file that is being preallocated, with its target size.
    pub(crate) preallocating: Option<(WalFileId, u64)>,
    /// The file that the writer picked and has not started yet, with its size.
    pub(crate) starting: Option<(WalFileId, u64)>,
}

impl WalFiles {
    /// Frees all files without a frame above `seq`, except the one being written.
    pub(crate) fn retire(&mut self, seq: FrameSeq) {
        while let (Some(oldest), Some(second)) = (self.live.front(), self.live.get(1)) {
            // A crash can leave two files with the same first sequence; either may hold that frame.
            let begin_alike = second.first_seq == oldest.first_seq;
            if second.first_seq > seq.next() || (begin_alike && second.first_seq > seq) {
                break;
            }
            self.free.push((oldest.id, oldest.bytes));
            self.live.pop_front();
        }
    }

    fn bytes(&self) -> u64 {
        let live = self.live.iter().map(|wal_file| wal_file.bytes);
        live.chain(self.others().map(|(_, bytes)| *bytes)).sum()
    }

    /// Returns whether a free file of this size exists.
    fn has_free(&self, bytes: u64) -> bool {
        self.free.iter().any(|(_, free)| *free >= bytes)
    }

    fn unused_id(&self) -> WalFileId {
        let live = self.live.iter().map(|wal_file| wal_file.id.0);
        let highest = live.chain(self.others().map(|(id, _)| id.0)).max();
        WalFileId(highest.map_or(0, |id| id.saturating_add(1)))
    }

    /// Returns the files without frames.
    fn others(&self) -> impl Iterator<Item = &(WalFileId, u64)> {
        self.free
            .iter()
            .chain(&self.preallocating)
            .chain(&self.starting)
    }
}

/// Limits of the WAL, and the durability mode.
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
            // In this mode a frame is acknowledged when it is in the page cache.
            Durability::Os => disk.open(path, mode),
        }
    }
}

/// Creates a WAL file of zeros, unless a free one exists or the WAL has its maximum size. Runs
/// on its own thread, so that the writer need not extend a file while producers wait.
///
/// # Errors
/// After `Full` the file is removed.
pub(crate) fn preallocate_file(
    disk: &dyn Disk,
    dir: &Path,
    limits: WalLimits,
    wal_files: &Mutex<WalFiles>,
) -> Result<(), StorageError> {
    let bytes = limits.file_bytes;
    // On a disk that is nearly full, segments and checkpoints need the space.
    if disk.free_bytes(dir).is_ok_and(|free| free < 2 * bytes) {
        return Ok(());
        // The number is taken under the lock, so the writer cannot create the same file.
    }
    let id = {
        let mut wal_files = lock(wal_files);
        let is_enough = wal_files.has_free(bytes) || wal_files.preallocating.is_some();
        if is_enough || wal_files.bytes() + bytes > limits.bytes_max {
            return Ok(());
        }
        let id = wal_files.unused_id();
        wal_files.preallocating = Some((id, bytes));
        id
    };
    let path = id.path(dir);
    let made = fill_zeros(disk, dir, &path, limits);
    if made.is_err() {
        // The file has no header, so if it remains, it is a free file at the next start.
        drop(disk.remove_file(&path));
    }
    let mut wal_files = lock(wal_files);
    wal_files.preallocating = None;
    made?;
    wal_files.free.push((id, bytes));
    Ok(())
}

fn fill_zeros(
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
        header: None,
    };
    // Small steps, so that a frame never waits for the disk to write the complete file.
    while spare.grown < bytes {
        let step = (spare.grown + PREALLOCATION_STEP_BYTES).min(bytes);
        grow(&mut spare, step)?;
    }
    disk.sync_dir(dir)
        .map_err(|error| StorageError::failed(dir, &error))
}

/// The writing end of the WAL.
#[derive(Debug)]
pub(crate) struct Wal {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    limits: WalLimits,
    session: Session,
    wal_files: Arc<Mutex<WalFiles>>,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    /// Position of the next frame.
    at: u64,
    /// Length that is durable.
    grown: u64,
    /// None in a file that is being preallocated.
    header: Option<WalFileHeader>,
}

impl Wal {
    /// Creates a writing end, which starts a new file for its first frame.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        limits: WalLimits,
        session: Session,
        wal_files: Arc<Mutex<WalFiles>>,
    ) -> Self {
        Self {
            disk,
            dir,
            limits,
            session,
            wal_files,
            current: None,
        }
    }

    pub(crate) fn session(&self) -> Session {
        self.session
    }

    /// Reserves space for the next frame, `seq`, of `bytes`.
    ///
    /// # Errors
    /// After `Full` and `WalFull` nothing has changed.
    pub(crate) fn reserve(&mut self, seq: FrameSeq, bytes: usize) -> Result<(), StorageError> {
        let bytes = padded_bytes(bytes) as u64;
        // First sequences are unique, so a file without frames is extended rather than replaced.
        let fits = |current: &Current| {
            current.at + bytes <= self.limits.file_bytes.max(current.grown)
                || current.at == WAL_HEADER_BYTES as u64
        };
        // Switching to a preallocated file is cheaper than extending the current one, which costs
        // two syncs.
        let has_free = lock(&self.wal_files).has_free(self.limits.file_bytes);
        let stays = |current: &Current| {
            let would_grow = current.at + bytes > current.grown;
            let is_empty = current.at == WAL_HEADER_BYTES as u64;
            fits(current) && (is_empty || !would_grow || !has_free)
        };
        if !self.current.as_ref().is_some_and(stays) {
            self.start_file(seq, bytes)?;
        }
        let file_bytes = self.limits.file_bytes;
        let current = self
            .current
            .as_mut()
            .expect("a wal_file was started where there was none");
        let need = current.at + bytes;
        if need > current.grown {
            let step = current.grown.clamp(GROWTH_BYTES_MIN, GROWTH_BYTES_MAX);
            let target = need.max((current.grown + step).min(file_bytes));
            grow(current, target)?;
            if let Some(wal_file) = lock(&self.wal_files).live.back_mut() {
                wal_file.bytes = target;
            }
        }
        Ok(())
    }

    /// Returns whether [`preallocate_file`] should run.
    pub(crate) fn wants_preallocation(&self) -> bool {
        let from = PREALLOCATION_FROM_BYTES.min(self.limits.file_bytes / 4);
        let is_used = self
            .current
            .as_ref()
            .is_some_and(|current| current.at > from);
        is_used && !lock(&self.wal_files).has_free(self.limits.file_bytes)
    }

    /// Writes a frame into the space that [`Wal::reserve`] provided.
    ///
    /// # Errors
    /// Always `Failed`: the contents of the file are unknown then.
    pub(crate) fn write(&mut self, frame: &[u8]) -> Result<(), StorageError> {
        let current = self.current.as_mut().expect("reserve came first");
        current
            .file
            .write_at(frame, current.at)
            .map_err(|error| StorageError::failed(&current.path, &error))?;
        current.at += padded_bytes(frame.len()) as u64;
        Ok(())
    }

    /// Syncs the frames written so far.
    ///
    /// # Errors
    /// Always `Failed`; the caller must not retry.
    pub(crate) fn sync(&self) -> Result<(), StorageError> {
        match &self.current {
            Some(current) => sync(&current.path, &current.file),
            None => Ok(()),
        }
    }

    /// Starts the WAL file whose first frame, of `bytes`, is `seq`. The file becomes current when
    /// its size and its header are durable.
    fn start_file(&mut self, seq: FrameSeq, bytes: u64) -> Result<(), StorageError> {
        // Recovery treats the existence of a later file as proof that all earlier frames were
        // durable.
        self.sync()?;
        let (id, is_new) = self.pick_file(bytes)?;
        let started = self.fill_file(id, is_new, seq, bytes).and_then(|started| {
            self.name_successor(seq)?;
            Ok(started)
        });
        let mut wal_files = lock(&self.wal_files);
        let taken = wal_files.starting.take();
        match started {
            Ok(started) => {
                wal_files.live.push_back(LiveWalFile {
                    id,
                    first_seq: seq,
                    bytes: started.grown,
                });
                self.current = Some(started);
                Ok(())
            }
            Err(error) => {
                if is_new {
                    // The file has no header, so if it remains, it is a free file at the next
                    // start.
                    drop(self.disk.remove_file(&id.path(&self.dir)));
                } else {
                    wal_files.free.extend(taken);
                }
                Err(error)
            }
        }
    }

    /// Writes into the header of the current file that a file whose first frame is `seq` follows.
    /// Frames go into that file only afterwards, so its removal never looks like a crash.
    fn name_successor(&self, seq: FrameSeq) -> Result<(), StorageError> {
        let Some((current, header)) = self
            .current
            .as_ref()
            .and_then(|current| Some((current, current.header?)))
        else {
            return Ok(());
        };
        let header = WalFileHeader {
            successor: Some(seq),
            ..header
        };
        let written = current.file.write_at(&header.encode(), 0);
        written.map_err(|error| StorageError::failed(&current.path, &error))?;
        sync(&current.path, &current.file)
    }

    /// Extends a file for its first frame, then writes its header. The order matters: a file with a
    /// header counts as started and ends all earlier files, even if its growth had failed.
    fn fill_file(
        &self,
        id: WalFileId,
        is_new: bool,
        seq: FrameSeq,
        bytes: u64,
    ) -> Result<Current, StorageError> {
        let path = id.path(&self.dir);
        let full_or_failed = |error| StorageError::of(&path, &error);
        let opened = self.limits.open(&*self.disk, &path, OpenMode::Create);
        let file = opened.map_err(full_or_failed)?;
        let kept = file.size_bytes().map_err(full_or_failed)?;
        let at = WAL_HEADER_BYTES as u64;
        let mut started = Current {
            path: path.clone(),
            file,
            at,
            grown: kept,
            header: None,
        };
        let first = (at + bytes).max(GROWTH_BYTES_MIN.min(self.limits.file_bytes));
        if started.grown < first {
            grow(&mut started, first)?;
        }
        if is_new && !failpoints::is_on(Bug::NamesNotSynced) {
            self.disk
                .sync_dir(&self.dir)
                .map_err(|error| StorageError::failed(&self.dir, &error))?;
        }
        let header = WalFileHeader {
            incarnation: self.session.incarnation,
            first_seq: seq,
            salt: Some(self.session.salt),
            successor: None,
        };
        started.header = Some(header);
        // No step after this point allocates space or a file handle, so none of them may fail.
        started
            .file
            .write_at(&header.encode(), 0)
            .map_err(|error| StorageError::failed(&path, &error))?;
        sync(&path, &started.file)?;
        Ok(started)
    }

    /// Picks a free or new file and reserves it. Returns whether its name is new.
    fn pick_file(&self, bytes: u64) -> Result<(WalFileId, bool), StorageError> {
        let mut wal_files = lock(&self.wal_files);
        let largest = wal_files
            .free
            .iter()
            .max_by_key(|(_, bytes)| *bytes)
            .copied();
        if let Some((id, bytes)) = largest {
            wal_files.free.retain(|(free, _)| *free != id);
            wal_files.starting = Some((id, bytes));
            return Ok((id, false));
        }
        let size = self.limits.file_bytes.max(WAL_HEADER_BYTES as u64 + bytes);
        // Exceed the limit rather than fail: a single frame may be larger than the limit, and the
        // current file is never recycled.
        let has_others = wal_files.live.len() > 1;
        if has_others && wal_files.bytes() + size > self.limits.bytes_max.max(2 * size) {
            return Err(StorageError::WalFull);
        }
        let id = wal_files.unused_id();
        wal_files.starting = Some((id, size));
        Ok((id, true))
    }
}

/// Returns the bytes that a frame takes in a WAL file, a multiple of the sector size.
pub(crate) fn padded_bytes(frame_bytes: usize) -> usize {
    frame_bytes.next_multiple_of(SECTOR_BYTES)
}

fn grow(current: &mut Current, target: u64) -> Result<(), StorageError> {
    // A file of an earlier version, or one whose growth failed, may end within a sector. No frame
    // reaches into that sector, because space is reserved in complete sectors.
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
