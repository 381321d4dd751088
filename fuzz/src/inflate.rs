//! Laws of decompression: its cap holds, nothing is left over from the batch before, and what we
//! compress comes back.

use std::cell::RefCell;

use avouch_protocol::batch::Codec;
use avouch_protocol::compress::{Decompressor, InflateError, Limits, compress};
use avouch_protocol::section::SLACK_BYTES;

/// Small, so that a fuzzer reaches them.
const LIMITS: Limits = Limits {
    max_bytes: 64 << 10,
    ratio: 20,
    ratio_free_bytes: 4 << 10,
};

/// Inflates `head` and `bytes` as one batch's records.
///
/// # Panics
/// When a law is broken.
pub fn keeps_its_laws(codec: Codec, head: &[u8], bytes: &[u8]) {
    thread_local! {
        static USED: RefCell<Decompressor> = RefCell::default();
    }
    let compressed = [head, bytes].concat();
    let mut fresh = Decompressor::new();
    let found = inflated(&mut fresh, codec, &compressed, LIMITS);
    let cap = LIMITS.cap(compressed.len());
    if let Ok(section) = &found {
        assert!(section.len() <= cap, "{} of {cap} bytes", section.len());
    }
    let again = USED.with_borrow_mut(|used| inflated(used, codec, &compressed, LIMITS));
    assert_eq!(again, found, "what was inflated before shows");
    let packed = compress(codec, bytes);
    let unpacked = inflated(&mut fresh, codec, &packed, Limits::default());
    assert_eq!(unpacked.as_deref(), Ok(bytes), "{packed:02x?}");
}

fn inflated(
    decompressor: &mut Decompressor,
    codec: Codec,
    compressed: &[u8],
    limits: Limits,
) -> Result<Vec<u8>, InflateError> {
    let section = decompressor.inflate(codec, compressed, limits)?;
    assert_eq!(section.memory()[section.len()..], [0; SLACK_BYTES]);
    Ok(section.to_vec())
}
