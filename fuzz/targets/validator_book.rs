//! The validator against a decoder by the book: verdict, reason, path and offset.
#![no_main]

use avouch_fuzz::datum;
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    if datum::agrees_with_the_book(bytes) {
        Corpus::Keep
    } else {
        Corpus::Reject
    }
});
