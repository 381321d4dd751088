//! Limits on everything that a client can make grow.

use reqwest::Method;
use serde::Serialize as _;
use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::{Value, json};

use crate::schema_id;
use crate::server::TestServer;

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;

fn named(name: &str) -> String {
    format!(r#"{{"type":"fixed","name":"{name}","size":4}}"#)
}

fn reference(name: &str, subject: &str) -> Value {
    json!({ "name": name, "subject": subject, "version": 1 })
}

fn record_of(name: &str, part: &str) -> String {
    let field = format!(r#"{{"name":"part","type":"{part}"}}"#);
    format!(r#"{{"type":"record","name":"{name}","fields":[{field}]}}"#)
}

async fn rejection(server: &TestServer, subject: &str, body: Value) -> String {
    let path = format!("/subjects/{subject}/versions");
    let (code, message) = server.rejected(POST, &path, Some(body)).await;
    assert_eq!(code, 42201, "{message}");
    message
}

/// Imports versions.
async fn import(server: &TestServer, records: Vec<Value>) {
    let mode = |word: &str| Some(json!({ "mode": word }));
    server.ok(PUT, "/mode?force=true", mode("IMPORT")).await;
    for records in records.chunks(200) {
        let body = json!({ "records": records });
        server.ok(POST, "/v1/import", Some(body)).await;
    }
    server.ok(PUT, "/mode", mode("READWRITE")).await;
}

fn version(subject: &str, version: usize, id: usize, schema: &str, references: &[Value]) -> Value {
    json!({
        "key": { "keytype": "SCHEMA", "subject": subject, "version": version, "magic": 1 },
        "value": {
            "subject": subject, "version": version, "id": id, "schema": schema,
            "references": references,
        },
    })
}

// Conformance: registry/rest-10
#[tokio::test]
async fn schema_has_at_most_1000_references() {
    let server = TestServer::start().await;
    server.register("m", &named("M")).await;
    let body = |count: usize| {
        let references = vec![reference("M", "m"); count];
        json!({ "schema": r#"["null","M"]"#, "references": references })
    };
    server.register_body("s", body(1_000)).await;
    let message = rejection(&server, "t", body(1_001)).await;
    assert_eq!(
        message,
        "The schema has 1001 references; the maximum is 1000"
    );
}

// Conformance: registry/rest-10
#[tokio::test]
async fn references_nest_at_most_16_deep() {
    let server = TestServer::start().await;
    server.register("R0", &named("R0")).await;
    for depth in 1..=16 {
        let (name, part) = (format!("R{depth}"), format!("R{}", depth - 1));
        let references = json!([reference(&part, &part)]);
        let body = json!({ "schema": record_of(&name, &part), "references": references });
        server.register_body(&name, body).await;
    }
    let references = json!([reference("R16", "R16")]);
    let body = json!({ "schema": record_of("R17", "R16"), "references": references });
    let message = rejection(&server, "R17", body).await;
    assert!(
        message.ends_with("references nest more than 16 deep"),
        "{message}"
    );
}

// Conformance: registry/rest-10
#[tokio::test]
async fn referenced_schemas_have_at_most_4_mib() {
    let server = TestServer::start().await;
    let doc = "x".repeat(1_000_000);
    let mut references = Vec::new();
    for at in 0..5 {
        let name = format!("M{at}");
        let text = json!({ "type": "record", "name": name, "doc": doc, "fields": [] });
        server.register(&name, &text.to_string()).await;
        references.push(reference(&name, &name));
    }
    let body = |count: usize| json!({ "schema": "\"M0\"", "references": references[..count] });
    server.register_body("four", body(4)).await;
    let message = rejection(&server, "five", body(5)).await;
    let expected = "references lead to more than 4194304 bytes of schemas";
    assert!(message.ends_with(expected), "{message:.200}");
}

/// A registration cannot create a cycle, but an import can.
// Conformance: registry/rest-10
#[tokio::test]
async fn reference_cycles_terminate() {
    let server = TestServer::start().await;
    let records = vec![
        version("a", 1, 1, &record_of("A", "B"), &[reference("B", "b")]),
        version("b", 1, 2, &record_of("B", "A"), &[reference("A", "a")]),
    ];
    import(&server, records).await;
    let resolved = "/subjects/a/versions/1?format=resolved";
    let (code, message) = server.rejected(GET, resolved, None).await;
    assert_eq!(code, 42201, "{message}");
    let body = json!({ "schema": record_of("C", "A"), "references": [reference("A", "a")] });
    rejection(&server, "c", body).await;
    let schema = server
        .registry
        .source()
        .schema(schema_id(1))
        .await
        .unwrap()
        .unwrap();
    assert!(schema.references.len() <= 2, "{:?}", schema.references);
}

// Conformance: registry/rest-10, registry/rule-16
#[tokio::test]
async fn listing_returns_at_most_1000_schemas() {
    let server = TestServer::start().await;
    let records = (1..=1_001).map(|at| version("s", at, at, &named(&format!("F{at}")), &[]));
    import(&server, records.collect()).await;
    let table = [
        ("/schemas", 1_000),
        ("/schemas?limit=5000", 1_000),
        ("/schemas?offset=1000", 1),
        ("/schemas?aliases=true", 1_000),
        ("/schemas?aliases=true&offset=1000", 1),
        ("/v1/subjects/s/versions", 1_000),
        ("/v1/subjects/s/versions?offset=1000", 1),
        ("/subjects/s/versions", 1_001),
    ];
    for (path, expected) in table {
        let listed = server.get(path).await;
        assert_eq!(listed.as_array().map(Vec::len), Some(expected), "{path}");
    }
    let records = server.get("/v1/export").await;
    let is_version = |record: &&Value| record["key"]["keytype"] == "SCHEMA";
    let versions = records.as_array().unwrap().iter().filter(is_version);
    assert_eq!(versions.count(), 1_001, "an export is whole");
}

// Conformance: registry/rest-10
#[tokio::test]
async fn compressed_bodies_are_rejected() {
    let server = TestServer::start().await;
    let post = |coding: &str, body: &'static [u8]| {
        let url = format!("{}/subjects/s/versions", server.url);
        let request = reqwest::Client::new().post(url);
        let request = request.header("Content-Type", "application/json");
        request.header("Content-Encoding", coding).body(body)
    };
    // The start of a gzip stream.
    for coding in ["gzip", "deflate", "br", "zstd"] {
        let response = post(coding, b"\x1f\x8b\x08").send().await.unwrap();
        assert_eq!(response.status().as_u16(), 415, "{coding}");
        let response: Value = response.json().await.unwrap();
        assert_eq!(response["error_code"], 415, "{coding}");
    }
    let plain = post("identity", b"{\"schema\":\"\\\"int\\\"\"}");
    assert_eq!(plain.send().await.unwrap().status().as_u16(), 200);
    assert_eq!(server.get("/subjects").await, json!(["s"]));
}

// Conformance: registry/rest-10
#[tokio::test]
async fn json_nesting_is_limited() {
    let server = TestServer::start().await;
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let body = |levels: usize| format!(r#"{{"schema":"\"int\"","ignored":{}}}"#, deep(levels));
    let register = "/subjects/s/versions";
    let table = [
        (PUT, "/config", 100, 200),
        (PUT, "/config", 200, 400),
        (PUT, "/config", 100_000, 400),
        // Ignored properties are skipped without a limit.
        (POST, register, 100_000, 200),
    ];
    for (method, path, levels, expected) in table {
        let response = server.send(method, path, Some(body(levels))).await;
        assert_eq!(response.status().as_u16(), expected, "{path} {levels}");
    }
    for levels in [1_000, 100_000] {
        let schema = format!(r#"{{"type":"int","ignored":{}}}"#, deep(levels));
        rejection(&server, "t", json!({ "schema": schema })).await;
    }
}

/// Each case exceeds a limit by one.
// Conformance: registry/rest-10
#[tokio::test]
async fn schema_above_any_limit_is_invalid() {
    let server = TestServer::start().await;
    let nested = |levels: usize| {
        let open = r#"{"type":"array","items":"#.repeat(levels);
        format!("{open}\"int\"{}", "}".repeat(levels))
    };
    server.register("deep", &nested(256)).await;
    let names = |count: usize, text: &dyn Fn(usize) -> String| {
        let names: Vec<String> = (0..count).map(text).collect();
        names.join(",")
    };
    let field = |at: usize| format!(r#"{{"name":"f{at}","type":"int"}}"#);
    let fields = names(5_001, &field);
    let symbols = names(10_001, &|at| format!("\"S{at}\""));
    let branches = names(4_097, &|at| named(&format!("F{at}")));
    let many = |at: usize| {
        let types = names(249, &|branch| named(&format!("T{at}x{branch}")));
        format!(r#"{{"name":"f{at}","type":[{types}]}}"#)
    };
    let many = names(81, &many);
    let record = |fields: &str| format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#);
    let table = [
        (nested(257), "types nest deeper than 256 levels"),
        (nested(5_000), ""),
        (record(&fields), "5001 fields; the maximum is 5000"),
        (
            format!(r#"{{"type":"enum","name":"E","symbols":[{symbols}]}}"#),
            "10001 symbols; the maximum is 10000",
        ),
        (
            format!("[{branches}]"),
            "4097 branches of a union; the maximum is 4096",
        ),
        (record(&many), "more than 20000 types"),
    ];
    for (schema, part) in table {
        let message = rejection(&server, "s", json!({ "schema": schema })).await;
        assert!(
            message.contains(part),
            "{part}: {}",
            &message[message.len() - 200..]
        );
    }
    let listed = server.call(GET, "/subjects", None).await;
    assert_eq!(listed, (200, json!(["deep"])));
}

/// A schema of about 750 KB that is sent with 2.7 MB of indentation, as public FHIR schemas are.
// Conformance: registry/rest-10
#[tokio::test]
async fn indentation_does_not_count_as_schema_size() {
    let server = TestServer::start().await;
    let doc = "x".repeat(100);
    let fields = (0..4_000).map(|at| {
        let name = format!("field{at:04}");
        json!({ "name": name, "type": ["null", "string"], "default": null, "doc": doc })
    });
    let schema = json!({ "type": "record", "name": "R", "fields": fields.collect::<Vec<_>>() });
    let mut indented = Vec::new();
    let indent = PrettyFormatter::with_indent(&[b' '; 24]);
    let mut serializer = Serializer::with_formatter(&mut indented, indent);
    schema.serialize(&mut serializer).unwrap();
    let indented = String::from_utf8(indented).unwrap();
    assert!(indented.len() > 2_700_000, "{}", indented.len());

    server.register("s", &indented).await;
    let stored = server.get("/schemas/ids/1").await;
    let stored = stored["schema"].as_str().unwrap();
    assert!(
        (600_000..1_000_000).contains(&stored.len()),
        "{}",
        stored.len()
    );
    assert_eq!(
        server.register("s", stored).await,
        (1, 1),
        "the same schema"
    );
}

// Conformance: registry/rest-2, registry/rest-10
#[tokio::test]
async fn size_errors_name_their_setting() {
    let server = TestServer::start_with(|config| {
        config.schema_bytes = 100;
        config.body_bytes = 1_000;
    });
    let server = server.await;
    let path = "/subjects/s/versions";
    let long = format!(
        "{{ \"type\" : \"fixed\", \"size\" : 4, \"name\" : \"{}\" }}",
        "x".repeat(100)
    );
    let body = Some(json!({ "schema": long }));
    let (code, message) = server.rejected(POST, path, body).await;
    assert_eq!(code, 42209, "{message}");
    assert!(message.starts_with("Register operation failed because schema is too large"));
    assert!(
        message.contains("--registry-schema-bytes permits 100"),
        "{message}"
    );

    let body = Some(json!({ "schema": "x".repeat(1_000) }));
    let (code, message) = server.rejected(POST, path, body).await;
    assert_eq!(code, 413, "{message}");
    assert!(
        message.contains("1000 bytes; --registry-body-bytes"),
        "{message}"
    );
}
