//! Opening a data directory: checkpoint, then the WAL behind it.
//!
//! Invariants: nothing on disk is changed before it is clear that the directory can be opened;
//! what is served afterwards is durable. The cost is that of the WAL's tail, whatever the size of
//! the data.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use avouch_protocol::types::LeaderEpoch;

use crate::api::{Durability, Listener, LogConfig, OpenError, RecoveryReport};
use crate::checkpoint::{BadCheckpoint, CHECKPOINT_FORMAT, Checkpoint};
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::failpoints::{self, Bug};
use crate::locks::lock;
use crate::partition::State;
use crate::runtime::flusher::Flusher;
use crate::runtime::shared::Shared;
use crate::runtime::writer::Writer;
use crate::storage::StorageError;
use crate::wal::frame::{
    FORMAT_VERSION, FRAME_HEADER_BYTES, FrameHeader, FrameSeq, Incarnation, Opening,
    SLOT_HEADER_BYTES, Salt, SlotHeader, SlotState,
};
use crate::wal::replay::Replay;
use crate::wal::scan::{Plan, Slot, end_of, find_frames, plan, read_body, rewrite};
use crate::wal::{LiveSlot, SlotId, Slots, Wal, WalLimits};

/// A log that is ready to be driven.
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
    let (checkpoint, is_new) = match read_checkpoint(&*disk, &config.dir)? {
        Some(checkpoint) => (checkpoint, false),
        None => (Checkpoint::default(), true),
    };
    let found = find_slots(&*disk, &config.dir.join("wal"), OpenMode::Existing)?;
    let wal_dir = config.dir.join("wal");
    let (plan, slots) =
        plan_replay(&found, &checkpoint).map_err(|source| io_at(&wal_dir, source))?;
    let was_unclean = checkpoint.open_os || !plan.damaged.is_empty();
    let epoch_floor = LeaderEpoch(checkpoint.epoch_floor.0 + i32::from(was_unclean));
    let newest = found
        .used
        .iter()
        .map(|(_, slot)| slot.header.incarnation.0)
        .max();
    let incarnation = Incarnation(newest.unwrap_or(0).max(checkpoint.incarnation.0) + 1);
    let os_mode = config.durability == Durability::Os;
    let limits = WalLimits::of(&config);

    let shared = Arc::new(Shared::new(config, disk, listener, slots, epoch_floor));
    let flusher = Arc::new(Flusher::new(Arc::clone(&shared), incarnation));
    restore(&shared, checkpoint);
    let report = replay(&shared, &flusher, &found, &plan)?;
    let report = RecoveryReport {
        epochs_bumped: was_unclean,
        ..report
    };
    for (partition, damage) in &report.damaged_partitions {
        shared.note_damage(*partition, *damage);
    }
    if was_unclean {
        bump_epochs(&shared);
    }
    let failed = |error: StorageError| io_at(&shared.config.dir, io::Error::other(error));
    // On a full disk it has to wait, and with it all appends; what is there is served.
    let mut is_owed = was_unclean || os_mode;
    if is_new || is_owed {
        match flusher.checkpoint() {
            Err(StorageError::Full) if !is_new => {}
            taken => {
                taken.map_err(failed)?;
                is_owed = false;
            }
        }
    }
    let slots = Arc::clone(&shared.slots);
    let salt = shared.disk.salt();
    let salt = Salt(salt.map_err(|source| io_at(&wal_dir, source))?);
    let opening = Opening { incarnation, salt };
    let wal = Wal::new(Arc::clone(&shared.disk), wal_dir, limits, opening, slots);
    let mut writer = Writer::new(Arc::clone(&shared), Arc::clone(&flusher), wal, plan.next);
    writer.begin(is_owed).map_err(failed)?;
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

/// Makes the directories, and their names durable: a process that was killed may have made names
/// without that. Where there is no checkpoint yet, writing the first one syncs the rest.
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

/// The checkpoint; none only if there is no data either.
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
        Err(BadCheckpoint::Damaged { at }) => Err(OpenError::DamagedCheckpoint { path, at }),
    }
}

/// All WAL slots.
pub(crate) struct FoundSlots {
    /// By incarnation, then first sequence.
    pub(crate) used: Vec<(SlotId, Slot)>,
    free: Vec<(SlotId, u64)>,
}

