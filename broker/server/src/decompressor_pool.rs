//! Decompression for checks: reused buffers, a bounded number of decoders, bounded memory.
//!
//! A decompressed batch may wait for the registry, and as many batches may wait as there are
//! connections. Invariant: decompressed batches hold at most the configured bytes in total, plus
//! one batch for each decoder.

use std::sync::{Mutex, MutexGuard, PoisonError};

use avouch_net::{MemoryPermit, MemoryPool};
use avouch_protocol::batch::Codec;
use avouch_protocol::compress::{DecompressError, Decompressor, Limits};
use avouch_protocol::section::Section;
use tokio::sync::Semaphore;

/// Maximum number of idle buffers; others are freed after use.
const IDLE_BUFFERS_MAX: usize = 8;
/// Maximum size of an idle buffer, in bytes; larger ones are freed after use.
const IDLE_BUFFER_BYTES_MAX: usize = 4 << 20;

/// Maximum size of compressed data that is decompressed on the calling thread, in bytes. Data of
/// this size usually decompresses to the size that is also checked on the calling thread.
const INLINE_BYTES_MAX: usize = avouch_compute::INLINE_BYTES_MAX / 4;

/// A pool of decompressors.
#[derive(Debug)]
pub(crate) struct DecompressorPool {
    idle: Mutex<Vec<Decompressor>>,
    decoders: Semaphore,
    memory: MemoryPool,
}

/// The decompressed records of a batch.
#[derive(Debug)]
pub(crate) enum Decompressed<'a> {
    /// The bytes of a batch without compression.
    Stored(Section<'a>),
    /// Bytes in a pooled buffer.
    Pooled(PooledBuffer<'a>),
}

/// A buffer of the pool. Its memory is reserved until it is dropped.
#[derive(Debug)]
pub(crate) struct PooledBuffer<'a> {
    pool: &'a DecompressorPool,
    /// `None` only while it is dropped.
    buffer: Option<Decompressor>,
    _permit: MemoryPermit,
}

impl DecompressorPool {
    /// Creates a pool of up to `decoders` concurrent decompressions whose results hold up to
    /// `bytes_max` bytes.
    pub(crate) fn new(decoders: usize, bytes_max: usize) -> Self {
        Self {
            idle: Mutex::default(),
            decoders: Semaphore::new(decoders),
            memory: MemoryPool::new(bytes_max),
        }
    }

    /// Decompresses the records of a batch. Waits for a decoder and for memory.
    ///
    /// # Errors
    /// As [`Decompressor::decompress`].
    pub(crate) async fn decompress<'a>(
        &'a self,
        codec: Codec,
        compressed: Section<'a>,
        limits: Limits,
    ) -> Result<Decompressed<'a>, DecompressError> {
        if codec == Codec::None {
            // Nothing is allocated, so `max.message.bytes` is the only limit.
            return Ok(Decompressed::Stored(compressed));
        }
        let _decoder = self.decoders.acquire().await;
        let mut buffer = self.idle().pop().unwrap_or_default();
        let decompressed = if compressed.bytes().len() > INLINE_BYTES_MAX {
            avouch_compute::run_blocking(|| buffer.decompress(codec, compressed, limits).map(drop))
        } else {
            buffer.decompress(codec, compressed, limits).map(drop)
        };
        if let Err(error) = decompressed {
            self.recycle(buffer);
            return Err(error);
        }
        // The size is known only now. The decoder is held while waiting for memory, so batches over
        // the limit are at most one for each decoder.
        let permit = self.memory.reserve(buffer.buffer_bytes()).await;
        Ok(Decompressed::Pooled(PooledBuffer {
            pool: self,
            buffer: Some(buffer),
            _permit: permit,
        }))
    }

    /// Keeps a buffer for the next batch unless it is large or there are enough.
    fn recycle(&self, buffer: Decompressor) {
        let mut idle = self.idle();
        if idle.len() < IDLE_BUFFERS_MAX && buffer.buffer_bytes() <= IDLE_BUFFER_BYTES_MAX {
            idle.push(buffer);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Decompressor>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Decompressed<'_> {
    /// Returns the records.
    pub(crate) fn section(&self) -> Section<'_> {
        match self {
            Self::Stored(section) => *section,
            Self::Pooled(pooled) => {
                let buffer = pooled.buffer.as_ref().expect("present until dropped");
                buffer.decompressed()
            }
        }
    }
}

