//! Rebuild of a corrupt or missing checkpoint from segments and WAL. Only reads.
//!
//! Invariant: every acknowledged record is in a segment of the rebuilt checkpoint or in a WAL frame
//! after it. Lost are only the facts that no other file contains: a log start offset within the
//! oldest segment, and which corrupt ranges are skipped.

use std::collections::BTreeMap;
use std::path::Path;

use avouch_protocol::batch::{BatchHeader, crc_matches};
use avouch_protocol::types::{LeaderEpoch, Offset, TopicPartition};

use crate::api::{CorruptRange, OpenError};
use crate::checkpoint::{self, Checkpoint, PartitionCheckpoint};
use crate::compaction::delete_horizon;
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::partition::producer_state::Producers;
use crate::partition::tags::TagSet;
use crate::recovery::{find_wal_files, io_at, read_checkpoint};
use crate::segment::header::{SegmentBody, SegmentHeader};
use crate::segment::scanner::find_batch;
use crate::segment::{Generation, Peek, SegmentMeta};
use crate::wal::frame::{Entry, FrameSeq, decode_entries};
use crate::wal::scan::{FoundFrame, WalFile, find_frames, first_found, plan, read_body};

/// Replaces the corrupt or missing checkpoint of the log directory `dir` by one that is rebuilt
/// from segments and WAL. Reads all segments. Returns the number of partitions.
///
/// # Errors
/// [`OpenError::Config`] if the checkpoint is intact or the directory has no data, otherwise the
/// error of the file system.
pub fn rebuild_checkpoint(dir: &Path, disk: &dyn Disk) -> Result<usize, OpenError> {
    match read_checkpoint(disk, dir) {
        Ok(Some(_)) => return Err(OpenError::Config("the checkpoint is intact")),
        Ok(None) => return Err(OpenError::Config("the log has no data")),
        Err(OpenError::CorruptCheckpoint { .. } | OpenError::MissingCheckpoint { .. }) => {}
        Err(error) => return Err(error),
    }
    let rebuilt = rebuild(disk, dir)?;
    let stored = checkpoint::store(disk, dir, &rebuilt);
    stored.map_err(|error| io_at(dir, std::io::Error::other(error)))?;
    Ok(rebuilt.partitions.len())
}

/// Returns a checkpoint that describes the segments, and covers all WAL frames before those that
/// are certainly complete up to the end of the WAL.
pub(crate) fn rebuild(disk: &dyn Disk, dir: &Path) -> Result<Checkpoint, OpenError> {
    let tail = WalTail::read(disk, &dir.join("wal"))?;
    let data_dir = dir.join("data");
    let names = disk.list(&data_dir);
    let mut partitions = Vec::new();
    for name in names.map_err(|source| io_at(&data_dir, source))? {
        let Ok(tp) = name.parse::<TopicPartition>() else {
            continue;
        };
        // Batches in the WAL take precedence: a crash may have left others, which were never
        // acknowledged, at the same offsets of a segment.
        let end = tail.first_offsets.get(&tp).copied();
        partitions.push(rebuild_partition(disk, &data_dir.join(name), tp, end)?);
    }
    partitions.sort_unstable_by_key(|partition| partition.tp);
    let epochs = partitions.iter().map(|partition| partition.leader_epoch);
    Ok(Checkpoint {
        // Recovery increases all leader epochs then, because the last one is not known for sure.
        open_os: true,
        wal_started: false,
        seq: tail.covered,
        incarnation: tail.incarnation,
        epoch_floor: epochs.max().unwrap_or(LeaderEpoch(0)),
        deleted: Vec::new(),
        partitions,
    })
}

/// The frames to replay.
#[derive(Default)]
struct WalTail {
    covered: FrameSeq,
    incarnation: crate::wal::frame::Incarnation,
    /// Base offset of each partition's first batch in the frames.
    first_offsets: BTreeMap<TopicPartition, Offset>,
}

impl WalTail {
    fn read(disk: &dyn Disk, wal_dir: &Path) -> Result<Self, OpenError> {
        let found = find_wal_files(disk, wal_dir, OpenMode::ReadOnly)?;
        let files: Vec<&WalFile> = found.used.iter().map(|(_, file)| file).collect();
        let failed = |source| io_at(wal_dir, source);
        let scanned = find_frames(&files, FrameSeq(0)).map_err(failed)?;
        let before = FrameSeq(first_found(&scanned).0.saturating_sub(1));
        let plan = plan(&scanned, before);
        // Recycled files still contain old frames, with gaps between them where newer ones were
        // overwritten. Segments contain all of these, so only the last run without a gap counts.
        let run = last_run(&plan.frames);
        let covered = run.first().map_or(plan.next, |first| first.header.seq);
        let mut tail = Self {
            covered: FrameSeq(covered.0.saturating_sub(1)),
            incarnation: files
                .last()
                .map(|file| file.header.incarnation)
                .unwrap_or_default(),
            first_offsets: BTreeMap::new(),
        };
        for frame in run {
            let body = read_body(&files, frame).map_err(failed)?;
            for entry in decode_entries(&body).unwrap_or_default() {
                if let Entry::Batch { target, batch, .. } = entry
                    && let Ok(header) = BatchHeader::parse(&batch)
                {
                    tail.first_offsets
                        .entry(target)
                        .or_insert(header.base_offset);
                }
            }
        }
        Ok(tail)
    }
}

