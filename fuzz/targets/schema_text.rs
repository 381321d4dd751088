//! Schema texts: refused at a place, or a schema that round-trips in every form.
#![no_main]

use avouch_fuzz::model;
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    if model::text_keeps_its_promises(bytes) {
        Corpus::Keep
    } else {
        Corpus::Reject
    }
});
