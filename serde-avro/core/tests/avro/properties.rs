//! Properties of every schema, evolution and datum.

use avouch_avro::schema::NodeId;
use avouch_avro::validator::Budget;
use avouch_avro::{Schema, diff};
use avouch_avro_testing::{self as testing, Random, invariants};
use avouch_avro_testing::{reference_decoder, resolution::resolve};
use serde_json::Value;
use std::collections::HashSet;

/// Returns seeds, each with a schema and an evolution of it.
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
fn compatible_data_decode() {
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

// Conformance: avro/3c, avro/5d
#[test]
fn changes_agree_with_compatibility() {
    let (mut broken, mut changed) = (0, 0);
    for (_, old, new) in evolutions(12_000) {
        let Some(changes) = invariants::check_pair(&old, &new) else {
            continue;
        };
        broken += usize::from(changes.iter().any(|change| change.breaks.new_readers));
        broken += usize::from(changes.iter().any(|change| change.breaks.old_readers));
        changed += usize::from(!changes.is_empty());
    }
    assert!(broken > 3_000, "{broken}");
    assert!(changed > 6_000, "{changed}");
}

// Conformance: avro/5a
#[test]
fn schema_strings_round_trip() {
    for (seed, old, new) in evolutions(3_000) {
        for schema in [old, new] {
            let parse = |source: &str| {
                Schema::parse(source).unwrap_or_else(|error| panic!("{seed}: {source}: {error}"))
            };
            let again = invariants::check_source(schema.source());
            assert_eq!(again.as_ref(), Some(&schema), "{seed}");
            let form = schema.parsing_canonical_form();
            assert_eq!(parse(&form).parsing_canonical_form(), form, "{seed}");
            let normalized = schema.to_normalized_string();
            assert_eq!(parse(&normalized).to_normalized_string(), normalized);
        }
    }
}

#[test]
fn schemas_serialize_as_their_string() {
    for (seed, old, _) in evolutions(300) {
        let json = serde_json::to_value(&old).unwrap();
        assert_eq!(json, Value::String(old.to_string()), "{seed}");
        assert_eq!(serde_json::from_value::<Schema>(json).unwrap(), old);
    }
    assert!(serde_json::from_str::<Schema>("\"strng\"").is_err());
}

// Conformance: avro/4
#[test]
fn normalization_is_no_change() {
    for (seed, old, new) in evolutions(2_000) {
        for schema in [old, new] {
            let normalized = Schema::parse(&schema.to_normalized_string()).unwrap();
            assert_eq!(
                diff::between(&schema, &normalized),
                Ok(Vec::new()),
                "{seed}"
            );
        }
    }
}

// Conformance: avro/1h
#[test]
fn types_have_their_source_span() {
    for (seed, old, new) in evolutions(1_000) {
        for schema in [old, new] {
            check_spans(&schema, schema.root(), &mut HashSet::new(), seed);
        }
    }
}

/// Checks that the bytes of a type are its definition and contain those of its children.
fn check_spans(schema: &Schema, id: NodeId, seen: &mut HashSet<NodeId>, seed: u64) {
    if !seen.insert(id) {
        return;
    }
    let node = schema.node(id);
    let source = &schema.source()[node.span.range()];
    let json: Value =
        serde_json::from_str(source).unwrap_or_else(|error| panic!("{seed}: {error}"));
    let kind = match &json {
        Value::String(name) => name,
        Value::Array(_) => "union",
        other if other["type"] == "error" => "record",
        other => other["type"].as_str().unwrap(),
    };
    assert_eq!(kind, node.kind.as_str(), "{seed}: {source}");
    let children: Vec<_> = node.kind.children().collect();
    assert_eq!(children.len(), node.child_spans.len(), "{seed}: {source}");
    for (child, span) in children.into_iter().zip(&node.child_spans) {
        assert!(node.span.start < span.start && span.end < node.span.end);
        check_spans(schema, child, seen, seed);
    }
}