fn last_run(frames: &[FoundFrame]) -> &[FoundFrame] {
    let is_gap = |pair: &[FoundFrame]| match pair {
        [before, after] => after.header.seq > before.header.seq.next(),
        _ => false,
    };
    let gap = frames.windows(2).rposition(is_gap);
    gap.map_or(frames, |at| frames.get(at + 1..).unwrap_or_default())
}

fn rebuild_partition(
    disk: &dyn Disk,
    dir: &Path,
    tp: TopicPartition,
    end: Option<Offset>,
) -> Result<PartitionCheckpoint, OpenError> {
    let names = disk.list(dir).map_err(|source| io_at(dir, source))?;
    let mut files: Vec<SegmentMeta> = names
        .iter()
        .filter_map(|name| SegmentMeta::of_name(name))
        .filter(|file| end.is_none_or(|end| file.base_offset < end))
        .collect();
    files.sort_unstable_by_key(|file| (file.base_offset, file.generation));
    drop_replaced(disk, dir, tp, &mut files)?;
    let mut scan = PartitionScan::default();
    let bases: Vec<Offset> = files.iter().map(|file| file.base_offset).collect();
    for (at, file) in files.into_iter().enumerate() {
        // A segment ends where the next one starts.
        let limit = bases.get(at + 1).copied().or(end);
        scan.add(disk, (dir, tp), file, limit)?;
    }
    let log_start = scan
        .segments
        .first()
        .map_or(Offset(0), |first| first.base_offset);
    let next_offset = scan
        .segments
        .last()
        .map_or(Offset(0), |last| last.next_offset);
    Ok(PartitionCheckpoint {
        tp,
        leader_epoch: scan.leader_epoch,
        log_start,
        next_offset,
        corrupt_ranges: scan.corrupt_ranges,
        skipped: Vec::new(),
        cleaned_to: Offset(0),
        segments: scan.segments,
        producers: scan.producers.snapshot(next_offset),
    })
}

/// Removes either the sources of the last compaction or its results from `files`, if both exist.
///
/// The sources are the oldest segments. They are removed oldest first, and only after the results
/// are valid, so the results are needed exactly if the oldest source is missing.
fn drop_replaced(
    disk: &dyn Disk,
    dir: &Path,
    tp: TopicPartition,
    files: &mut Vec<SegmentMeta>,
) -> Result<(), OpenError> {
    let newest = files.iter().map(|file| file.generation).max();
    let Some(newest) = newest.filter(|newest| *newest > Generation(0)) else {
        return Ok(());
    };
    let is_result = |file: &SegmentMeta| file.generation == newest;
    let Some(last) = files.iter().rfind(|file| is_result(file)).cloned() else {
        return Ok(());
    };
    let results_end = scan_segment(disk, (dir, tp), last, None, &mut |_, _| {})?.next_offset;
    let is_source = |file: &SegmentMeta| !is_result(file) && file.base_offset < results_end;
    let first_result = files
        .iter()
        .find(|file| is_result(file))
        .map(|file| file.base_offset);
    let first_source = files
        .iter()
        .find(|file| is_source(file))
        .map(|file| file.base_offset);
    match first_source {
        Some(source) if Some(source) <= first_result => files.retain(|file| !is_result(file)),
        Some(_) => files.retain(|file| !is_source(file)),
        None => {}
    }
    Ok(())
}

#[derive(Default)]
struct PartitionScan {
    segments: Vec<SegmentMeta>,
    corrupt_ranges: Vec<CorruptRange>,
    producers: Producers,
    leader_epoch: LeaderEpoch,
}

