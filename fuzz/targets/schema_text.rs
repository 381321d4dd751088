//! Schema strings: rejected at a position, or a schema that round-trips through every string form.
#![no_main]

use avouch_fuzz::model;
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    if model::check_schema_string(bytes) {
        Corpus::Keep
    } else {
        Corpus::Reject
    }
});
