//! Invariants of decompression: the limit holds, no state remains from an earlier batch, and
//! compressed data round-trip.

use std::cell::RefCell;

use avouch_protocol::batch::Codec;
use avouch_protocol::compress::{DecompressError, Decompressor, Limits, compress};
use avouch_protocol::section::PADDING_BYTES;

/// Small limits, so that the fuzzer reaches them.
const LIMITS: Limits = Limits {
    max_bytes: 64 << 10,
    ratio: 20,
    ratio_free_bytes: 4 << 10,
};

/// Decompresses `head` and `bytes` as the records of one batch and checks the invariants.
///
/// # Panics
/// Panics if an invariant is violated.
pub fn check(codec: Codec, head: &[u8], bytes: &[u8]) {
    thread_local! {
        static USED: RefCell<Decompressor> = RefCell::default();
    }
    let compressed = [head, bytes].concat();
    let mut fresh = Decompressor::new();
    let found = decompressed(&mut fresh, codec, &compressed, LIMITS);
    let cap = LIMITS.cap(compressed.len());
    if let Ok(section) = &found {
        assert!(section.len() <= cap, "{} of {cap} bytes", section.len());
    }
    // A decompressor that has processed other batches must return the same result.
    let again = USED.with_borrow_mut(|used| decompressed(used, codec, &compressed, LIMITS));
    assert_eq!(again, found, "state of an earlier batch");
    let packed = compress(codec, bytes);
    let unpacked = decompressed(&mut fresh, codec, &packed, Limits::default());
    assert_eq!(unpacked.as_deref(), Ok(bytes), "{packed:02x?}");
}

fn decompressed(
    decompressor: &mut Decompressor,
    codec: Codec,
    compressed: &[u8],
    limits: Limits,
) -> Result<Vec<u8>, DecompressError> {
    let section = decompressor.decompress(codec, compressed, limits)?;
    assert_eq!(section.memory()[section.len()..], [0; PADDING_BYTES]);
    Ok(section.to_vec())
}
