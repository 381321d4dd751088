//! Reads batches for consumers from the cheapest source that has them: memory, a range of a segment
//! file that the kernel can send, or a segment file read on a blocking thread.
//!
//! Invariant: batches that were read and not yet dropped hold at most the configured bytes, plus
//! one batch for each reader.

use std::sync::Arc;

use avouch_log::{Bounds, Log, ReadError, ReadResult};
use avouch_net::{MemoryPermit, MemoryPool};
use avouch_protocol::batch::BatchHeader;
use avouch_protocol::chunk::Chunk;
use avouch_protocol::types::{Offset, TopicPartition};
use bytes::Bytes;

use crate::config::Limits;

/// Memory reserved for a file range, in bytes: it uses none, but keeps its file open.
const FILE_RANGE_BYTES: usize = 64 << 10;

/// The read path of the log.
#[derive(Debug)]
pub(crate) struct LogReader {
    log: Log,
    /// Batches read from memory, which cannot be freed while a response holds them.
    hot_memory: MemoryPool,
    /// Batches read from files.
    cold_memory: MemoryPool,
}

/// Complete batches of a partition.
pub(crate) struct Batches {
    /// The batches, in memory or in a file.
    pub(crate) chunks: Vec<Chunk>,
    /// The offset after them; `None` if there are none.
    pub(crate) next: Option<Offset>,
    /// Offsets of the partition when the read started.
    pub(crate) bounds: Bounds,
}

impl LogReader {
    pub(crate) fn new(log: Log, limits: &Limits) -> Self {
        Self {
            log,
            hot_memory: MemoryPool::new(limits.hot_read_bytes_max),
            cold_memory: MemoryPool::new(limits.cold_read_bytes_max),
        }
    }

    /// Returns the batch that contains `from` and those after it, up to `bytes_max` bytes. The
    /// first batch may exceed the limit. Returns one batch only when too many batches are read and
    /// not yet sent.
    ///
    /// # Errors
    /// As [`Log::read`].
    pub(crate) async fn read(
        &self,
        target: TopicPartition,
        from: Offset,
        bytes_max: usize,
    ) -> Result<Batches, ReadError> {
        if self.log.is_resident(target, from) {
            return self.read_resident(target, from, bytes_max);
        }
        match self.file_range(target, from, bytes_max) {
            Some(range) => Ok(range),
            None => self.read_file(target, from, bytes_max).await,
        }
    }

    fn read_resident(
        &self,
        target: TopicPartition,
        from: Offset,
        bytes_max: usize,
    ) -> Result<Batches, ReadError> {
        let mut read = self.log.read(target, from, bytes_max)?;
        let bytes = read.batches.iter().map(Bytes::len).sum();
        // No memory is copied, so it is reserved after the read, when its size is known.
        match self.hot_memory.try_reserve(bytes) {
            Some(permit) => hold_in_last(&mut read.batches, permit),
            None => read.batches.truncate(1),
        }
        Ok(read.into())
    }

    /// Returns a range of a segment file if its bytes are verified and cached by the kernel.
    fn file_range(
        &self,
        target: TopicPartition,
        from: Offset,
        bytes_max: usize,
    ) -> Option<Batches> {
        // The permit bounds the open files. Without it the caller reads one batch instead.
        let mut found = self.log.file_range(target, from, bytes_max)?;
        let permit = self.cold_memory.try_reserve(FILE_RANGE_BYTES)?;
        found.range.held = Some(Arc::new(permit));
        Some(Batches {
            chunks: vec![Chunk::File(found.range)],
            next: Some(found.next),
            bounds: found.bounds,
        })
    }

    async fn read_file(
        &self,
        target: TopicPartition,
        from: Offset,
        bytes_max: usize,
    ) -> Result<Batches, ReadError> {
        // Reserved before it is read. With a limit of 0 the log returns one batch.
        let permit = self.cold_memory.try_reserve(bytes_max);
        let bytes_max = permit.as_ref().map_or(0, |_| bytes_max);
        let log = self.log.clone();
        let mut read = tokio::task::spawn_blocking(move || log.read(target, from, bytes_max))
            .await
            .map_err(|error| ReadError::Io(std::io::Error::other(error)))??;
        if let Some(permit) = permit {
            read.batches = hold_in_each(read.batches, permit);
        }
        Ok(read.into())
    }
}

impl From<ReadResult> for Batches {
    fn from(read: ReadResult) -> Self {
        let last = read.batches.last();
        let last = last.and_then(|batch| BatchHeader::parse(batch).ok());
        Self {
            next: last.map(|last| last.next_offset()),
            chunks: read.batches.into_iter().map(Chunk::from).collect(),
            bounds: read.bounds,
        }
    }
}

/// A batch that holds a memory permit until it is dropped.
struct Reserved {
    batch: Bytes,
    _permit: Arc<MemoryPermit>,
}

impl AsRef<[u8]> for Reserved {
    fn as_ref(&self) -> &[u8] {
        &self.batch
    }
}

/// Returns the batches, which together hold their part of `permit` until the last is dropped.
fn hold_in_each(batches: Vec<Bytes>, mut permit: MemoryPermit) -> Vec<Bytes> {
    // The permit covers the requested maximum, of which the read may have used a part only.
    drop(permit.split(batches.iter().map(Bytes::len).sum()));
    let permit = Arc::new(permit);
    batches
        .into_iter()
        .map(|batch| reserved(batch, Arc::clone(&permit)))
        .collect()
}

/// Attaches the permit of all batches to the last one, which is sent last: one allocation instead
/// of one for each batch.
fn hold_in_last(batches: &mut [Bytes], permit: MemoryPermit) {
    if let Some(last) = batches.last_mut() {
        *last = reserved(std::mem::take(last), Arc::new(permit));
    }
}

fn reserved(batch: Bytes, permit: Arc<MemoryPermit>) -> Bytes {
    Bytes::from_owner(Reserved {
        batch,
        _permit: permit,
    })
}
