//! Invariants of the schema model: of a schema string, and of two schemas with a datum.

use std::str;

use avouch_avro_testing::invariants;

use crate::schema;

/// Checks a schema string: it is rejected, or its schema round-trips through every string form.
/// Returns whether the bytes are a schema.
pub fn check_schema_string(bytes: &[u8]) -> bool {
    str::from_utf8(bytes).is_ok_and(|source| invariants::check_source(source).is_some())
}

/// Checks that compatibility, changes and resolution agree on two schemas, read from the start of
/// `bytes`, and a datum of the first one, which is the rest. Returns whether the bytes are two
/// schemas that can be compared.
pub fn check_schema_pair(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    let (Some(old), Some(new)) = (schema::take(&mut rest), schema::take(&mut rest)) else {
        return false;
    };
    invariants::check_datum(&new, &old, rest);
    invariants::check_pair(&old, &new).is_some()
}