impl PartitionScan {
    fn add(
        &mut self,
        disk: &dyn Disk,
        (dir, tp): (&Path, TopicPartition),
        file: SegmentMeta,
        limit: Option<Offset>,
    ) -> Result<(), OpenError> {
        let is_contiguous = file.is_contiguous();
        // Compaction leaves no gap before a segment that it did not write.
        if let Some(last) = self.segments.last()
            && is_contiguous
            && last.next_offset < file.base_offset
        {
            self.corrupt_ranges.push(CorruptRange {
                from: last.next_offset,
                to: file.base_offset,
            });
        }
        let mut next = file.base_offset;
        let meta = scan_segment(disk, (dir, tp), file, limit, &mut |peek, header| {
            if is_contiguous && peek.base_offset > next {
                self.corrupt_ranges.push(CorruptRange {
                    from: next,
                    to: peek.base_offset,
                });
            }
            next = peek.next_offset;
            if let Some(header) = header {
                self.leader_epoch = self.leader_epoch.max(header.leader_epoch);
                self.producers.stage(header, header.base_offset);
                self.producers.commit(FrameSeq(0));
            }
        })?;
        self.segments.push(meta);
        Ok(())
    }
}

/// Returns the metadata of a segment as far as its batches are below `limit`. Passes each of them
/// to `see`, with its header if its CRC matches.
fn scan_segment(
    disk: &dyn Disk,
    (dir, tp): (&Path, TopicPartition),
    mut meta: SegmentMeta,
    limit: Option<Offset>,
    see: &mut dyn FnMut(&Peek, Option<&BatchHeader>),
) -> Result<SegmentMeta, OpenError> {
    let path = meta.path(dir);
    let failed = |source| io_at(&path, source);
    let file = disk.open(&path, OpenMode::ReadOnly).map_err(failed)?;
    let header = SegmentHeader::of(tp, &meta);
    match SegmentHeader::read(&*file).map_err(failed)? {
        Some(found) if found != header => {
            // Its offsets become a corrupt range, as if the file was missing.
            tracing::warn!(path = %path.display(), %found, "ignoring a file of another segment");
            return Ok(meta);
        }
        Some(_) => {}
        // A file of an earlier format, or a corrupt header, after which the scan finds a batch.
        None => meta.header_bytes = 0,
    }
    let file = SegmentBody::of(file, &meta);
    let file_bytes = file.size_bytes().map_err(failed)?;
    meta.tags = TagSet::Any;
    let mut at = 0;
    while at < file_bytes {
        let found = read_batch(&*file, at, file_bytes).map_err(failed)?;
        let in_order = |peek: &Peek| peek.base_offset >= meta.next_offset;
        let (start, peek, header) = match found.filter(|(peek, _)| in_order(peek)) {
            Some((peek, header)) => (at, peek, header),
            // Continue after a corrupt header, as reads do. Without a further batch the rest is
            // left over from a crash.
            None => match find_batch(&*file, at, file_bytes, meta.next_offset).map_err(failed)? {
                Some((start, peek)) => (start, peek, None),
                None => break,
            },
        };
        if limit.is_some_and(|limit| peek.next_offset > limit) {
            break;
        }
        see(&peek, header.as_ref());
        let bytes = start + peek.bytes - at;
        meta.note(
            peek.base_offset,
            peek.next_offset,
            bytes,
            peek.max_timestamp,
        );
        if let Some(horizon) = header.as_ref().and_then(delete_horizon) {
            let earlier = meta
                .delete_horizon
                .map_or(horizon, |known| known.min(horizon));
            meta.delete_horizon = Some(earlier);
        }
        at = start + peek.bytes;
    }
    if at < file_bytes && limit.is_none() {
        let path = path.display();
        let end = meta.next_offset.0;
        tracing::warn!(%path, at, end, "ignoring bytes after the last batch of a segment");
    }
    if let Some(limit) = limit.filter(|_| !meta.is_contiguous()) {
        // Compaction may have removed the last offsets before the limit.
        meta.next_offset = limit.max(meta.next_offset);
    }
    Ok(meta)
}

/// Reads the batch at `at`. Without a matching CRC it counts if the next header follows it.
fn read_batch(
    file: &dyn DiskFile,
    at: u64,
    file_bytes: u64,
) -> std::io::Result<Option<(Peek, Option<BatchHeader>)>> {
    let mut head = [0; avouch_protocol::batch::HEADER_BYTES];
    let filled = file.read_at(&mut head, at)?;
    let Some(peek) = Peek::of(head.get(..filled).unwrap_or_default()) else {
        return Ok(None);
    };
    if at + peek.bytes > file_bytes {
        return Ok(None);
    }
    let mut bytes = vec![0; usize::try_from(peek.bytes).unwrap_or(usize::MAX)];
    file.read_at(&mut bytes, at)?;
    if crc_matches(&bytes) {
        return Ok(BatchHeader::parse(&bytes)
            .ok()
            .map(|header| (peek, Some(header))));
    }
    let filled = file.read_at(&mut head, at + peek.bytes)?;
    let next = Peek::of(head.get(..filled).unwrap_or_default());
    let follows = next.is_some_and(|next| next.base_offset == peek.next_offset);
    Ok(follows.then_some((peek, None)))
}
