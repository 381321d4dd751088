//! What every text and every pair of schemas must keep to, however odd. Each panics where one does
//! not, and shows it.

use crate::resolve::resolve;
use avouch_avro::validator::Validator;
use avouch_avro::{Schema, diff};

/// A text is refused at a place within it, or its schema round-trips in every form and compiles.
pub(crate) fn of_text(text: &str) -> Option<Schema> {
    let schema = match Schema::parse(text) {
        Ok(schema) => schema,
        Err(error) => {
            assert!(error.line() <= text.split('\n').count(), "{text}");
            assert!(!error.message().is_empty(), "{text}");
            return None;
        }
    };
    let again =
        |form: &str| Schema::parse(form).unwrap_or_else(|error| panic!("{text}\n{form}: {error}"));
    let canonical = again(&schema.to_string());
    assert_eq!(canonical.to_string(), schema.to_string());
    assert_eq!(canonical.rabin_fingerprint(), schema.rabin_fingerprint());
    let normalized = again(&schema.to_normalized_string());
    // An alias that has no namespace is written short, as by Java, also where it reads as one of
    // the namespace around it: then the order of aliases may be another the second time.
    let twice = again(&normalized.to_normalized_string());
    assert_eq!(
        twice.to_normalized_string(),
        normalized.to_normalized_string()
    );
    assert_eq!(sorted(&normalized), sorted(&schema), "{text}");
    assert!(Validator::compile(&schema).is_ok(), "{text}");
    Some(schema)
}

fn sorted(schema: &Schema) -> Vec<u8> {
    let mut bytes = schema.to_normalized_string().into_bytes();
    bytes.sort_unstable();
    bytes
}

/// Changes break exactly whom the relation says, and findings point into their texts. Answers
/// whether there was a verdict.
pub(crate) fn of_pair(old: &Schema, new: &Schema) -> bool {
    let (Ok(backward), Ok(forward)) = (new.can_read(old), old.can_read(new)) else {
        return false;
    };
    let show = || format!("{}\n{}", old.source(), new.source());
    let changes = diff::between(old, new).unwrap_or_else(|error| panic!("{error}: {}", show()));
    let breaks = (
        changes.iter().any(|change| change.breaks.new_readers),
        changes.iter().any(|change| change.breaks.old_readers),
    );
    assert_eq!(
        breaks,
        (!backward.is_compatible(), !forward.is_compatible()),
        "{}",
        show()
    );
    for finding in backward.findings() {
        assert!(new.source().get(finding.reader().span.range()).is_some());
        assert!(old.source().get(finding.writer().span.range()).is_some());
        assert!(!finding.suggestion().is_empty(), "{}", show());
    }
    true
}

/// What is compatible decodes: a datum of the writer's schema, if it is one, is read by a reader's
/// that may.
pub(crate) fn of_datum(reader: &Schema, writer: &Schema, datum: &[u8]) {
    let is_valid = |validator: Validator| validator.validate(datum).is_ok();
    let compatible = reader
        .can_read(writer)
        .is_ok_and(|found| found.is_compatible());
    if compatible && Validator::compile(writer).is_ok_and(is_valid) {
        let outcome = resolve(reader, writer, datum);
        assert_eq!(outcome, Ok(()), "{}\n{}", reader.source(), writer.source());
    }
}
