//! Invariants of decoding and resolution.

use avouch_avro::codec::DecodeErrorKind;
use avouch_avro::resolution::Resolver;
use avouch_avro::serde::from_slice;
use avouch_avro::validator::{Reason, Validator};
use serde::de::IgnoredAny;

use crate::schema;

/// Checks that a datum of a schema is decoded exactly if it is valid. Returns whether the bytes
/// hold a schema.
pub fn check_decode(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    let Some(schema) = schema::take(&mut rest) else {
        return false;
    };
    let Ok(validator) = Validator::compile(&schema) else {
        return false;
    };
    let outcome = from_slice::<IgnoredAny>(rest, &schema);
    // The decoder also counts levels without bytes, and the stack.
    let is_too_deep = |kind: &DecodeErrorKind| *kind == DecodeErrorKind::Fault(Reason::TooDeep);
    match (validator.validate(rest), outcome) {
        (Ok(()), Err(error)) => assert!(is_too_deep(error.kind()), "{error}: {}", schema.source()),
        (Err(fault), Ok(_)) => panic!("{fault}: {}", schema.source()),
        (Ok(()), Ok(_)) | (Err(_), Err(_)) => {}
    }
    true
}

/// Checks that a resolved datum is valid under the reader's schema. Returns whether the bytes hold
/// two schemas.
pub fn check_resolve(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    let (Some(writer), Some(reader)) = (schema::take(&mut rest), schema::take(&mut rest)) else {
        return false;
    };
    let Ok(resolver) = Resolver::new(&writer, &reader) else {
        return true;
    };
    let Ok(validator) = Validator::compile(&reader) else {
        return false;
    };
    let mut buffer = Vec::new();
    let Ok(resolved) = resolver.resolve(rest, &mut buffer) else {
        return true;
    };
    if resolver.is_identity() {
        return true;
    }
    if let Err(fault) = validator.validate(resolved) {
        // UTF-8 is checked by the decoder of the result; defaults may add levels and items.
        let is_left = matches!(
            fault.reason,
            Reason::BadUtf8 | Reason::TooDeep | Reason::TooComplex
        );
        let (writer, reader) = (writer.source(), reader.source());
        assert!(is_left, "{fault}: {writer} {reader}");
    }
    true
}
