//! Decompression for checks: reused buffers, a few decoders at a time, a bound on what they hold.
//!
//! Invariant: inflated batches that wait for their verdict hold at most the bytes they were given,
//! plus one batch a decoder. A batch may wait for the registry while it is inflated, and there may
//! be as many such batches as there are connections.

use std::sync::{Mutex, PoisonError};

use avouch_net::{MemoryPermit, MemoryPool};
use avouch_protocol::batch::Codec;
use avouch_protocol::compress::{Decompressor, InflateError, Limits};
use avouch_protocol::section::Section;
use tokio::sync::Semaphore;

use crate::compute;

/// Buffers kept for reuse; more are made when needed and dropped afterwards.
const KEPT_MAX: usize = 8;
/// A buffer that grew beyond this is not kept, in bytes.
const KEPT_BYTES_MAX: usize = 4 << 20;

/// What is inflated where it is, in compressed bytes: a quarter of what is checked there, which
/// it inflates to as a rule.
const INLINE_BYTES_MAX: usize = compute::INLINE_BYTES_MAX / 4;

/// A pool of decompressors.
#[derive(Debug)]
pub(crate) struct Inflaters {
    idle: Mutex<Vec<Decompressor>>,
    decoders: Semaphore,
    held: MemoryPool,
}

/// The records section of a batch as it is behind its codec.
#[derive(Debug)]
pub(crate) enum Inflated<'a> {
    /// There is no codec: the batch's own bytes.
    Stored(Section<'a>),
    /// In a buffer on loan.
    Lent(Loan<'a>),
}

/// A buffer on loan, counted until it is dropped.
#[derive(Debug)]
pub(crate) struct Loan<'a> {
    pool: &'a Inflaters,
    /// Present until the loan ends.
    buffer: Option<Decompressor>,
    _held: MemoryPermit,
}

impl Inflaters {
    /// A pool in which `decoders` batches inflate at a time, and inflated ones hold up to
    /// `held_bytes_max`.
    pub(crate) fn new(decoders: usize, held_bytes_max: usize) -> Self {
        Self {
            idle: Mutex::default(),
            decoders: Semaphore::new(decoders),
            held: MemoryPool::new(held_bytes_max),
        }
    }

    /// The section that `compressed` stands for, counted until it is dropped. Waits for a decoder
    /// and for room.
    ///
    /// # Errors
    /// As [`Decompressor::inflate`].
    pub(crate) async fn inflate<'a>(
        &'a self,
        codec: Codec,
        compressed: Section<'a>,
        limits: Limits,
    ) -> Result<Inflated<'a>, InflateError> {
        if codec == Codec::None {
            return Decompressor::new()
                .inflate(codec, compressed, limits)
                .map(|_| Inflated::Stored(compressed));
        }
        let _decoder = self.decoders.acquire().await;
        let mut buffer = self.idle().pop().unwrap_or_default();
        let inflated = if compressed.bytes().len() > INLINE_BYTES_MAX {
            compute::apart(|| buffer.inflate(codec, compressed, limits).map(drop))
        } else {
            buffer.inflate(codec, compressed, limits).map(drop)
        };
        if let Err(error) = inflated {
            self.keep(buffer);
            return Err(error);
        }
        let held = self.held.reserve(buffer.buffer_bytes()).await;
        Ok(Inflated::Lent(Loan {
            pool: self,
            buffer: Some(buffer),
            _held: held,
        }))
    }

    /// Keeps a buffer for the next batch, if there is room.
    fn keep(&self, buffer: Decompressor) {
        let mut idle = self.idle();
        if idle.len() < KEPT_MAX && buffer.buffer_bytes() <= KEPT_BYTES_MAX {
            idle.push(buffer);
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Decompressor>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inflated<'_> {
    /// The records.
    pub(crate) fn section(&self) -> Section<'_> {
        match self {
            Self::Stored(section) => *section,
            Self::Lent(loan) => {
                let buffer = loan.buffer.as_ref().expect("present until dropped");
                buffer.inflated()
            }
        }
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            self.pool.keep(buffer);
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
    fn inflated_batches_wait_for_room() {
        let pool = Inflaters::new(2, 1 << 20);
        let section = compressed(700_000);
        let inflate = || pool.inflate(Codec::Lz4, Section::from(&section), Limits::default());
        let first = inflate().now_or_never().expect("there is room").unwrap();
        assert!(first.section().len() > 700_000);
        assert!(inflate().now_or_never().is_none(), "one more is too many");
        drop(first);
        assert!(inflate().now_or_never().is_some());
    }

    // Conformance: broker/input-5b
    #[test]
    fn a_batch_larger_than_all_room_passes_alone() {
        let pool = Inflaters::new(1, 1 << 10);
        let section = compressed(700_000);
        let inflated = pool.inflate(Codec::Lz4, Section::from(&section), Limits::default());
        assert!(inflated.now_or_never().expect("it is alone").is_ok());
    }

    #[test]
    fn what_has_no_codec_takes_no_room() {
        let pool = Inflaters::new(0, 0);
        let section = pool.inflate(Codec::None, Section::from(b"as it is"), Limits::default());
        let section = section.now_or_never().expect("nothing to wait for");
        assert_eq!(section.unwrap().section().bytes(), b"as it is");
    }

    // Conformance: validator/3b
    #[test]
    fn a_buffer_that_came_back_is_lent_again() {
        let pool = Inflaters::new(1, 1 << 30);
        let place = |bytes| {
            let section = compressed(bytes);
            let inflated = pool.inflate(Codec::Lz4, Section::from(&section), Limits::default());
            let inflated = inflated.now_or_never().expect("there is room").unwrap();
            inflated.section().as_ptr()
        };
        assert_eq!(place(100_000), place(90_000), "no new buffer was made");
    }

    // Conformance: validator/3b
    #[test]
    fn a_buffer_comes_back_also_when_a_batch_is_corrupt() {
        let pool = Inflaters::new(1, 1 << 30);
        let section = compressed(100_000);
        let inflate = |section| {
            let inflated = pool.inflate(Codec::Lz4, section, Limits::default());
            inflated.now_or_never().expect("there is room")
        };
        let buffer = |section| inflate(section).unwrap().section().as_ptr();
        let first = buffer(Section::from(&section));
        let cut = Section::from(&section[..section.len() - 1]);
        assert_eq!(inflate(cut).err(), Some(InflateError::Corrupt));
        assert_eq!(pool.idle().len(), 1);
        assert_eq!(
            buffer(Section::from(&section)),
            first,
            "no new one was made"
        );
    }

    // Conformance: validator/3b
    #[test]
    fn idle_buffers_are_few_and_none_is_large() {
        let pool = Inflaters::new(1, 1 << 30);
        let section = compressed(1_000);
        let limits = Limits {
            ratio: 1_000,
            ..Limits::default()
        };
        let inflate = |section| {
            let inflated = pool.inflate(Codec::Lz4, section, limits);
            inflated.now_or_never().expect("there is room").unwrap()
        };
        let all = || (0..2 * KEPT_MAX).map(|_| inflate(Section::from(&section)));
        drop(all().collect::<Vec<_>>());
        assert_eq!(pool.idle().len(), KEPT_MAX);
        pool.idle().clear();
        drop(inflate(Section::from(&compressed(2 * KEPT_BYTES_MAX))));
        assert!(pool.idle().is_empty());
    }
}
