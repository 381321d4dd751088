//! Snappy in xerial's frames, behind their header.
#![no_main]

use avouch_fuzz::inflate;
use avouch_protocol::batch::Codec;
use libfuzzer_sys::fuzz_target;

const HEADER: &[u8] = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";

fuzz_target!(|bytes: &[u8]| inflate::keeps_its_laws(Codec::Snappy, HEADER, bytes));
