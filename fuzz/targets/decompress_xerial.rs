//! Snappy in xerial framing, after its header.
#![no_main]

use avouch_fuzz::decompress;
use avouch_protocol::batch::Codec;
use libfuzzer_sys::fuzz_target;

const HEADER: &[u8] = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";

fuzz_target!(|bytes: &[u8]| decompress::check(Codec::Snappy, HEADER, bytes));
