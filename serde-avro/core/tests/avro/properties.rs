//! What must hold for every schema, every evolution of it and every datum.

use avouch_avro::schema::{NodeId, Site};
use avouch_avro::validator::Budget;
use avouch_avro::{Schema, diff};
use avouch_avro_testing::{self as testing, Random};
use avouch_avro_testing::{reference_decoder, resolution::resolve};
use serde_json::Value;
use std::collections::HashSet;

/// Schemas, each with what it evolved into.
fn evolutions(count: u64) -> impl Iterator<Item = (u64, Schema, Schema)> {
    (0..count).map(|seed| {
        let random = &mut Random::new(seed);
        let old = testing::schema(random);
        let new = testing::evolve(random, &old);
        (seed, old, new)
    })
}

// Conformance: avro/5c
#[test]
fn what_is_compatible_decodes() {
    let (mut compatible, mut decoded) = (0, 0);
    for (seed, old, new) in evolutions(6_000) {
        for (reader, writer) in [(&new, &old), (&old, &new)] {
            if !reader
                .can_read(writer)
                .is_ok_and(|found| found.is_compatible())
            {
                continue;
            }
            compatible += 1;
            let random = &mut Random::new(seed);
            for _ in 0..4 {
                let datum = testing::datum(random, writer);
                if reference_decoder::check(writer, Budget::default(), &datum).is_err() {
                    continue;
                }
                let outcome = resolve(reader, writer, &datum);
                let (reader, writer) = (reader.source(), writer.source());
                assert_eq!(outcome, Ok(()), "{seed}: {reader} reads {writer}");
                decoded += 1;
            }
        }
    }
    assert!(compatible > 4_000, "{compatible}");
    assert!(decoded > 10_000, "{decoded}");
}

// Conformance: avro/5d
#[test]
fn changes_break_exactly_whom_the_relation_says() {
    let (mut broken, mut changed) = (0, 0);
    for (seed, old, new) in evolutions(12_000) {
        let (Ok(backward), Ok(forward)) = (new.can_read(&old), old.can_read(&new)) else {
            continue;
        };
        let changes = diff::between(&old, &new).unwrap();
        let new_readers = changes.iter().any(|change| change.breaks.new_readers);
        let old_readers = changes.iter().any(|change| change.breaks.old_readers);
        assert_eq!(
            (new_readers, old_readers),
            (!backward.is_compatible(), !forward.is_compatible()),
            "{seed}: {} to {}: {changes:#?}",
            old.source(),
            new.source()
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

// Conformance: avro/5a
#[test]
fn every_text_round_trips_and_every_form_is_its_own_form() {
    for (seed, old, new) in evolutions(3_000) {
        for schema in [old, new] {
            let again = |text: &str| {
                Schema::parse(text).unwrap_or_else(|error| panic!("{seed}: {text}: {error}"))
            };
            let canonical = schema.to_string();
            assert_eq!(again(schema.source()).to_string(), canonical, "{seed}");
            assert_eq!(again(&canonical).to_string(), canonical, "{seed}");
            let form = schema.parsing_canonical_form();
            assert_eq!(again(&canonical).parsing_canonical_form(), form, "{seed}");
            assert_eq!(again(&form).parsing_canonical_form(), form, "{seed}");
            let normalized = schema.to_normalized_string();
            assert_eq!(
                again(&normalized).to_normalized_string(),
                normalized,
                "{seed}"
            );
        }
    }
}

// Conformance: avro/4
#[test]
fn nothing_changes_between_a_schema_and_itself_however_it_is_written() {
    for (seed, old, new) in evolutions(2_000) {
        for schema in [old, new] {
            let again = Schema::parse(&schema.to_normalized_string()).unwrap();
            assert_eq!(diff::between(&schema, &again), Ok(Vec::new()), "{seed}");
            assert_eq!(
                again.to_normalized_string(),
                schema.to_normalized_string(),
                "{seed}"
            );
        }
    }
}

// Conformance: avro/3c
#[test]
fn findings_stand_within_their_texts() {
    for (_, old, new) in evolutions(2_000) {
        let Ok(compatibility) = new.can_read(&old) else {
            continue;
        };
        for finding in compatibility.findings() {
            assert_within(&new, finding.reader());
            assert_within(&old, finding.writer());
            assert_ne!(finding.suggestion(), "");
        }
    }
}

// Conformance: avro/1h
#[test]
fn every_type_knows_where_it_stands() {
    for (seed, old, new) in evolutions(1_000) {
        for schema in [old, new] {
            assert_spans(&schema, schema.root(), &mut HashSet::new(), seed);
        }
    }
}

/// The bytes of a type are a schema by themselves, but for the names they use, and hold those of
/// its parts.
fn assert_spans(schema: &Schema, id: NodeId, seen: &mut HashSet<NodeId>, seed: u64) {
    if !seen.insert(id) {
        return;
    }
    let node = schema.node(id);
    let text = &schema.source()[node.span.range()];
    let json: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{seed}: {error}"));
    let word = match &json {
        Value::String(word) => word,
        Value::Array(_) => "union",
        other if other["type"] == "error" => "record",
        other => other["type"].as_str().unwrap(),
    };
    assert_eq!(word, node.kind.as_str(), "{seed}: {text}");
    let children = node.kind.children();
    assert_eq!(children.count(), node.child_spans.len(), "{seed}: {text}");
    for (part, span) in node.kind.children().zip(&node.child_spans) {
        assert!(node.span.start < span.start && span.end < node.span.end);
        assert_spans(schema, part, seen, seed);
    }
}

fn assert_within(schema: &Schema, site: &Site) {
    let text = schema.source().get(site.span.range());
    assert!(text.is_some_and(|text| !text.is_empty()), "{site:?}");
}
