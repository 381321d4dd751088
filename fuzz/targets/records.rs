//! Record batches: headers, iteration, stamps.
#![no_main]

use avouch_fuzz::records;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| records::check(bytes));
