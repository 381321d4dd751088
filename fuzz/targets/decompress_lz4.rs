//! LZ4 frames.
#![no_main]

use avouch_fuzz::decompress;
use avouch_protocol::batch::Codec;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| decompress::check(Codec::Lz4, &[], bytes));
