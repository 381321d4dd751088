//! Compaction: keeps only the newest record of each key in closed segments.
//!
//! `plan` selects segments, `latest` finds the newest record of each key, `rewrite` decides about
//! each batch; this file does the I/O. Invariants: the source segments remain valid until a
//! checkpoint names the new ones; the active segment is never changed; a segment with a corrupt
//! batch is not rewritten, so that the corruption remains visible.

mod latest;
mod plan;
mod rewrite;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use avouch_protocol::batch::{BatchHeader, HEADER_BYTES};
use avouch_protocol::compress::{Decompressor, Limits};
use avouch_protocol::records::RecordIter;
use avouch_protocol::types::{Offset, ProducerId, TimestampMs};
use bytes::Bytes;
use thiserror::Error;

use crate::api::ReadError;
use crate::disk::OpenMode;
use crate::locks::lock;
use crate::partition::Partition;
use crate::partition::settings::CompactionSettings;
use crate::runtime::flusher::Flusher;
use crate::runtime::shared::Shared;
use crate::runtime::wakeup::FlusherTask;
use crate::segment::{SegmentFile, SegmentMeta, index_path};
use crate::storage::StorageError;
use latest::Latest;
use plan::CompactionPlan;
pub(crate) use rewrite::delete_horizon;
use rewrite::{BadBatch, Rewritten, Rules};

/// Bytes read and written at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// Result of a compaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Bytes of the source segments.
    pub bytes_before: u64,
    /// Bytes of the segments that replace them.
    pub bytes_after: u64,
}

/// Compacts a partition if that is due. Reads use the new segments at once; the next checkpoint,
/// which this requests, makes the replacement durable.
pub(crate) fn compact(
    shared: &Shared,
    flusher: &Flusher,
    partition: &Partition,
    now: TimestampMs,
) -> Result<Option<Compacted>, StorageError> {
    // One compaction at a time bounds its memory to `compaction_bytes_max` for the whole log.
    let _one_at_a_time = lock(&shared.compacting);
    let Some(mut run) = Run::plan(shared, partition, now) else {
        return Ok(None);
    };
    flusher.prepare(partition)?;
    let result = run.write_all();
    let replaced = match result {
        Ok((written, end)) => run.replace(&written, end),
        Err(Failure::Storage(error)) if !partition.state().deleted => {
            run.discard();
            shared.note_failure(&error);
            return Err(error);
        }
        Err(failure) => {
            run.hold(&failure);
            None
        }
    };
    if replaced.is_some() {
        shared.wake_flusher.raise(FlusherTask::Checkpoint);
    } else {
        run.discard();
    }
    Ok(replaced)
}

#[derive(Debug, Error)]
enum Failure {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("a batch cannot be read: {0}")]
    Batch(#[from] BadBatch),
}

/// A running compaction.
struct Run<'a> {
    shared: &'a Shared,
    partition: &'a Partition,
    plan: CompactionPlan,
    cleaned_to: Offset,
    settings: CompactionSettings,
    segment_bytes: u64,
    /// Base offset of each producer's last batch.
    last_batches: HashMap<ProducerId, Offset>,
    now: TimestampMs,
    decompressor: Decompressor,
    created: Vec<PathBuf>,
}

impl<'a> Run<'a> {
    fn plan(shared: &'a Shared, partition: &'a Partition, now: TimestampMs) -> Option<Self> {
        let state = partition.state();
        let settings = state.settings_or(shared.config.segment_bytes);
        let compaction = settings.compaction?;
        let active = state.segments.last().map(|active| active.base_offset);
        if state.deleted || (active.is_some() && state.compaction_held_at == active) {
            return None;
        }
        let plan = plan::plan(&state.segments, state.cleaned_to, now, &compaction)?;
        Some(Self {
            shared,
            partition,
            plan,
            cleaned_to: state.cleaned_to,
            settings: compaction,
            segment_bytes: settings.segment_bytes,
            last_batches: state.producers.last_offsets(),
            now,
            decompressor: Decompressor::new(),
            created: Vec::new(),
        })
    }

    /// Writes and syncs the segments that replace the sources.
    fn write_all(&mut self) -> Result<(Vec<SegmentMeta>, Offset), Failure> {
        let latest = self.compare()?;
        let sources = self.plan.sources.clone();
        let mut written = Vec::new();
        for group in plan::groups(&sources, self.segment_bytes) {
            written.extend(self.write_group(group, &latest)?);
        }
        let dir = &self.partition.dir;
        let synced = self.shared.disk.sync_dir(dir);
        synced.map_err(|error| StorageError::failed(dir, &error))?;
        Ok((written, latest.end()))
    }

