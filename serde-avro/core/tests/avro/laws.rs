//! What must hold for every schema, every evolution of it and every datum.

use crate::random::{self, Random};
use crate::{book, resolve::resolve};
use avouch_avro::compatibility::check;
use avouch_avro::schema::Site;
use avouch_avro::validator::Budget;
use avouch_avro::{Schema, diff};

/// Schemas, each with what it evolved into.
fn evolutions(count: u64) -> impl Iterator<Item = (u64, Schema, Schema)> {
    (0..count).map(|seed| {
        let random = &mut Random::new(seed);
        let old = random::schema(random);
        let new = random::evolve(random, &old);
        (seed, old, new)
    })
}

#[test]
fn what_is_compatible_decodes() {
    let (mut compatible, mut decoded) = (0, 0);
    for (seed, old, new) in evolutions(6_000) {
        for (reader, writer) in [(&new, &old), (&old, &new)] {
            if check(reader, writer) != Ok(Vec::new()) {
                continue;
            }
            compatible += 1;
            let random = &mut Random::new(seed);
            for _ in 0..4 {
                let datum = random::datum(random, writer);
                if book::check(writer, Budget::default(), &datum).is_err() {
                    continue;
                }
                let outcome = resolve(reader, writer, &datum);
                let (reader, writer) = (reader.text(), writer.text());
                assert_eq!(outcome, Ok(()), "{seed}: {reader} reads {writer}");
                decoded += 1;
            }
        }
    }
    assert!(compatible > 4_000, "{compatible}");
    assert!(decoded > 10_000, "{decoded}");
}

#[test]
fn changes_break_exactly_whom_the_relation_says() {
    let (mut broken, mut changed) = (0, 0);
    for (seed, old, new) in evolutions(12_000) {
        let (Ok(backward), Ok(forward)) = (check(&new, &old), check(&old, &new)) else {
            continue;
        };
        let changes = diff::between(&old, &new).unwrap();
        let new_readers = changes.iter().any(|change| change.breaks.new_readers);
        let old_readers = changes.iter().any(|change| change.breaks.old_readers);
        assert_eq!(
            (new_readers, old_readers),
            (!backward.is_empty(), !forward.is_empty()),
            "{seed}: {} to {}: {changes:#?}",
            old.text(),
            new.text()
        );
        broken += usize::from(new_readers) + usize::from(old_readers);
        changed += usize::from(!changes.is_empty());
        for change in changes {
            assert_within(&old, &change.old);
            assert_within(&new, &change.new);
        }
    }
    assert!(broken > 3_000, "{broken}");
    assert!(changed > 6_000, "{changed}");
}

#[test]
fn nothing_changes_between_a_schema_and_itself_however_it_is_written() {
    for (seed, old, new) in evolutions(2_000) {
        for schema in [old, new] {
            let again = Schema::parse(&schema.normalized_text()).unwrap();
            assert_eq!(diff::between(&schema, &again), Ok(Vec::new()), "{seed}");
            assert_eq!(again.normalized_text(), schema.normalized_text(), "{seed}");
        }
    }
}

#[test]
fn findings_stand_within_their_texts() {
    for (_, old, new) in evolutions(2_000) {
        for finding in check(&new, &old).unwrap_or_default() {
            assert_within(&new, finding.reader());
            assert_within(&old, finding.writer());
            assert_ne!(finding.suggestion(), "");
        }
    }
}

fn assert_within(schema: &Schema, site: &Site) {
    let text = schema.text().get(site.span.start..site.span.end);
    assert!(text.is_some_and(|text| !text.is_empty()), "{site:?}");
}
