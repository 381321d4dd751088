//! Errors and references of the parser.

use avouch_avro::schema::Type;
use avouch_avro::{Limits, Schema};

// Conformance: avro/1f
#[test]
fn errors_have_message_and_position() {
    let text = "{\n  \"type\": \"record\", \"name\": \"R\",\n  \"fields\": [\n    \
                {\"name\": \"a\", \"type\": \"strng\"}\n  ]\n}";
    let error = Schema::parse(text).unwrap_err();
    assert_eq!(
        (error.line(), error.column(), error.pointer()),
        (4, 27, "/fields/0/type")
    );
    assert_eq!(
        error.to_string(),
        "unknown type \"strng\"; did you mean \"string\"? \
         (line 4, column 27, at /fields/0/type)"
    );
}

/// Common mistakes, each with the expected error.
const PARSE_ERRORS: &str = include_str!("../data/parse-errors.txt");

// Conformance: avro/1f
#[test]
fn common_mistakes_have_suggestions() {
    let rows: Vec<_> = PARSE_ERRORS.lines().skip(1).collect();
    for row in rows.chunks(2) {
        let [source, expected] = row else {
            panic!("{row:?} is not a schema and an error");
        };
        let error = Schema::parse(source).unwrap_err();
        assert_eq!(error.to_string(), expected.trim_start(), "{source}");
    }
    assert!(rows.len() >= 60);
}

// Conformance: avro/1f
#[test]
fn positions_point_at_the_invalid_value() {
    let field = |rest: &str| {
        format!(r#"{{"type":"record","name":"R","fields":[{{"name":"a","type":{rest}}}]}}"#)
    };
    let table = [
        ("3".to_owned(), 1, ""),
        ("[\"int\",\"int\"]".to_owned(), 8, "/1"),
        (field("\"int\",\"default\":\"x\""), 74, "/fields/0/default"),
        (field("[\"null\",[\"int\"]]"), 66, "/fields/0/type/1"),
        (field("{\"type\":\"map\"}"), 58, "/fields/0/type"),
        (
            "{\"type\":\"fixed\",\"name\":\"F\",\"size\":-1}".to_owned(),
            35,
            "/size",
        ),
        ("\"int\" x".to_owned(), 7, ""),
    ];
    for (text, column, pointer) in table {
        let error = Schema::parse(&text).unwrap_err();
        assert_eq!(
            (error.line(), error.column(), error.pointer()),
            (1, column, pointer),
            "{text}"
        );
    }
}

fn numbered(count: usize, item: impl Fn(usize) -> String) -> String {
    (0..count).map(item).collect::<Vec<_>>().join(",")
}

// Conformance: avro/1e
#[test]
fn hostile_schemas_are_rejected() {
    let defaults = r#"[{"type":"record","name":"A","fields":[{"name":"b","type":"B","default":{}}]},
        {"type":"record","name":"B","fields":[{"name":"a","type":"A","default":{}}]}]"#;
    assert!(
        Schema::parse(defaults)
            .unwrap_err()
            .to_string()
            .contains("comparisons")
    );
    let union = numbered(64, |at| {
        format!(r#"{{"type":"record","name":"R{at}","fields":[{{"name":"v","type":"U"}}]}}"#)
    });
    let nested = format!("{}\"x\"{}", "{\"v\":".repeat(40), "}".repeat(40));
    let union = union.replace(
        "\"U\"",
        &format!("[{}]", numbered(64, |at| format!("\"R{at}\""))),
    );
    let text = format!(
        r#"[{union},{{"type":"record","name":"Z","fields":[
            {{"name":"v","type":["R0","R1"],"default":{nested}}}]}}]"#
    );
    assert!(
        Schema::parse(&text)
            .unwrap_err()
            .to_string()
            .contains("comparisons")
    );
    assert!(Schema::parse(&"[".repeat(100_000)).is_err());
    assert!(Schema::parse(&"{\"a\":".repeat(100_000)).is_err());
}

