//! Request frames of every API and version.
#![no_main]

use avouch_fuzz::frames;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| frames::check_request(bytes));
