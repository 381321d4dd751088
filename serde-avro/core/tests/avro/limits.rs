//! Limits of schemas: each at its value and one above, by default and as set.

use avouch_avro::validator::{Reason, Validator};
use avouch_avro::{Limits, Schema, diff};

/// A limit: a schema that uses exactly the given value of it, limits with that value, its default,
/// and the message and JSON pointer for one more.
struct Limit {
    source: fn(usize) -> String,
    set: fn(usize) -> Limits,
    default: fn(&Limits) -> usize,
    error: fn(usize) -> (String, String),
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn table() -> Vec<Limit> {
    vec![
        Limit {
            source: records_within,
            set: |depth| Limits::default().with_depth(depth),
            default: |limits| limits.depth,
            error: |depth| {
                let pointer = "/fields/0/type".repeat(depth + 1);
                (format!("types nest deeper than {depth} levels"), pointer)
            },
        },
        Limit {
            source: arrays_within,
            set: |depth| Limits::default().with_depth(depth),
            default: |limits| limits.depth,
            error: |depth| {
                let pointer = "/items".repeat(depth + 1);
                (format!("types nest deeper than {depth} levels"), pointer)
            },
        },
        Limit {
            source: |nodes| record_of(nodes - 1),
            set: |nodes| Limits::default().with_nodes(nodes).with_fields(nodes),
            default: |limits| limits.nodes,
            error: |nodes| {
                let pointer = format!("/fields/{}/type", nodes - 1);
                (format!("the schema has more than {nodes} types"), pointer)
            },
        },
        Limit {
            source: enum_of,
            set: |symbols| Limits::default().with_symbols(symbols),
            default: |limits| limits.symbols,
            error: |max| {
                let count = max + 1;
                let message = format!("enum E has {count} symbols; the maximum is {max}");
                (message, "/symbols".to_owned())
            },
        },
        Limit {
            source: union_of,
            set: |branches| Limits::default().with_branches(branches),
            default: |limits| limits.branches,
            error: |max| {
                let count = max + 1;
                let message = format!("the union has {count} branches; the maximum is {max}");
                (message, String::new())
            },
        },
        Limit {
            source: record_of,
            set: |fields| Limits::default().with_fields(fields),
            default: |limits| limits.fields,
            error: |max| {
                let count = max + 1;
                let message = format!("record R has {count} fields; the maximum is {max}");
                (message, "/fields".to_owned())
            },
        },
        Limit {
            source: |bytes| format!(r#"{{"type":"fixed","name":"F","size":{bytes}}}"#),
            set: |bytes| Limits::default().with_fixed_bytes(bytes),
            default: |limits| limits.fixed_bytes,
            error: |max| {
                let message = format!("fixed F needs \"size\", an integer from 0 to {max}");
                (message, "/size".to_owned())
            },
        },
        Limit {
            source: |bytes| format!("\"int\"{}", " ".repeat(bytes - 5)),
            set: |bytes| Limits::default().with_source_bytes(bytes),
            default: |limits| limits.source_bytes,
            error: |max| {
                let bytes = max + 1;
                let message = format!("the schema has {bytes} bytes; the maximum is {max}");
                (message, String::new())
            },
        },
    ]
}

// Conformance: avro/1c
#[test]
fn limits_apply_at_their_exact_value() {
    for (row, limit) in table().into_iter().enumerate() {
        let default = (limit.default)(&Limits::default());
        for max in [default, 7] {
            let limits = (limit.set)(max);
            let accepted = Schema::parse_with(&(limit.source)(max), &[], &limits);
            let schema = accepted.unwrap_or_else(|error| panic!("row {row}: {error}"));
            assert!(schema.depth() <= limits.depth, "row {row}");
            assert!(schema.widest_union() <= limits.branches, "row {row}");
            let error = Schema::parse_with(&(limit.source)(max + 1), &[], &limits).unwrap_err();
            let found = (error.message().to_owned(), error.pointer().to_owned());
            assert_eq!(found, (limit.error)(max), "row {row}");
        }
    }
}

/// Schemas with a name of the given length, each with the start of the message and the pointer.
// Conformance: avro/1d
#[test]
fn names_of_every_kind_are_limited() {
    type Named = fn(usize) -> String;
    let table: [(Named, &str, &str); 6] = [
        (
            |bytes| format!(r#"{{"type":"fixed","name":"{:n<bytes$}","size":1}}"#, ""),
            "invalid name: ",
            "/name",
        ),
        (
            |bytes| {
                let space = bytes - 2;
                format!(
                    r#"{{"type":"fixed","name":"F","namespace":"{:n<space$}","size":1}}"#,
                    ""
                )
            },
            "invalid name: ",
            "/name",
        ),
        (
            |bytes| {
                let field = format!(r#"{{"name":"{:n<bytes$}","type":"int"}}"#, "");
                format!(r#"{{"type":"record","name":"R","fields":[{field}]}}"#)
            },
            "invalid field name: ",
            "/fields/0/name",
        ),
        (
            |bytes| {
                let aliases = format!(r#""aliases":["a","{:n<bytes$}"]"#, "");
                let field = format!(r#"{{"name":"f","type":"int",{aliases}}}"#);
                format!(r#"{{"type":"record","name":"R","fields":[{field}]}}"#)
            },
            "invalid alias: ",
            "/fields/0/aliases/1",
        ),
        (
            |bytes| {
                format!(
                    r#"{{"type":"enum","name":"E","symbols":["{:n<bytes$}"]}}"#,
                    ""
                )
            },
            "invalid symbol of enum E: ",
            "/symbols/0",
        ),
        (
            |bytes| {
                let aliases = format!(r#""aliases":["{:n<bytes$}"]"#, "");
                format!(r#"{{"type":"fixed","name":"F","size":1,{aliases}}}"#)
            },
            "invalid alias: ",
            "/aliases/0",
        ),
    ];
    for (source, prefix, pointer) in table {
        for max in [Limits::default().name_bytes, 7] {
            let limits = Limits::default().with_name_bytes(max);
            let accepted = Schema::parse_with(&source(max), &[], &limits);
            assert!(accepted.is_ok(), "{pointer}: {accepted:?}");
            let error = Schema::parse_with(&source(max + 1), &[], &limits).unwrap_err();
            let bytes = max + 1;
            let message = format!("{prefix}the name has {bytes} bytes; the maximum is {max}");
            assert_eq!((error.message(), error.pointer()), (&*message, pointer));
        }
    }
}

// Conformance: avro/1c
#[test]
fn depth_includes_types_used_by_name() {
    let max = Limits::default().depth.div_ceil(2) - 1;
    assert!(Schema::parse(&chain_of(max)).is_ok());
    let error = Schema::parse(&chain_of(max + 1)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "types nest deeper than 256 levels through names (line 1, column 1)"
    );
}

// Conformance: avro/1c
#[test]
fn attributes_nest_a_thousand_levels() {
    let attribute = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"type":"int","x":{open}{close}}}"#)
    };
    // The type itself is the first level.
    let max = 999;
    assert!(Schema::parse(&attribute(max)).is_ok());
    let error = Schema::parse(&attribute(max + 1)).unwrap_err();
    assert_eq!(error.message(), "JSON values nest too deeply");
    assert_eq!(error.pointer(), format!("/x{}", "/0".repeat(max)));
}

// Conformance: avro/1c
#[test]
fn types_of_references_are_counted() {
    let limits = Limits::default().with_nodes(5);
    let known = Schema::parse(&record_of(3)).unwrap();
    let text = |kind: &str| format!(r#"["null",{kind}]"#);
    let error = |kind| Schema::parse_with(&text(kind), std::slice::from_ref(&known), &limits);
    assert_eq!(
        error("\"R\"").unwrap_err().message(),
        "the schema has more than 5 types"
    );
    assert!(Schema::parse_with("\"R\"", &[known], &limits).is_ok());
}

/// All operations on a schema and a datum at the default limits, with the stack of a worker thread.
// Conformance: avro/1c
#[test]
fn default_depth_fits_a_small_stack() {
    let work = || {
        for source in [
            records_within(Limits::default().depth),
            arrays_within(Limits::default().depth),
            format!(
                r#"{{"type":"int","x":{}{}}}"#,
                "[".repeat(999),
                "]".repeat(999)
            ),
        ] {
            let schema = Schema::parse(&source).unwrap();
            let printed = [schema.to_string(), schema.parsing_canonical_form()];
            assert!(printed.iter().all(|text| Schema::parse(text).is_ok()));
            assert!(schema.can_read(&schema).unwrap().is_compatible());
            assert!(diff::between(&schema, &schema).unwrap().is_empty());
            Validator::compile(&schema).unwrap();
            // The error at one more level, and the drop of what was read before it.
            drop(Schema::parse(&source.replace("int", "nit")).unwrap_err());
        }
    };
    let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(work);
    thread.unwrap().join().unwrap();
}

/// The linked list of the Avro specification, longer than a client's JVM stack would fit if each
/// node took a kilobyte.
// Conformance: validator/1d
#[test]
fn linked_list_of_1000_nodes_is_accepted() {
    let source = r#"{"type":"record","name":"LongList","aliases":["LinkedLongs"],"fields":[
        {"name":"value","type":"long"},{"name":"next","type":["null","LongList"]}]}"#;
    let validator = Validator::compile(&Schema::parse(source).unwrap()).unwrap();
    let list = |nodes: usize| [[2, 2].repeat(nodes - 1), vec![2, 0]].concat();
    assert_eq!(validator.validate(&list(1_000)), Ok(()));
    let fault = validator.validate(&list(1_001)).unwrap_err();
    assert_eq!((fault.reason, fault.offset), (Reason::TooDeep, 2_000));
}

/// Shapes of public schemas: a union of 627 branches, and 22 records that are nested through
/// arrays of nullable records.
// Conformance: avro/1c
#[test]
fn shapes_of_public_schemas_are_accepted() {
    assert_eq!(Schema::parse(&union_of(627)).unwrap().widest_union(), 627);
    let open = |at| {
        let array = r#"{"type":"array","items":["null","#;
        format!(r#"{{"type":"record","name":"R{at}","fields":[{{"name":"f","type":{array}"#)
    };
    let open: String = (0..22).map(open).collect();
    let schema = Schema::parse(&format!("{open}\"int\"{}", "]}}]}".repeat(22))).unwrap();
    assert_eq!(schema.depth(), 66);
}

fn numbered(count: usize, item: impl Fn(usize) -> String) -> String {
    (0..count).map(item).collect::<Vec<_>>().join(",")
}

fn arrays_within(depth: usize) -> String {
    let open = r#"{"type":"array","items":"#.repeat(depth);
    format!("{open}\"int\"{}", "}".repeat(depth))
}

fn records_within(depth: usize) -> String {
    let open = |at| format!(r#"{{"type":"record","name":"R{at}","fields":[{{"name":"f","type":"#);
    let open: String = (0..depth).map(open).collect();
    format!("{open}\"int\"{}", "}]}".repeat(depth))
}

fn record_of(fields: usize) -> String {
    let fields = numbered(fields, |at| format!(r#"{{"name":"f{at}","type":"int"}}"#));
    format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#)
}

fn enum_of(symbols: usize) -> String {
    let symbols = numbered(symbols, |at| format!("\"S{at}\""));
    format!(r#"{{"type":"enum","name":"E","symbols":[{symbols}]}}"#)
}

fn union_of(branches: usize) -> String {
    let fixed = |at| format!(r#"{{"type":"fixed","name":"F{at}","size":1}}"#);
    format!("[{}]", numbered(branches, fixed))
}

/// Returns a union of records, each with an optional field of the next one's type, the last with
/// one of the first's. The source nests two levels, the names two levels per record.
fn chain_of(records: usize) -> String {
    let record = |at| {
        let next = (at + 1) % records;
        let fields = format!(r#"[{{"name":"f","type":["null","R{next}"]}}]"#);
        format!(r#"{{"type":"record","name":"R{at}","fields":{fields}}}"#)
    };
    format!("[{}]", numbered(records, record))
}
