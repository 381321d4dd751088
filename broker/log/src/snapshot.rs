//! Snapshots for backups: the files of a log with every batch that was visible at one point in
//! time.
//!
//! A snapshot needs no WAL: its batches are in segments, and its checkpoint names exactly them.
//! Invariants: the cut through all partitions is consistent, since nothing is published while it is
//! taken; the named files stay unchanged up to their lengths, and exist, until it is dropped.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::checkpoint::{Checkpoint, PartitionCheckpoint};
use crate::runtime::flusher::Flusher;
use crate::runtime::shared::Shared;
use crate::runtime::wakeup::FlusherTask;
use crate::segment::SegmentMeta;
use crate::segment::header::SegmentHeader;
use crate::storage::StorageError;
use crate::wal::WalFileId;

/// A snapshot of a log. No file of it is removed before it is dropped; a crash of the process ends
/// that too.
#[derive(Debug)]
pub struct Snapshot {
    files: Vec<SnapshotFile>,
    _hold: Hold,
}

/// A file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFile {
    /// Path relative to the log directory.
    pub name: PathBuf,
    /// Content of the file.
    pub content: SnapshotContent,
}

/// The content of a file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotContent {
    /// The complete content.
    Bytes(Vec<u8>),
    /// The first bytes of a file. The file may be longer.
    Prefix {
        /// The file.
        path: PathBuf,
        /// Number of bytes.
        bytes: u64,
    },
}

impl Snapshot {
    /// Returns the files. A directory with them, in the place of the log directory, is a complete
    /// log, which a broker opens with increased leader epochs, because the offsets after the
    /// snapshot will be assigned again (KIP-320).
    #[must_use]
    pub fn files(&self) -> &[SnapshotFile] {
        &self.files
    }
}

/// Takes a snapshot. The writer's thread calls this, so that no frame is published meanwhile.
///
/// # Errors
/// If the visible batches cannot be written into segments.
pub(crate) fn take(shared: &Arc<Shared>, flusher: &Flusher) -> Result<Snapshot, StorageError> {
    // Before the segments are listed: whatever is listed is removed only after the hold.
    let hold = Hold::new(Arc::clone(shared));
    let checkpoint = flusher.checkpoint_of_segments()?;
    let files = checkpoint
        .partitions
        .iter()
        .flat_map(|partition| segments(shared, partition));
    let mut files: Vec<_> = files.collect();
    let complete = |name: PathBuf, bytes| SnapshotFile {
        name,
        content: SnapshotContent::Bytes(bytes),
    };
    // A free file, so that the directory of the WAL exists.
    let wal = WalFileId(0).path(Path::new("wal"));
    files.push(complete(wal, Vec::new()));
    let checkpoint = without_wal(checkpoint).encode();
    files.push(complete("checkpoint".into(), checkpoint));
    Ok(Snapshot { files, _hold: hold })
}

/// Returns the checkpoint of a log whose WAL is empty and was never started.
fn without_wal(checkpoint: Checkpoint) -> Checkpoint {
    Checkpoint {
        // A log of this mode is opened with increased epochs.
        open_os: true,
        wal_started: false,
        // Their files are not part of the snapshot.
        deleted: Vec::new(),
        ..checkpoint
    }
}

fn segments<'a>(
    shared: &'a Shared,
    partition: &'a PartitionCheckpoint,
) -> impl Iterator<Item = SnapshotFile> + 'a {
    let name = PathBuf::from("data").join(partition.tp.to_string());
    let dir = shared.config.dir.join(&name);
    partition.segments.iter().map(move |segment| SnapshotFile {
        name: segment.path(&name),
        content: match segment.bytes {
            // An empty segment is created again if its partition becomes empty, so its file can be
            // truncated at any time.
            0 => SnapshotContent::Bytes(header(partition, segment)),
            bytes => SnapshotContent::Prefix {
                path: segment.path(&dir),
                bytes: u64::from(segment.header_bytes) + bytes,
            },
        },
    })
}

fn header(partition: &PartitionCheckpoint, segment: &SegmentMeta) -> Vec<u8> {
    match segment.header_bytes {
        0 => Vec::new(),
        _ => SegmentHeader::of(partition.tp, segment).encode().to_vec(),
    }
}

/// Keeps files that the log no longer needs.
#[derive(Debug)]
struct Hold(Arc<Shared>);

impl Hold {
    fn new(shared: Arc<Shared>) -> Self {
        shared.holds.fetch_add(1, Ordering::AcqRel);
        Self(shared)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.holds.fetch_sub(1, Ordering::AcqRel);
        // The next checkpoint removes the kept files; without appends none would follow.
        self.0.wake_flusher.raise(FlusherTask::Checkpoint);
    }
}
