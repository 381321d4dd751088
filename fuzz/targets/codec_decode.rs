//! Data of a schema: decoding agrees with the validator.
#![no_main]

use avouch_fuzz::codec;
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    if codec::check_decode(bytes) {
        Corpus::Keep
    } else {
        Corpus::Reject
    }
});
