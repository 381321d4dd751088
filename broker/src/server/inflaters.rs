//! Reused decompression buffers: as many as batches were ever inflated at the same time.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use crate::wire::compress::Decompressor;

/// Buffers kept for reuse; more are made when needed and dropped afterwards.
const KEPT_MAX: usize = 8;
/// A buffer that grew beyond this is not kept, in bytes.
const KEPT_BYTES_MAX: usize = 4 << 20;

/// A pool of decompressors.
#[derive(Debug, Default)]
pub(crate) struct Inflaters {
    idle: Mutex<Vec<Decompressor>>,
}

/// A decompressor on loan.
#[derive(Debug)]
pub(crate) struct Inflater<'a> {
    pool: &'a Inflaters,
    /// Present until the loan ends.
    inner: Option<Decompressor>,
}

impl Inflaters {
    /// Lends a decompressor until the loan is dropped.
    pub(crate) fn take(&self) -> Inflater<'_> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        Inflater {
            pool: self,
            inner: Some(idle.unwrap_or_default()),
        }
    }
}

impl Deref for Inflater<'_> {
    type Target = Decompressor;

    fn deref(&self) -> &Decompressor {
        self.inner.as_ref().expect("present until dropped")
    }
}

impl DerefMut for Inflater<'_> {
    fn deref_mut(&mut self) -> &mut Decompressor {
        self.inner.as_mut().expect("present until dropped")
    }
}

impl Drop for Inflater<'_> {
    fn drop(&mut self) {
        let mut idle = self
            .pool
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let has_room = idle.len() < KEPT_MAX;
        let inner = self.inner.take();
        idle.extend(inner.filter(|inner| has_room && inner.buffer_bytes() <= KEPT_BYTES_MAX));
    }
}