// Conformance: avro/1e
#[test]
fn shared_records_do_not_grow() {
    let record = |at: usize| {
        let part = |name| format!(r#"{{"name":"{name}","type":"R{}"}}"#, at - 1);
        let fields = if at == 0 {
            String::new()
        } else {
            format!("{},{}", part("a"), part("b"))
        };
        format!(r#"{{"type":"record","name":"R{at}","fields":[{fields}]}}"#)
    };
    let text = format!("[{}]", numbered(60, record));
    let schema = Schema::parse(&text).unwrap();
    assert_eq!(schema.to_string(), text);
}

const ADDRESS: &str = r#"{"type":"record","name":"n.A","fields":[
    {"name":"e","type":{"type":"enum","name":"E","symbols":["X"]}}]}"#;

// Conformance: avro/1g
#[test]
fn references_print_as_names() {
    let address = Schema::parse(ADDRESS).unwrap();
    let canonical = address.to_string();
    let inner = r#"{"type":"enum","name":"E","symbols":["X"]}"#;
    let table = [
        ("\"n.A\"".to_owned(), "\"n.A\"".to_owned()),
        (
            "[\"null\",\"n.A\"]".to_owned(),
            "[\"null\",\"n.A\"]".to_owned(),
        ),
        (ADDRESS.to_owned(), "\"n.A\"".to_owned()),
        (
            r#"{"type":"record","name":"n.B","fields":[{"name":"a","type":"A"},
                {"name":"e","type":"n.E"},{"name":"f","type":"E"}]}"#
                .to_owned(),
            [
                r#"{"type":"record","name":"B","namespace":"n","fields":[{"name":"a","type":"A"},"#,
                &format!(r#"{{"name":"e","type":{inner}}},"#),
                r#"{"name":"f","type":"E"}]}"#,
            ]
            .concat(),
        ),
    ];
    for (text, expected) in table {
        let references = [address.clone()];
        let schema = Schema::parse_with(&text, &references, &Limits::default()).unwrap();
        assert_eq!(schema.to_registry_string(), expected);
        assert!(schema.parsing_canonical_form().contains("n.E"));
    }
    let changed = ADDRESS.replace("\"X\"", "\"Y\"");
    assert!(
        Schema::parse_with(&changed, std::slice::from_ref(&address), &Limits::default()).is_err()
    );
    assert!(Schema::parse_with("\"A\"", &[address], &Limits::default()).is_err());
    assert!(canonical.starts_with(r#"{"type":"record","name":"A","namespace":"n""#));
}

// Conformance: avro/1e
#[test]
fn long_reference_chains_stay_small() {
    let mut known = Vec::new();
    for at in 0..40_usize {
        let previous = at
            .checked_sub(1)
            .map_or("int".to_owned(), |before| format!("R{before}"));
        let text = format!(
            r#"{{"type":"record","name":"R{at}","fields":[{{"name":"p","type":"{previous}"}}]}}"#
        );
        let limits = Limits::default().with_nodes(100);
        known.push(Schema::parse_with(&text, &known, &limits).unwrap());
    }
}

// Conformance: avro/1h
#[test]
fn nodes_have_spans_and_attributes() {
    let text = r#"{"type":"array","items":{"type":"int","logicalType":"date","x":[1]},"y":2}"#;
    let schema = Schema::parse(text).unwrap();
    let array = schema.node(schema.root());
    let Type::Array(item) = array.kind else {
        panic!("an array")
    };
    let item = schema.node(item);
    assert_eq!(&schema.source()[item.span.range()], &text[24..67]);
    assert_eq!(item.logical_type(), Some("date"));
    assert_eq!(array.attributes().count(), 1);
}

#[test]
fn schema_and_validator_are_send_and_sync() {
    fn shared<T: Send + Sync>() {}
    shared::<Schema>();
    shared::<avouch_avro::validator::Validator>();
}
