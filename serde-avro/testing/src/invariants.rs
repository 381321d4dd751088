//! Invariants of every schema, pair of schemas and datum. The functions panic where one does not
//! hold and show the input.

use crate::resolution::resolve;
use avouch_avro::Schema;
use avouch_avro::diff::{self, Change};
use avouch_avro::schema::Site;
use avouch_avro::validator::Validator;

/// Checks a schema string: it is rejected at a position within it, or the schema round-trips
/// through every string form and compiles. Returns the schema.
///
/// # Panics
/// If an invariant does not hold.
#[must_use]
pub fn check_source(source: &str) -> Option<Schema> {
    let schema = match Schema::parse(source) {
        Ok(schema) => schema,
        Err(error) => {
            assert!(error.line() <= source.split('\n').count(), "{source}");
            assert!(!error.message().is_empty(), "{source}");
            return None;
        }
    };
    let parse = |printed: &str| {
        Schema::parse(printed).unwrap_or_else(|error| panic!("{source}\n{printed}: {error}"))
    };
    let printed = parse(&schema.to_string());
    assert_eq!(printed, schema);
    assert_eq!(printed.rabin_fingerprint(), schema.rabin_fingerprint());
    let normalized = parse(&schema.to_normalized_string());
    // Java prints an alias without namespace by its simple name, also within a namespace, where it
    // parses as another alias. The aliases may then be sorted differently the second time.
    let twice = parse(&normalized.to_normalized_string());
    assert_eq!(
        twice.to_normalized_string(),
        normalized.to_normalized_string()
    );
    assert_eq!(sorted(&normalized), sorted(&schema), "{source}");
    assert!(Validator::compile(&schema).is_ok(), "{source}");
    Some(schema)
}

fn sorted(schema: &Schema) -> Vec<u8> {
    let mut bytes = schema.to_normalized_string().into_bytes();
    bytes.sort_unstable();
    bytes
}

/// Checks two versions of a schema: the changes break new readers exactly if the new schema cannot
/// read the old one's data, old readers exactly if the old schema cannot read the new one's, and
/// all sites are within their sources. Returns the changes, or `None` if the schemas exceed the
/// budget.
///
/// # Panics
/// If an invariant does not hold.
pub fn check_pair(old: &Schema, new: &Schema) -> Option<Vec<Change>> {
    let (backward, forward) = (new.can_read(old).ok()?, old.can_read(new).ok()?);
    let show = || format!("{}\n{}", old.source(), new.source());
    let changes = diff::between(old, new).unwrap_or_else(|error| panic!("{error}: {}", show()));
    let breaks = (
        changes.iter().any(|change| change.breaks.new_readers),
        changes.iter().any(|change| change.breaks.old_readers),
    );
    let incompatible = (!backward.is_compatible(), !forward.is_compatible());
    assert_eq!(breaks, incompatible, "{}: {changes:#?}", show());
    for change in &changes {
        check_site(old, &change.old);
        check_site(new, &change.new);
    }
    for finding in backward.findings() {
        check_site(new, finding.reader());
        check_site(old, finding.writer());
        assert!(!finding.suggestion().is_empty(), "{}", show());
    }
    Some(changes)
}

/// Checks that a site has bytes in the schema's source.
fn check_site(schema: &Schema, site: &Site) {
    let bytes = schema.source().get(site.span.range());
    assert!(bytes.is_some_and(|bytes| !bytes.is_empty()), "{site:?}");
}

/// Checks that the reader's schema, if it is compatible with the writer's, decodes a valid datum of
/// the writer's schema. Returns whether there was a datum to decode.
///
/// # Panics
/// If the datum does not decode.
pub fn check_datum(reader: &Schema, writer: &Schema, datum: &[u8]) -> bool {
    let is_valid = |validator: Validator| validator.validate(datum).is_ok();
    let compatible = reader
        .can_read(writer)
        .is_ok_and(|found| found.is_compatible());
    let applies = compatible && Validator::compile(writer).is_ok_and(is_valid);
    if applies {
        let outcome = resolve(reader, writer, datum);
        assert_eq!(outcome, Ok(()), "{}\n{}", reader.source(), writer.source());
    }
    applies
}