    /// Finds the newest record of each key among the records not compared before.
    fn compare(&mut self) -> Result<Latest, Failure> {
        let mut latest = Latest::new(self.shared.config.compaction_bytes_max);
        for source in &self.plan.sources {
            let from = source.base_offset.max(self.cleaned_to);
            let mut batches = Batches::open(self.shared, self.partition, source, from)?;
            loop {
                let chunk = batches.next_chunk()?;
                if chunk.is_empty() {
                    break;
                }
                for batch in &chunk {
                    // The remaining records stay dirty and are compared by the next compaction.
                    if !latest.has_room() {
                        return Ok(latest);
                    }
                    note(&mut latest, &mut self.decompressor, batch)?;
                }
            }
            latest.noted_to(source.next_offset);
        }
        Ok(latest)
    }

    /// Writes the remaining records of neighbouring sources into one segment. Returns `None` if no
    /// record remains.
    fn write_group(
        &mut self,
        group: &[SegmentMeta],
        latest: &Latest,
    ) -> Result<Option<SegmentMeta>, Failure> {
        let Some(first) = group.first() else {
            return Ok(None);
        };
        let mut output = Output::new(first, self.plan.generation);
        for source in group {
            output.meta.tags.extend(&source.tags);
            let from = source.base_offset;
            let mut batches = Batches::open(self.shared, self.partition, source, from)?;
            loop {
                let chunk = batches.next_chunk()?;
                if chunk.is_empty() {
                    break;
                }
                for batch in chunk {
                    match self.rewrite(&batch, latest)? {
                        Rewritten::Same => output.push(&batch)?,
                        Rewritten::Other(batch) => output.push(&batch)?,
                        Rewritten::Gone => {}
                    }
                }
                self.write_out(&mut output)?;
            }
        }
        let Some(file) = output.file else {
            return Ok(None);
        };
        file.sync()?;
        Ok(Some(output.meta))
    }

    fn rewrite(&mut self, batch: &[u8], latest: &Latest) -> Result<Rewritten, BadBatch> {
        let header = BatchHeader::parse(batch)?;
        let last_source = self.plan.sources.last();
        // The last batch is kept, even empty, so that the log end offset does not move back.
        let is_end = last_source.is_some_and(|last| last.next_offset == header.next_offset());
        let last_of_producer = self.last_batches.get(&header.producer_id);
        let rules = Rules {
            latest,
            now: self.now,
            delete_retention_ms: self.settings.delete_retention_ms,
            keep_empty: is_end || last_of_producer == Some(&header.base_offset),
            limits: Limits::STORED,
        };
        rewrite::rewrite(batch, &mut self.decompressor, rules)
    }

    fn write_out(&mut self, output: &mut Output) -> Result<(), Failure> {
        if output.buffer.is_empty() {
            return Ok(());
        }
        let (disk, dir) = (&*self.shared.disk, &self.partition.dir);
        let tp = self.partition.tp;
        let file = match &output.file {
            Some(file) => Arc::clone(file),
            None => {
                let path = output.meta.path(dir);
                self.created.push(path.clone());
                let opened = SegmentFile::open(disk, dir, tp, &output.meta, OpenMode::Truncate);
                let file = opened.map_err(|error| StorageError::of(&path, &error))?;
                Arc::clone(output.file.insert(Arc::new(file)))
            }
        };
        file.append(disk, output.written, &[&output.buffer])?;
        output.written += output.buffer.len() as u64;
        output.buffer.clear();
        Ok(())
    }

    /// Replaces the sources by the written segments, unless the sources were deleted meanwhile.
    fn replace(&self, written: &[SegmentMeta], end: Offset) -> Option<Compacted> {
        let sources = &self.plan.sources;
        let mut state = self.partition.state();
        let current = state.segments.get(..sources.len()).unwrap_or_default();
        // Retention or `DeleteRecords` may have removed sources while the new segments were
        // written.
        let is_same = |(current, source): (&SegmentMeta, &SegmentMeta)| current.is_file(source);
        let in_force = current.len() == sources.len() && current.iter().zip(sources).all(is_same);
        if state.deleted || !in_force {
            return None;
        }
        state.segments.splice(..sources.len(), written.to_vec());
        state.cleaned_to = end;
        // Readers that located a source segment before this point see the change and repeat.
        state.replacements += 1;
        let compacted_to = sources.last().map(|last| last.next_offset);
        state.read_from_segments(compacted_to.unwrap_or_default());
        drop(state);
        let paths = sources
            .iter()
            .map(|source| source.path(&self.partition.dir));
        lock(&self.shared.garbage).segments.extend(paths);
        let bytes = |segments: &[SegmentMeta]| segments.iter().map(|segment| segment.bytes).sum();
        Some(Compacted {
            bytes_before: bytes(sources),
            bytes_after: bytes(written),
        })
    }

