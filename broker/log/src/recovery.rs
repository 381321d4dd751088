//! Opening of a data directory: reads the checkpoint, then replays the WAL after it.
//!
//! Invariants: nothing on disk is changed before it is certain that the directory can be opened;
//! everything served afterwards is durable. The cost depends on the WAL, not on the amount of data.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use avouch_protocol::types::LeaderEpoch;
use tracing::warn;

use crate::api::{Durability, Listener, LogConfig, OpenError, RecoveryReport};
use crate::checkpoint::{BadCheckpoint, CHECKPOINT_FORMAT, Checkpoint};
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::failpoints::{self, Bug};
use crate::locks::lock;
use crate::partition::State;
use crate::rebuild::rebuild;
use crate::runtime::flusher::Flusher;
use crate::runtime::shared::Shared;
use crate::runtime::writer::Writer;
use crate::storage::StorageError;
use crate::wal::frame::{
    FORMAT_VERSION, FRAME_HEADER_BYTES, FrameHeader, FrameSeq, Incarnation, Salt, Session,
    WAL_HEADER_BYTES, WalFileHeader, WalFileState,
};
use crate::wal::replay::Replay;
use crate::wal::scan::{ReplayPlan, WalFile, end_of, find_frames, plan, read_body, rewrite};
use crate::wal::{LiveWalFile, Wal, WalFileId, WalFiles, WalLimits};

/// A recovered log, without threads.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) shared: Arc<Shared>,
    pub(crate) writer: Writer,
    pub(crate) flusher: Arc<Flusher>,
    pub(crate) report: RecoveryReport,
}

/// See [`super::Log::open`].
pub(crate) fn open(
    config: LogConfig,
    disk: Arc<dyn Disk>,
    listener: Arc<dyn Listener>,
) -> Result<Opened, OpenError> {
    validate(&config)?;
    make_directories(&*disk, &config.dir)?;
    let (checkpoint, is_new) = open_checkpoint(&config, &*disk)?;
    // Opened for writing, because unproven frames are rewritten in place below.
    let found = find_wal_files(&*disk, &config.dir.join("wal"), OpenMode::Existing)?;
    let wal_dir = config.dir.join("wal");
    let (mut plan, wal_files, cut) =
        plan_replay(&found, &checkpoint).map_err(|source| io_at(&wal_dir, source))?;
    if config.accept_loss {
        // The next WAL file then follows those that are missing.
        let successors = found
            .used
            .iter()
            .filter_map(|(_, file)| file.header.successor);
        plan.next = successors.fold(plan.next, FrameSeq::max);
    } else {
        check_files(&found, cut, &checkpoint, &wal_dir)?;
    }
    // Offsets can have been visible and be assigned again, so consumers must see a new leader epoch
    // (KIP-320).
    let was_unclean = checkpoint.open_os || !plan.missing.is_empty() || config.accept_loss;
    let epoch_floor = LeaderEpoch(checkpoint.epoch_floor.0 + i32::from(was_unclean));
    // Files without any frame count too, otherwise two starts could use one number.
    let newest = found
        .used
        .iter()
        .map(|(_, wal_file)| wal_file.header.incarnation.0)
        .max();
    let incarnation = Incarnation(newest.unwrap_or(0).max(checkpoint.incarnation.0) + 1);
    let os_mode = config.durability == Durability::Os;
    let limits = WalLimits::of(&config);

    let shared = Arc::new(Shared::new(config, disk, listener, wal_files, epoch_floor));
    let flusher = Arc::new(Flusher::new(Arc::clone(&shared), incarnation));
    restore(&shared, checkpoint);
    let report = replay(&shared, &flusher, &found, &plan)?;
    let report = RecoveryReport {
        epochs_bumped: was_unclean,
        ..report
    };
    for (partition, range) in &report.corrupt_ranges {
        shared.report_corrupt_range(*partition, *range);
    }
    if was_unclean {
        bump_epochs(&shared);
    }
    let failed = |error: StorageError| io_at(&shared.config.dir, io::Error::other(error));
    // On a full disk the checkpoint is postponed, and with it all appends; reads work.
    let mut is_pending = was_unclean || os_mode;
    if is_new || is_pending {
        match flusher.checkpoint() {
            Err(StorageError::Full | StorageError::NoHandle(_)) if !is_new => {}
            taken => {
                taken.map_err(failed)?;
                is_pending = false;
            }
        }
    }
    let wal_files = Arc::clone(&shared.wal_files);
    let salt = shared.disk.salt();
    let salt = Salt(salt.map_err(|source| io_at(&wal_dir, source))?);
    let session = Session { incarnation, salt };
    let wal = Wal::new(
        Arc::clone(&shared.disk),
        wal_dir,
        limits,
        session,
        wal_files,
    );
    let mut writer = Writer::new(Arc::clone(&shared), Arc::clone(&flusher), wal, plan.next);
    writer.start(is_pending).map_err(failed)?;
    Ok(Opened {
        shared,
        writer,
        flusher,
        report,
    })
}

