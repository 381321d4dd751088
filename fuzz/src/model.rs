//! Laws of the schema model: of a text, and of a pair of schemas with a datum.

use std::str;

use crate::{promises, schema};

/// A text is refused, or round-trips in every form. Answers whether it is a schema.
pub fn text_keeps_its_promises(bytes: &[u8]) -> bool {
    str::from_utf8(bytes).is_ok_and(|text| promises::of_text(text).is_some())
}

/// Two schemas, and behind them a datum of the first: the relation, the changes and resolution
/// agree. Answers whether the bytes came to two schemas with a verdict.
pub fn pair_keeps_its_promises(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    let (Some(old), Some(new)) = (schema::take(&mut rest), schema::take(&mut rest)) else {
        return false;
    };
    promises::of_datum(&new, &old, rest);
    promises::of_pair(&old, &new)
}