impl Drop for PooledBuffer<'_> {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            self.pool.recycle(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use avouch_protocol::batch::HEADER_BYTES;
    use avouch_protocol::builder::BatchBuilder;
    use avouch_protocol::types::TimestampMs;
    use futures_util::FutureExt as _;

    use super::*;

    fn compressed(bytes: usize) -> bytes::Bytes {
        let mut batch = BatchBuilder::new(Codec::Lz4);
        batch.push(None, Some(&vec![b'x'; bytes]), TimestampMs(0), &[]);
        batch.finish().slice(HEADER_BYTES..)
    }

    // Conformance: broker/input-5b
    #[test]
    fn decompressed_batches_wait_for_memory() {
        let pool = DecompressorPool::new(2, 1 << 20);
        let section = compressed(700_000);
        let decompress = || pool.decompress(Codec::Lz4, Section::from(&section), Limits::default());
        let first = decompress()
            .now_or_never()
            .expect("memory is available")
            .unwrap();
        assert!(first.section().len() > 700_000);
        assert!(
            decompress().now_or_never().is_none(),
            "the limit is reached"
        );
        drop(first);
        assert!(decompress().now_or_never().is_some());
    }

    // Conformance: broker/input-5b
    #[test]
    fn batch_over_memory_limit_passes_alone() {
        let pool = DecompressorPool::new(1, 1 << 10);
        let section = compressed(700_000);
        let decompressed = pool.decompress(Codec::Lz4, Section::from(&section), Limits::default());
        assert!(
            decompressed
                .now_or_never()
                .expect("no other batch holds memory")
                .is_ok()
        );
    }

    #[test]
    fn uncompressed_batch_reserves_no_memory() {
        let pool = DecompressorPool::new(0, 0);
        let section = pool.decompress(Codec::None, Section::from(b"as it is"), Limits::default());
        let section = section.now_or_never().expect("nothing to wait for");
        assert_eq!(section.unwrap().section().bytes(), b"as it is");
    }

    // Conformance: validator/3b
    #[test]
    fn returned_buffer_is_reused() {
        let pool = DecompressorPool::new(1, 1 << 30);
        let place = |bytes| {
            let section = compressed(bytes);
            let decompressed =
                pool.decompress(Codec::Lz4, Section::from(&section), Limits::default());
            let decompressed = decompressed
                .now_or_never()
                .expect("memory is available")
                .unwrap();
            decompressed.section().as_ptr()
        };
        assert_eq!(place(100_000), place(90_000), "the buffer is reused");
    }

    // Conformance: validator/3b
    #[test]
    fn corrupt_batch_returns_its_buffer() {
        let pool = DecompressorPool::new(1, 1 << 30);
        let section = compressed(100_000);
        let decompress = |section| {
            let decompressed = pool.decompress(Codec::Lz4, section, Limits::default());
            decompressed.now_or_never().expect("memory is available")
        };
        let buffer = |section| decompress(section).unwrap().section().as_ptr();
        let first = buffer(Section::from(&section));
        let cut = Section::from(&section[..section.len() - 1]);
        assert_eq!(decompress(cut).err(), Some(DecompressError::Corrupt));
        assert_eq!(pool.idle().len(), 1);
        assert_eq!(
            buffer(Section::from(&section)),
            first,
            "the buffer is reused"
        );
    }

    // Conformance: validator/3b
    #[test]
    fn idle_buffers_are_bounded() {
        let pool = DecompressorPool::new(1, 1 << 30);
        let section = compressed(1_000);
        let decompress = |section| {
            let decompressed = pool.decompress(Codec::Lz4, section, Limits::default());
            decompressed
                .now_or_never()
                .expect("memory is available")
                .unwrap()
        };
        let all = || (0..2 * IDLE_BUFFERS_MAX).map(|_| decompress(Section::from(&section)));
        drop(all().collect::<Vec<_>>());
        assert_eq!(pool.idle().len(), IDLE_BUFFERS_MAX);
        pool.idle().clear();
        drop(decompress(Section::from(&compressed(
            2 * IDLE_BUFFER_BYTES_MAX,
        ))));
        assert!(pool.idle().is_empty());
    }
}