fn validate(config: &LogConfig) -> Result<(), OpenError> {
    let wrong = |reason| Err(OpenError::Config(reason));
    if config.wal_file_bytes < 4 << 10 {
        return wrong("wal_file_bytes is below 4 KiB");
    }
    if config.wal_bytes_max < config.wal_file_bytes.saturating_mul(2) {
        return wrong("wal_bytes_max is below two WAL files");
    }
    if config.segment_bytes > 2 << 30 {
        return wrong("segment_bytes is above 2 GiB");
    }
    Ok(())
}

/// Creates the directories and syncs their entries, which a crashed process may not have synced.
/// Without a checkpoint, writing the first one syncs the rest.
fn make_directories(disk: &dyn Disk, dir: &Path) -> Result<(), OpenError> {
    let has_checkpoint = disk.exists(&dir.join("checkpoint"));
    let sync = |dir: &Path| disk.sync_dir(dir).map_err(|source| io_at(dir, source));
    for path in [dir.to_owned(), dir.join("wal"), dir.join("data")] {
        if !disk.exists(&path) {
            disk.create_dir(&path)
                .map_err(|source| io_at(&path, source))?;
        }
    }
    if has_checkpoint {
        sync(dir)?;
        return sync(&dir.join("wal"));
    }
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    sync(parent.unwrap_or(Path::new(".")))
}

/// Reads the checkpoint; returns `None` only if there is no data either.
pub(crate) fn read_checkpoint(
    disk: &dyn Disk,
    dir: &Path,
) -> Result<Option<Checkpoint>, OpenError> {
    let path = dir.join("checkpoint");
    if !disk.exists(&path) {
        let is_empty = |name: &str| {
            let path = dir.join(name);
            disk.list(&path)
                .map(|names| names.is_empty())
                .map_err(|source| io_at(&path, source))
        };
        if is_empty("wal")? && is_empty("data")? {
            return Ok(None);
        }
        return Err(OpenError::MissingCheckpoint {
            dir: dir.to_owned(),
        });
    }
    let read = || {
        let file = disk.open(&path, OpenMode::ReadOnly)?;
        let bytes = usize::try_from(file.size_bytes()?).unwrap_or(usize::MAX);
        let mut content = vec![0; bytes];
        let filled = file.read_at(&mut content, 0)?;
        content.truncate(filled);
        io::Result::Ok(content)
    };
    let content = read().map_err(|source| io_at(&path, source))?;
    match Checkpoint::decode(&content) {
        Ok(checkpoint) => Ok(Some(checkpoint)),
        Err(BadCheckpoint::Newer { format }) => Err(OpenError::NewerFormat {
            path,
            found: format,
            known: CHECKPOINT_FORMAT,
        }),
        Err(BadCheckpoint::Corrupt { at }) => Err(OpenError::CorruptCheckpoint { path, at }),
    }
}

/// All WAL files of a directory.
pub(crate) struct FoundWalFiles {
    /// Files that were started, by incarnation, then first sequence.
    pub(crate) used: Vec<(WalFileId, WalFile)>,
    free: Vec<(WalFileId, u64)>,
}

