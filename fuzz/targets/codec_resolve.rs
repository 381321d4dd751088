//! Data of a writer's schema: the resolved data are valid under the reader's schema.
#![no_main]

use avouch_fuzz::codec;
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    if codec::check_resolve(bytes) {
        Corpus::Keep
    } else {
        Corpus::Reject
    }
});
