//! Pairs of schemas: the relation, the changes and resolution agree.
#![no_main]

use avouch_fuzz::model;
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    if model::pair_keeps_its_promises(bytes) {
        Corpus::Keep
    } else {
        Corpus::Reject
    }
});