pub(crate) fn find_wal_files(
    disk: &dyn Disk,
    dir: &Path,
    mode: OpenMode,
) -> Result<FoundWalFiles, OpenError> {
    let mut found = FoundWalFiles {
        used: Vec::new(),
        free: Vec::new(),
    };
    let names = disk.list(dir).map_err(|source| io_at(dir, source))?;
    for id in names.iter().filter_map(|name| WalFileId::of_name(name)) {
        let path = id.path(dir);
        let (file, bytes, state) =
            read_wal_file(disk, &path, mode).map_err(|source| io_at(&path, source))?;
        match state {
            WalFileState::Used(header) => found.used.push((
                id,
                WalFile {
                    header,
                    file,
                    bytes,
                },
            )),
            WalFileState::Free => found.free.push((id, bytes)),
            WalFileState::Newer(format) => {
                return Err(OpenError::NewerFormat {
                    path,
                    found: format,
                    known: FORMAT_VERSION,
                });
            }
        }
    }
    found
        .used
        .sort_by_key(|(_, wal_file)| (wal_file.header.incarnation, wal_file.header.first_seq));
    Ok(found)
}

fn read_wal_file(
    disk: &dyn Disk,
    path: &Path,
    mode: OpenMode,
) -> io::Result<(Arc<dyn DiskFile>, u64, WalFileState)> {
    let file = disk.open(path, mode)?;
    let mut sector = [0; WAL_HEADER_BYTES];
    let filled = file.read_at(&mut sector, 0)?;
    let state = match WalFileHeader::decode(sector.get(..filled).unwrap_or_default()) {
        WalFileState::Free => header_by_first_frame(&*file)?,
        state @ (WalFileState::Used(_) | WalFileState::Newer(_)) => state,
    };
    let bytes = file.size_bytes()?;
    Ok((file, bytes, state))
}

/// Returns the header inferred from the first frame. A header is in one sector, so a crash leaves
/// the old or the new one; if it is corrupt, the first frame contains the same fields. Records
/// never start at that position, and a frame of an earlier incarnation there has no effect.
fn header_by_first_frame(file: &dyn DiskFile) -> io::Result<WalFileState> {
    let mut head = [0; FRAME_HEADER_BYTES];
    file.read_at(&mut head, WAL_HEADER_BYTES as u64)?;
    let inferred = |frame: FrameHeader| WalFileHeader {
        incarnation: frame.incarnation,
        first_seq: frame.seq,
        salt: frame.salt,
        successor: None,
    };
    let header = FrameHeader::decode(&head).map(inferred);
    Ok(header.map_or(WalFileState::Free, WalFileState::Used))
}

/// Returns the frames to replay and the files that contain needed frames.
fn plan_replay(
    found: &FoundWalFiles,
    checkpoint: &Checkpoint,
) -> io::Result<(ReplayPlan, WalFiles, Option<usize>)> {
    let wal_files: Vec<&WalFile> = found.used.iter().map(|(_, wal_file)| wal_file).collect();
    let scanned = find_frames(&wal_files, checkpoint.seq)?;
    let mut known = WalFiles {
        free: found.free.clone(),
        ..WalFiles::default()
    };
    for (id, wal_file) in &found.used {
        let first_seq = wal_file.header.first_seq;
        if end_of(&wal_files, wal_file.header.incarnation) <= checkpoint.seq.next() {
            known.free.push((*id, wal_file.bytes));
        } else {
            known.live.push_back(LiveWalFile {
                id: *id,
                first_seq,
                bytes: wal_file.bytes,
            });
        }
    }
    known.retire(checkpoint.seq);
    Ok((plan(&scanned, checkpoint.seq), known, scanned.cut))
}

/// Reads the checkpoint, rebuilds a corrupt one, or returns an empty one and true for a new log.
fn open_checkpoint(config: &LogConfig, disk: &dyn Disk) -> Result<(Checkpoint, bool), OpenError> {
    match read_checkpoint(disk, &config.dir) {
        Ok(Some(checkpoint)) => Ok((checkpoint, false)),
        Ok(None) if config.must_exist && !config.accept_loss => Err(OpenError::MissingLog {
            dir: config.dir.clone(),
        }),
        Ok(None) => Ok((Checkpoint::default(), true)),
        Err(OpenError::CorruptCheckpoint { path, at }) => {
            let path = path.display();
            warn!(%path, at, "corrupt checkpoint: rebuilding it from segments and WAL");
            Ok((rebuild(disk, &config.dir)?, false))
        }
        Err(error) => Err(error),
    }
}

