//! Pairs of schemas: compatibility, changes and resolution agree.
#![no_main]

use avouch_fuzz::model;
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    if model::check_schema_pair(bytes) {
        Corpus::Keep
    } else {
        Corpus::Reject
    }
});
