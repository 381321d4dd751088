//! The validator's fast interpreter against its reference interpreter, at every instruction level.
#![no_main]

use avouch_fuzz::datum;
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    if datum::check_interpreters(bytes) {
        Corpus::Keep
    } else {
        Corpus::Reject
    }
});
