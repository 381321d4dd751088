//! The validator's fast form against its safe one, at every level of instructions.
#![no_main]

use avouch_fuzz::datum;
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    if datum::forms_agree(bytes) {
        Corpus::Keep
    } else {
        Corpus::Reject
    }
});