pub(crate) fn find_slots(
    disk: &dyn Disk,
    dir: &Path,
    mode: OpenMode,
) -> Result<FoundSlots, OpenError> {
    let mut found = FoundSlots {
        used: Vec::new(),
        free: Vec::new(),
    };
    let names = disk.list(dir).map_err(|source| io_at(dir, source))?;
    for id in names.iter().filter_map(|name| SlotId::of_name(name)) {
        let path = id.path(dir);
        let (file, bytes, state) =
            read_slot(disk, &path, mode).map_err(|source| io_at(&path, source))?;
        match state {
            SlotState::Used(header) => found.used.push((
                id,
                Slot {
                    header,
                    file,
                    bytes,
                },
            )),
            SlotState::Free => found.free.push((id, bytes)),
            SlotState::Newer(format) => {
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
        .sort_by_key(|(_, slot)| (slot.header.incarnation, slot.header.first_seq));
    Ok(found)
}

fn read_slot(
    disk: &dyn Disk,
    path: &Path,
    mode: OpenMode,
) -> io::Result<(Arc<dyn DiskFile>, u64, SlotState)> {
    let file = disk.open(path, mode)?;
    let mut sector = [0; SLOT_HEADER_BYTES];
    let filled = file.read_at(&mut sector, 0)?;
    let state = match SlotHeader::decode(sector.get(..filled).unwrap_or_default()) {
        SlotState::Free => header_by_first_frame(&*file)?,
        state @ (SlotState::Used(_) | SlotState::Newer(_)) => state,
    };
    let bytes = file.size_bytes()?;
    Ok((file, bytes, state))
}

/// A slot's header is in one sector, so it is old or new after a crash but never torn. Where it
/// is damaged, the first frame behind it tells the same; an older life's frame there does no harm,
/// and no record ever stands there.
fn header_by_first_frame(file: &dyn DiskFile) -> io::Result<SlotState> {
    let mut head = [0; FRAME_HEADER_BYTES];
    file.read_at(&mut head, SLOT_HEADER_BYTES as u64)?;
    let inferred = |frame: FrameHeader| SlotHeader {
        incarnation: frame.incarnation,
        first_seq: frame.seq,
        salt: frame.salt,
    };
    let header = FrameHeader::decode(&head).map(inferred);
    Ok(header.map_or(SlotState::Free, SlotState::Used))
}

/// What to replay, and which slots still hold something.
fn plan_replay(found: &FoundSlots, checkpoint: &Checkpoint) -> io::Result<(Plan, Slots)> {
    let slots: Vec<&Slot> = found.used.iter().map(|(_, slot)| slot).collect();
    let findings = find_frames(&slots, checkpoint.seq)?;
    let mut known = Slots {
        free: found.free.clone(),
        ..Slots::default()
    };
    for (id, slot) in &found.used {
        let first_seq = slot.header.first_seq;
        if end_of(&slots, slot.header.incarnation) <= checkpoint.seq.next() {
            known.free.push((*id, slot.bytes));
        } else {
            known.live.push_back(LiveSlot {
                id: *id,
                first_seq,
                bytes: slot.bytes,
            });
        }
    }
    known.retire(checkpoint.seq);
    Ok((plan(&findings, checkpoint.seq), known))
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
    found: &FoundSlots,
    plan: &Plan,
) -> Result<RecoveryReport, OpenError> {
    let slots: Vec<&Slot> = found.used.iter().map(|(_, slot)| slot).collect();
    let mut replay = Replay::new(shared);
    let mut is_full = false;
    for frame in &plan.frames {
        let path = || {
            found
                .used
                .get(frame.slot)
                .map_or(PathBuf::new(), |(id, _)| id.path(&shared.wal_dir()))
        };
        let body = read_body(&slots, frame).map_err(|source| io_at(&path(), source))?;
        replay
            .frame(frame.header.seq, &body)
            .map_err(|source| io_at(&path(), source))?;
        if shared.memory.unflushed() > shared.config.tail_bytes_max && !is_full {
            match flusher.flush() {
                // The tail is served from memory then: no more than the WAL's size of it.
                Err(StorageError::Full) => is_full = true,
                flushed => {
                    flushed.map_err(|error| io_at(&shared.config.dir, io::Error::other(error)))?;
                }
            }
        }
    }
    // A killed process leaves frames in a cache only, the system's or the drive's; what is served
    // must be durable.
    let unproven = plan
        .frames
        .iter()
        .filter(|frame| frame.header.seq > plan.proven);
    for frame in unproven {
        rewrite(&slots, frame).map_err(|source| io_at(&shared.wal_dir(), source))?;
    }
    let replayed: BTreeSet<usize> = plan.frames.iter().map(|frame| frame.slot).collect();
    for (id, slot) in replayed.iter().filter_map(|at| found.used.get(*at)) {
        if failpoints::is_on(Bug::ReplayNotSynced) {
            break;
        }
        slot.file
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

pub(crate) fn io_at(path: &Path, source: io::Error) -> OpenError {
    OpenError::Io {
        path: path.to_owned(),
        source,
    }
}
