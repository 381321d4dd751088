//! What a schema may hold at most: each limit at its edge and one above, by default and as set.

use avouch_avro::{Limits, Schema};

/// A limit: a text that needs it to be so many, the limits that have it so, and what is said of one
/// more: message and JSON pointer.
struct Limit {
    text: fn(usize) -> String,
    set: fn(usize) -> Limits,
    default: fn(&Limits) -> usize,
    told: fn(usize) -> (String, String),
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn table() -> Vec<Limit> {
    vec![
        Limit {
            text: records_within,
            set: |depth| Limits::default().with_depth(depth),
            default: |limits| limits.depth,
            told: |depth| {
                let pointer = "/fields/0/type".repeat(depth + 1);
                (format!("types nest at most {depth} deep"), pointer)
            },
        },
        Limit {
            text: arrays_within,
            set: |depth| Limits::default().with_depth(depth),
            default: |limits| limits.depth,
            told: |depth| {
                let pointer = "/items".repeat(depth + 1);
                (format!("types nest at most {depth} deep"), pointer)
            },
        },
        Limit {
            text: |nodes| record_of(nodes - 1),
            set: |nodes| Limits::default().with_nodes(nodes).with_fields(nodes),
            default: |limits| limits.nodes,
            told: |nodes| {
                let pointer = format!("/fields/{}/type", nodes - 1);
                (format!("a schema has at most {nodes} types"), pointer)
            },
        },
        Limit {
            text: enum_of,
            set: |symbols| Limits::default().with_symbols(symbols),
            default: |limits| limits.symbols,
            told: |most| {
                let one_more = most + 1;
                let message =
                    format!("an enum has at most {most} symbols; this one has {one_more}");
                (message, "/symbols".to_owned())
            },
        },
        Limit {
            text: union_of,
            set: |branches| Limits::default().with_branches(branches),
            default: |limits| limits.branches,
            told: |most| {
                let one_more = most + 1;
                let message =
                    format!("a union has at most {most} branches; this one has {one_more}");
                (message, String::new())
            },
        },
        Limit {
            text: record_of,
            set: |fields| Limits::default().with_fields(fields),
            default: |limits| limits.fields,
            told: |most| {
                let one_more = most + 1;
                let message =
                    format!("a record has at most {most} fields; this one has {one_more}");
                (message, "/fields".to_owned())
            },
        },
        Limit {
            text: |bytes| format!(r#"{{"type":"fixed","name":"F","size":{bytes}}}"#),
            set: |bytes| Limits::default().with_fixed_bytes(bytes),
            default: |limits| limits.fixed_bytes,
            told: |most| {
                let message = format!("fixed F needs \"size\", a whole number from 0 to {most}");
                (message, "/size".to_owned())
            },
        },
        Limit {
            text: |bytes| format!("\"int\"{}", " ".repeat(bytes - 5)),
            set: |bytes| Limits::default().with_source_bytes(bytes),
            default: |limits| limits.source_bytes,
            told: |most| {
                let one_more = most + 1;
                let message = format!("a text has at most {most} bytes; this one has {one_more}");
                (message, String::new())
            },
        },
    ]
}

// Conformance: avro/1c
#[test]
fn every_limit_holds_at_its_edge_by_default_and_as_set() {
    for (row, limit) in table().into_iter().enumerate() {
        let default = (limit.default)(&Limits::default());
        for edge in [default, 7] {
            let limits = (limit.set)(edge);
            let taken = Schema::parse_with(&(limit.text)(edge), &[], &limits);
            assert!(taken.is_ok(), "row {row}: {taken:?}");
            let error = Schema::parse_with(&(limit.text)(edge + 1), &[], &limits).unwrap_err();
            let told = (error.message().to_owned(), error.pointer().to_owned());
            assert_eq!(told, (limit.told)(edge), "row {row}");
        }
    }
}

/// Texts with a name of so many bytes, each with what is said of too many.
// Conformance: avro/1d
#[test]
fn every_name_is_limited() {
    type Named = fn(usize) -> String;
    let table: [(Named, &str, &str); 6] = [
        (
            |bytes| format!(r#"{{"type":"fixed","name":"{:n<bytes$}","size":1}}"#, ""),
            "",
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
            "",
            "/name",
        ),
        (
            |bytes| {
                let field = format!(r#"{{"name":"{:n<bytes$}","type":"int"}}"#, "");
                format!(r#"{{"type":"record","name":"R","fields":[{field}]}}"#)
            },
            "wrong field name: ",
            "/fields/0/name",
        ),
        (
            |bytes| {
                let aliases = format!(r#""aliases":["a","{:n<bytes$}"]"#, "");
                let field = format!(r#"{{"name":"f","type":"int",{aliases}}}"#);
                format!(r#"{{"type":"record","name":"R","fields":[{field}]}}"#)
            },
            "",
            "/fields/0/aliases/1",
        ),
        (
            |bytes| {
                format!(
                    r#"{{"type":"enum","name":"E","symbols":["{:n<bytes$}"]}}"#,
                    ""
                )
            },
            "wrong symbol of enum E: ",
            "/symbols/0",
        ),
        (
            |bytes| {
                let aliases = format!(r#""aliases":["{:n<bytes$}"]"#, "");
                format!(r#"{{"type":"fixed","name":"F","size":1,{aliases}}}"#)
            },
            "",
            "/aliases/0",
        ),
    ];
    for (text, what, pointer) in table {
        for edge in [Limits::default().name_bytes, 7] {
            let limits = Limits::default().with_name_bytes(edge);
            let taken = Schema::parse_with(&text(edge), &[], &limits);
            assert!(taken.is_ok(), "{pointer}: {taken:?}");
            let error = Schema::parse_with(&text(edge + 1), &[], &limits).unwrap_err();
            let why = format!("{what}a name has at most {edge} bytes");
            assert_eq!((error.message(), error.pointer()), (&*why, pointer));
        }
    }
}

// Conformance: avro/1c
#[test]
fn types_nest_no_deeper_by_their_names_than_by_the_text() {
    let edge = Limits::default().depth.div_ceil(2) - 1;
    assert!(Schema::parse(&chain_of(edge)).is_ok());
    let error = Schema::parse(&chain_of(edge + 1)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "types nest at most 64 deep, names followed (line 1, column 1)"
    );
}

// Conformance: avro/1c
#[test]
fn attributes_nest_four_times_as_deep_as_types() {
    let attribute = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"type":"int","x":{open}{close}}}"#)
    };
    let edge = 4 * Limits::default().depth - 1;
    assert!(Schema::parse(&attribute(edge)).is_ok());
    let error = Schema::parse(&attribute(edge + 1)).unwrap_err();
    assert_eq!(error.message(), "nested too deeply");
    assert_eq!(error.pointer(), format!("/x{}", "/0".repeat(edge)));
}

// Conformance: avro/1c
#[test]
fn types_of_references_count() {
    let limits = Limits::default().with_nodes(5);
    let known = Schema::parse(&record_of(3)).unwrap();
    let text = |kind: &str| format!(r#"["null",{kind}]"#);
    let error = |kind| Schema::parse_with(&text(kind), std::slice::from_ref(&known), &limits);
    assert_eq!(
        error("\"R\"").unwrap_err().message(),
        "a schema has at most 5 types"
    );
    assert!(Schema::parse_with("\"R\"", &[known], &limits).is_ok());
}

fn numbered(count: usize, part: impl Fn(usize) -> String) -> String {
    (0..count).map(part).collect::<Vec<_>>().join(",")
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

/// One union of records, each with a field of the next one's type, and the last of the first's:
/// text nests two deep, names twice as deep as there are records.
fn chain_of(records: usize) -> String {
    let record = |at| {
        let next = (at + 1) % records;
        let fields = format!(r#"[{{"name":"f","type":["null","R{next}"]}}]"#);
        format!(r#"{{"type":"record","name":"R{at}","fields":{fields}}}"#)
    };
    format!("[{}]", numbered(records, record))
}
