//! The validator against the reference decoder: result, reason, path and offset.
#![no_main]

use avouch_fuzz::datum;
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    if datum::check_against_reference_decoder(bytes) {
        Corpus::Keep
    } else {
        Corpus::Reject
    }
});
