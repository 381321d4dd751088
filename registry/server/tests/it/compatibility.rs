//! The versions that a new schema is compared with, and the error messages.

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{INT_A, OPTIONAL_B, REQUIRED_B, STRING_A, TestServer, record};

const POST: Method = Method::POST;
const LEVELS: [&str; 7] = [
    "NONE",
    "BACKWARD",
    "BACKWARD_TRANSITIVE",
    "FORWARD",
    "FORWARD_TRANSITIVE",
    "FULL",
    "FULL_TRANSITIVE",
];
const LEVELS_BACKWARD: [&str; 3] = ["NONE", "BACKWARD", "BACKWARD_TRANSITIVE"];
const LEVELS_FORWARD: [&str; 3] = ["NONE", "FORWARD", "FORWARD_TRANSITIVE"];

fn schema(text: &str) -> Option<Value> {
    Some(json!({ "schema": text }))
}

#[tokio::test]
async fn incompatible_registration_lists_reasons() {
    let server = TestServer::start().await;
    let old = record(&[INT_A]);
    server.register("s", &old).await;
    let new = record(&[STRING_A]);
    let rejected = server
        .rejected(POST, "/subjects/s/versions", schema(&new))
        .await;
    let expected = format!(
        "Schema being registered is incompatible with an earlier schema for subject \"s\", \
         details: [{{errorType:'TYPE_MISMATCH', description:'The type (path '/fields/0/type') of a \
         field in the new schema does not match with the old schema', additionalInfo:'reader type: \
         STRING not compatible with writer type: INT'}}, {{oldSchemaVersion: 1}}, {{oldSchema: \
         '{old}'}}, {{validateFields: 'false', compatibility: 'BACKWARD'}}]"
    );
    assert_eq!(rejected, (40901, expected));
    assert_eq!(server.get("/subjects/s/versions").await, json!([1]));
    let forced = server
        .ok(POST, "/subjects/s/versions?force=true", schema(&new))
        .await;
    assert_eq!(forced["version"], 2);
}

// Conformance: registry/rest-8
#[tokio::test]
async fn incompatibility_code_is_configurable() {
    let server = TestServer::start_with(|config| config.incompatible_code = 409).await;
    server.register("s", "\"int\"").await;
    let (code, _) = server
        .rejected(POST, "/subjects/s/versions", schema("\"string\""))
        .await;
    assert_eq!(code, 409);
}

/// Registered schemas, the new schema, and the levels at which it is compatible.
// Conformance: registry/rule-7
#[tokio::test]
async fn levels_select_versions_and_direction() {
    let a = record(&[INT_A]);
    let a_b = record(&[INT_A, OPTIONAL_B]);
    let a_b_required = record(&[INT_A, REQUIRED_B]);
    let empty = record(&[]);
    let all: &[&str] = &LEVELS;
    let but_transitive_backward = &["NONE", "BACKWARD", "FORWARD", "FORWARD_TRANSITIVE", "FULL"];
    let histories: [(&str, &[&str], &str, &[&str]); 5] = [
        ("nothing to agree with", &[], &a, all),
        ("an optional field comes", &[&a], &a_b, all),
        (
            "a required field comes",
            &[&a],
            &a_b_required,
            &LEVELS_FORWARD,
        ),
        ("a required field goes", &[&a], &empty, &LEVELS_BACKWARD),
        (
            "the second can be read",
            &[&a, &a_b],
            &a_b_required,
            but_transitive_backward,
        ),
    ];
    let server = TestServer::start().await;
    for (index, (name, history, new, accepted_at)) in histories.into_iter().enumerate() {
        let subject = format!("s{index}");
        for version in history {
            server.register(&subject, version).await;
        }
        let check = format!("/compatibility/subjects/{subject}/versions");
        for level in LEVELS {
            server.set_level(&subject, level).await;
            let verdict = server.ok(POST, &check, schema(new)).await;
            let expected = accepted_at.contains(&level);
            assert_eq!(verdict["is_compatible"], expected, "{name} at {level}");
        }
    }
}

// Conformance: registry/rule-7
#[tokio::test]
async fn soft_deleted_versions_are_not_compared() {
    let server = TestServer::start().await;
    server.register("s", "\"int\"").await;
    server.set_level("s", "NONE").await;
    server.register("s", "\"string\"").await;
    server.set_level("s", "BACKWARD").await;
    let check = "/compatibility/subjects/s/versions";
    assert_eq!(
        server.ok(POST, check, schema("\"long\"")).await["is_compatible"],
        false
    );
    server.delete("/subjects/s/versions/2").await;
    assert_eq!(
        server.ok(POST, check, schema("\"long\"")).await["is_compatible"],
        true
    );
}

#[tokio::test]
async fn first_version_cannot_use_reserved_field() {
    let server = TestServer::start().await;
    let reserving = |schema: &str| {
        let properties = json!({ "confluent:reserved": "a" });
        json!({ "schema": schema, "metadata": { "properties": properties } })
    };
    let using = reserving(&record(&[INT_A]));
    server.register_body("unchecked", using.clone()).await;
    let checked = json!({ "validateFields": true });
    server.ok(Method::PUT, "/config/s", Some(checked)).await;
    let path = "/subjects/s/versions";
    let (code, message) = server.rejected(POST, path, Some(using)).await;
    assert_eq!(code, 40901, "{message}");
    assert!(message.contains("reserved field a"), "{message}");
    server.register_body("s", reserving("\"int\"")).await;
}