/// Returns an error if WAL files are missing or cut in a way that no crash can cause.
fn check_files(
    found: &FoundWalFiles,
    cut: Option<usize>,
    checkpoint: &Checkpoint,
    wal_dir: &Path,
) -> Result<(), OpenError> {
    if let Some((id, file)) = cut.and_then(|at| found.used.get(at)) {
        return Err(OpenError::CutWal {
            path: id.path(wal_dir),
            bytes: file.bytes,
        });
    }
    let headers = || found.used.iter().map(|(_, file)| file.header);
    let missing = |first: FrameSeq| {
        Err(OpenError::MissingWal {
            dir: wal_dir.to_owned(),
            first: first.0,
        })
    };
    let newest = headers().map(|header| header.incarnation).max();
    if checkpoint.wal_started && newest < Some(checkpoint.incarnation) {
        return missing(checkpoint.seq.next());
    }
    let last_start = headers().map(|header| header.first_seq).max();
    let successors = headers().filter_map(|header| header.successor);
    match successors.max() {
        Some(successor) if last_start < Some(successor) => missing(successor),
        Some(_) | None => Ok(()),
    }
}

fn restore(shared: &Shared, checkpoint: Checkpoint) {
    let deleted: BTreeSet<_> = checkpoint.deleted.iter().copied().collect();
    for partition in checkpoint.partitions {
        if !deleted.contains(&partition.tp.topic) {
            shared.adopt(partition.tp, State::restore(partition));
        }
    }
    lock(&shared.garbage).topics.extend(deleted);
    shared.publish(checkpoint.seq, 0);
}

fn replay(
    shared: &Arc<Shared>,
    flusher: &Flusher,
    found: &FoundWalFiles,
    plan: &ReplayPlan,
) -> Result<RecoveryReport, OpenError> {
    let wal_files: Vec<&WalFile> = found.used.iter().map(|(_, wal_file)| wal_file).collect();
    let mut replay = Replay::new(shared);
    let mut is_full = false;
    for frame in &plan.frames {
        let path = || {
            found
                .used
                .get(frame.wal_file)
                .map_or(PathBuf::new(), |(id, _)| id.path(&shared.wal_dir()))
        };
        let body = read_body(&wal_files, frame).map_err(|source| io_at(&path(), source))?;
        replay
            .frame(frame.header.seq, &body)
            .map_err(|source| io_at(&path(), source))?;
        // Replay must not need more memory than the running log.
        if shared.memory.unflushed() > shared.config.tail_bytes_max && !is_full {
            match flusher.flush() {
                // Without space for segments the replayed batches stay in memory, at most the WAL's
                // size.
                Err(StorageError::Full | StorageError::NoHandle(_)) => is_full = true,
                flushed => {
                    flushed.map_err(|error| io_at(&shared.config.dir, io::Error::other(error)))?;
                }
            }
        }
    }
    // After a crash frames may exist only in the page cache or in the drive's cache. What is served
    // must be durable, so write and sync them again.
    let unproven = plan
        .frames
        .iter()
        .filter(|frame| frame.header.seq > plan.proven);
    for frame in unproven {
        rewrite(&wal_files, frame).map_err(|source| io_at(&shared.wal_dir(), source))?;
    }
    let replayed: BTreeSet<usize> = plan.frames.iter().map(|frame| frame.wal_file).collect();
    for (id, wal_file) in replayed.iter().filter_map(|at| found.used.get(*at)) {
        if failpoints::is_on(Bug::ReplayNotSynced) {
            break;
        }
        wal_file
            .file
            .sync_data()
            .map_err(|source| io_at(&id.path(&shared.wal_dir()), source))?;
    }
    shared.publish(FrameSeq(plan.next.0.saturating_sub(1)), 0);
    Ok(replay.report(plan))
}

fn bump_epochs(shared: &Shared) {
    for partition in shared.partitions() {
        let mut state = partition.state();
        let next = LeaderEpoch(state.leader_epoch.0.saturating_add(1));
        state.leader_epoch = next.max(shared.epoch_floor);
    }
}

pub(crate) fn io_at(path: &Path, error: io::Error) -> OpenError {
    OpenError::Io {
        path: path.to_owned(),
        error,
    }
}
