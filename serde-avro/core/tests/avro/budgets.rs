//! Schemas that are expensive by design: the same results, or an error at the budget.

use avouch_avro::compatibility::{CheckError, Incompatibility};
use avouch_avro::validator::Validator;
use avouch_avro::{Schema, diff};
use std::sync::Arc;

fn findings(reader: &Schema, writer: &Schema) -> Result<Vec<Incompatibility>, CheckError> {
    let compatibility = reader.can_read(writer)?;
    Ok(compatibility.into_findings())
}

fn numbered(count: usize, item: impl Fn(usize) -> String) -> String {
    (0..count).map(item).collect::<Vec<_>>().join(",")
}

fn record(fields: &str) -> Schema {
    let text = format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#);
    Schema::parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Returns a record whose fields have the same enum.
fn fields_of_enum(count: usize, symbols: &str) -> Schema {
    let first = format!(r#"{{"type":"enum","name":"E","symbols":[{symbols}]}}"#);
    record(&numbered(count, |at| {
        let kind = if at == 0 { &*first } else { r#""E""# };
        format!(r#"{{"name":"f{at}","type":{kind}}}"#)
    }))
}

// Conformance: avro/3g
#[test]
fn repeated_findings_share_strings_within_the_budget() {
    let symbols = numbered(9_000, |at| format!(r#""S{at:0>40}""#));
    let outcome = |fields| {
        let (reader, writer) = (
            fields_of_enum(fields, "\"A\""),
            fields_of_enum(fields, &symbols),
        );
        findings(&reader, &writer)
    };
    let findings = outcome(30).unwrap();
    assert_eq!(findings.len(), 30);
    assert!(findings[0].info.len() > 300_000);
    assert!(Arc::ptr_eq(&findings[0].info, &findings[29].info));
    let suggestion = findings[0].suggestion();
    assert!(suggestion.len() < 2_000, "{}", suggestion.len());
    assert!(suggestion.contains(" and 8977 more in E"), "{suggestion}");
    let budget = 1_000_000;
    assert_eq!(outcome(5_000), Err(CheckError::BudgetExceeded { budget }));
}

// Conformance: avro/1f
#[test]
fn similar_names_are_searched_within_bounds() {
    let message = |names: &[String], unknown: &str| {
        let fixed = |at: usize| format!(r#"{{"type":"fixed","name":"{}","size":1}}"#, names[at]);
        let text = format!("[{},\"{unknown}\"]", numbered(names.len(), fixed));
        Schema::parse(&text).unwrap_err().message().to_owned()
    };
    let name = |bytes: usize| "N".repeat(bytes);
    assert!(message(&[name(255)], &name(256)).contains("did you mean"));
    assert!(!message(&[name(256)], &name(257)).contains("did you mean"));
    let mut names: Vec<_> = (0..200).map(|at| format!("A{at:0>199}")).collect();
    names.push(format!("B{}", name(199)));
    assert!(!message(&names, &format!("B{}", name(198))).contains("did you mean"));
    assert!(message(&names[150..], &format!("B{}", name(198))).contains("did you mean"));
}

/// Of the writer's 64 fields, the last one is similar to each of the reader's.
// Conformance: avro/3g
#[test]
fn renamed_fields_are_searched_within_bounds() {
    let long = |letter: &str| letter.repeat(57);
    let field = |name: &str| format!(r#"{{"name":"{name}","type":"int"}}"#);
    let other = numbered(63, |at| field(&format!("{}{at:0>4}", long("z"))));
    let writer = record(&format!("{other},{}", field(&format!("{}last", long("a")))));
    let reader = record(&numbered(4_000, |at| {
        field(&format!("{}{at:0>4}", long("a")))
    }));
    let found = findings(&reader, &writer).unwrap();
    assert_eq!(found.len(), 4_000);
    let has_alias = |at: usize| found[at].suggestion().contains("\"aliases\"");
    assert!(has_alias(0) && has_alias(300));
    assert!(!has_alias(3_999));

    let missing = |bytes| {
        let (reader, writer) = (field(&"a".repeat(bytes)), field(&"a".repeat(bytes - 1)));
        findings(&record(&reader), &record(&writer)).unwrap()
    };
    assert!(missing(64)[0].suggestion().contains("\"aliases\""));
    assert!(!missing(65)[0].suggestion().contains("\"aliases\""));
}

// Conformance: avro/4b
#[test]
fn first_changes_are_available_within_the_budget() {
    let side = |doc: &str| {
        let fields = numbered(1_000, |at| {
            format!(r#"{{"name":"f{at}","type":"int","doc":"{doc}"}}"#)
        });
        let name = "n".repeat(1_000);
        let open =
            |at| format!(r#"{{"name":"{name}","type":{{"type":"record","name":"R{at}","fields":["#);
        let open: String = (0..20).map(open).collect();
        record(&format!("{open}{fields}{}", "]}}".repeat(20)))
    };
    let (old, new) = (side("old"), side("new"));
    let budget = 1_000_000;
    assert_eq!(
        diff::between(&old, &new),
        Err(CheckError::BudgetExceeded { budget })
    );
    let first = diff::first(&old, &new, 50).unwrap();
    assert_eq!(first.len(), 50);
    assert!(first[49].new.path.ends_with("/f49"));
    assert_eq!(diff::first(&old, &new, 0), Ok(Vec::new()));
}

// Conformance: avro/4b
#[test]
fn changes_of_large_types_exceed_the_budget() {
    let symbols = numbered(5_000, |at| format!(r#""S{at:0>40}""#));
    let old = fields_of_enum(200, &symbols);
    let new = record(&numbered(200, |at| {
        let kind = format!(r#"{{"type":"enum","name":"E{at}","symbols":["A"]}}"#);
        format!(r#"{{"name":"f{at}","type":{kind}}}"#)
    }));
    let budget = 1_000_000;
    assert_eq!(
        diff::between(&old, &new),
        Err(CheckError::BudgetExceeded { budget })
    );
}

// Conformance: validator/1d
#[test]
fn program_stores_each_branch_name_once() {
    let of = |bytes: usize| {
        let name = "N".repeat(bytes);
        let schema = record(&numbered(1_000, |at| {
            let kind = if at == 0 {
                format!(r#"{{"type":"fixed","name":"{name}","size":1}}"#)
            } else {
                format!("\"{name}\"")
            };
            format!(r#"{{"name":"f{at}","type":["null",{kind}]}}"#)
        }));
        Validator::compile(&schema).unwrap()
    };
    let (short, long) = (of(10), of(1_000));
    assert_eq!(long.memory_bytes(), short.memory_bytes() + 990);
    let fault = long.validate(&[0, 2]).unwrap_err();
    assert_eq!(fault.path, format!("/f1({})", "N".repeat(1_000)));
}

// Conformance: avro/1e
#[test]
fn defaults_are_checked_in_linear_time() {
    let inner = numbered(400, |at| {
        format!(r#"{{"name":"f{at}","type":"int","default":0}}"#)
    });
    let inner = format!(r#"{{"type":"record","name":"Inner","fields":[{inner}]}}"#);
    let outer = |count: usize, default: &str| {
        record(&numbered(count, |at| {
            let kind = if at == 0 { &*inner } else { r#""Inner""# };
            format!(r#"{{"name":"o{at}","type":{kind},"default":{default}}}"#)
        }))
    };
    let given = numbered(400, |at| format!(r#""f{at}":1"#));
    outer(110, &format!("{{{given}}}"));
    outer(4_000, "{}");

    let wrong = r#"{"name":"o","type":"Inner","default":{"f399":"x"}}"#;
    let text = format!(
        r#"{{"type":"record","name":"R","fields":[{{"name":"i","type":{inner}}},{wrong}]}}"#
    );
    let error = Schema::parse(&text).unwrap_err();
    assert!(
        error
            .message()
            .starts_with("invalid default {\"f399\":\"x\"} of field o"),
        "{error}"
    );
}

/// A type in a cycle is compatible only if the whole cycle is.
// Conformance: avro/4
#[test]
fn changes_in_cycles_break_the_whole_cycle() {
    let side = |x: &str, f: &str| {
        let cycle =
            r#"{"type":"record","name":"S","fields":[{"name":"back","type":["null","R"]}]}"#;
        record(&format!(
            r#"{{"name":"x","type":"{x}"}},{{"name":"f","type":{}}}"#,
            f.replace('S', cycle)
        ))
    };
    let changes = diff::between(&side("int", "S"), &side("string", r#"["null",S]"#)).unwrap();
    let found: Vec<_> = changes.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "/x: type changed from int to string; breaks old and new readers",
            "/f: type changed from S to union; breaks old and new readers",
        ]
    );
    let changes = diff::between(&side("int", "S"), &side("long", r#"["null",S]"#)).unwrap();
    assert_eq!(
        changes[1].to_string(),
        "/f: type changed from S to union; breaks old readers"
    );
}