// Conformance: registry/rule-7
#[tokio::test]
async fn only_versions_of_same_group_are_compared() {
    let server = TestServer::start().await;
    let group = json!({ "compatibilityGroup": "major" });
    server.ok(Method::PUT, "/config/s", Some(group)).await;
    let of_major = |schema: &str, major: &str| {
        let properties = json!({ "major": major });
        json!({ "schema": schema, "metadata": { "properties": properties } })
    };
    server.register_body("s", of_major("\"int\"", "1")).await;
    let (_, version) = server.register_body("s", of_major("\"string\"", "2")).await;
    assert_eq!(version, 2, "another group");
    let path = "/subjects/s/versions";
    let rejected = server
        .rejected(POST, path, Some(of_major("\"boolean\"", "1")))
        .await;
    assert_eq!(rejected.0, 40901);
    server.register_body("s", of_major("\"long\"", "1")).await;
}

#[tokio::test]
async fn checks_handle_missing_versions() {
    let server = TestServer::start().await;
    let check = |version: &str| format!("/compatibility/subjects/none/versions/{version}");
    let verdict = server.ok(POST, &check("latest"), schema("\"int\"")).await;
    assert_eq!(verdict, json!({ "is_compatible": true }));
    let verdict = server
        .ok(POST, &check("latest?verbose=True"), schema("\"int\""))
        .await;
    assert_eq!(verdict, json!({ "is_compatible": true, "messages": [] }));
    for (version, code) in [("1", 40402), ("0", 42202), ("abc", 42202)] {
        let rejected = server
            .rejected(POST, &check(version), schema("\"int\""))
            .await;
        assert_eq!(rejected.0, code, "{version}");
    }
    let rejected = server
        .rejected(POST, &check("latest"), schema("nonsense"))
        .await;
    assert_eq!(rejected.0, 42201);
    let verdict = server
        .ok(POST, &check("latest?verbose=true"), schema("nonsense"))
        .await;
    assert_eq!(verdict["is_compatible"], false);
    assert!(
        verdict["messages"][0]
            .as_str()
            .unwrap()
            .starts_with("Invalid schema {subject=none,")
    );
}

// Conformance: registry/rule-7
#[tokio::test]
async fn check_compares_only_named_version() {
    let server = TestServer::start().await;
    server.set_level("s", "NONE").await;
    server.register("s", "\"string\"").await;
    server.register("s", "\"int\"").await;
    server.set_level("s", "BACKWARD_TRANSITIVE").await;
    let check = |version: i32| format!("/compatibility/subjects/s/versions/{version}");
    assert_eq!(
        server.ok(POST, &check(2), schema("\"long\"")).await["is_compatible"],
        true
    );
    assert_eq!(
        server.ok(POST, &check(1), schema("\"long\"")).await["is_compatible"],
        false
    );
}

#[tokio::test]
async fn full_reports_both_directions() {
    let server = TestServer::start().await;
    server.register("s", &record(&[INT_A])).await;
    server.set_level("s", "FULL").await;
    let path = "/compatibility/subjects/s/versions/1?verbose=true";
    let verdict = server.ok(POST, path, schema(&record(&[STRING_A]))).await;
    let messages = verdict["messages"].as_array().unwrap();
    let starts = [
        "{errorType:'TYPE_MISMATCH', description:'The type (path '/fields/0/type') of a field in \
         the old schema does not match with the new schema'",
        "{errorType:'TYPE_MISMATCH', description:'The type (path '/fields/0/type') of a field in \
         the new schema does not match with the old schema'",
        "{oldSchemaVersion: 1}",
        "{oldSchema: '",
        "{validateFields: 'false', compatibility: 'FULL'}",
    ];
    assert_eq!(messages.len(), starts.len(), "{messages:?}");
    for (message, start) in messages.iter().zip(starts) {
        assert!(message.as_str().unwrap().starts_with(start), "{message}");
    }
}

/// Schemas over 64 KiB are parsed and compared on another thread, with the same result.
#[tokio::test]
async fn large_schemas_are_compared_like_small_ones() {
    let server = TestServer::start().await;
    let enumeration = |count: usize| {
        let symbols: Vec<String> = (0..count)
            .map(|n| format!("\"SYMBOL_NUMBER_{n:05}\""))
            .collect();
        format!(
            r#"{{"type":"enum","name":"E","symbols":[{}]}}"#,
            symbols.join(",")
        )
    };
    let old = enumeration(4_000);
    assert!(old.len() > 64 << 10);
    server.register("s", &old).await;
    assert_eq!(server.register("s", &enumeration(4_001)).await, (2, 2));
    let fewer = schema(&enumeration(3_999));
    let (code, message) = server.rejected(POST, "/subjects/s/versions", fewer).await;
    assert_eq!(code, 40901);
    assert!(message.contains("[SYMBOL_NUMBER_03999, SYMBOL_NUMBER_04000]"));
    assert!(message.contains("{oldSchema: <truncated> '"));
}