    /// Postpones compaction until the partition has another segment, because an earlier attempt
    /// would fail at the same batch again.
    fn hold(&self, failure: &Failure) {
        let mut state = self.partition.state();
        if state.deleted {
            return;
        }
        state.compaction_held_at = state.segments.last().map(|active| active.base_offset);
        drop(state);
        let partition = self.partition.tp;
        tracing::warn!(%partition, %failure, "compaction postponed until the next segment");
    }

    /// Removes the files of an unsuccessful compaction, and the directory of a partition that was
    /// deleted meanwhile.
    fn discard(&self) {
        let disk = &self.shared.disk;
        for path in &self.created {
            for path in [index_path(path), path.clone()] {
                // A file that remains is removed like one of a crashed process.
                drop(disk.remove_file(&path));
            }
        }
        if self.partition.state().deleted {
            drop(disk.remove_dir(&self.partition.dir));
        }
    }
}

fn note(
    latest: &mut Latest,
    decompressor: &mut Decompressor,
    batch: &[u8],
) -> Result<(), BadBatch> {
    let header = BatchHeader::parse(batch)?;
    if rewrite::is_open(&header) {
        let section = batch.get(HEADER_BYTES..).unwrap_or_default();
        let section = decompressor.decompress(header.codec()?, section, Limits::STORED)?;
        for record in RecordIter::new(section, header.record_count) {
            let record = record?;
            if let Some(key) = record.key {
                let offset = header.base_offset.plus(i64::from(record.offset_delta));
                latest.note(key, offset);
            }
        }
    }
    latest.noted_to(header.next_offset());
    Ok(())
}

/// A segment being written.
struct Output {
    meta: SegmentMeta,
    file: Option<Arc<SegmentFile>>,
    written: u64,
    buffer: Vec<u8>,
}

impl Output {
    fn new(first: &SegmentMeta, generation: crate::segment::Generation) -> Self {
        Self {
            meta: SegmentMeta {
                generation,
                ..SegmentMeta::new(first.base_offset)
            },
            file: None,
            written: 0,
            buffer: Vec::new(),
        }
    }

    fn push(&mut self, batch: &Bytes) -> Result<(), BadBatch> {
        let header = BatchHeader::parse(batch)?;
        let bytes = batch.len() as u64;
        let (base, next) = (header.base_offset, header.next_offset());
        self.meta.note(base, next, bytes, header.max_timestamp);
        let horizons = [self.meta.delete_horizon, delete_horizon(&header)];
        self.meta.delete_horizon = horizons.into_iter().flatten().min();
        self.buffer.extend_from_slice(batch);
        Ok(())
    }
}

/// Reads the batches of a segment in chunks.
struct Batches<'a> {
    partition: &'a Partition,
    meta: &'a SegmentMeta,
    file: Arc<SegmentFile>,
    at: Offset,
}

impl<'a> Batches<'a> {
    fn open(
        shared: &Shared,
        partition: &'a Partition,
        meta: &'a SegmentMeta,
        at: Offset,
    ) -> Result<Self, ReadError> {
        let disk = &*shared.disk;
        let mode = OpenMode::Existing;
        let file = shared.file_cache.segment(disk, partition, meta, mode)?;
        Ok(Self {
            partition,
            meta,
            file,
            at,
        })
    }

    /// Returns the next batches; none at the end of the segment.
    fn next_chunk(&mut self) -> Result<Vec<Bytes>, ReadError> {
        let gaps = {
            let state = self.partition.state();
            self.at = state.past_skipped(self.at);
            state.gaps()
        };
        let end = self.meta.next_offset;
        if self.at >= end {
            return Ok(Vec::new());
        }
        let batches = self
            .file
            .read(self.meta, &gaps, self.at, end, CHUNK_BYTES)?;
        let last = batches.last().map(|batch| BatchHeader::parse(batch));
        self.at = match last {
            Some(Ok(header)) => header.next_offset(),
            Some(Err(_)) | None => end,
        };
        Ok(batches)
    }
}
