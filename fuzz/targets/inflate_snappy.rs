//! Raw snappy batches.
#![no_main]

use avouch_fuzz::inflate;
use avouch_protocol::batch::Codec;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| inflate::keeps_its_laws(Codec::Snappy, &[], bytes));
