//! IDs, versions and equality of schemas.

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{INT_A, NOW_MS, OPTIONAL_B, TestServer, record};

const POST: Method = Method::POST;

#[tokio::test]
async fn registered_schema_is_found_by_all_lookups() {
    let server = TestServer::start().await;
    let text = record(&[INT_A]);
    let spaced = text.replace(':', " : ");
    let body = json!({ "schema": spaced });
    let registered = server
        .ok(POST, "/subjects/pay-value/versions", Some(body.clone()))
        .await;
    let guid = registered["guid"].as_str().unwrap().to_owned();
    let expected = json!({
        "version": 1, "id": 1, "guid": guid, "schemaType": "AVRO", "schema": text,
        "ts": NOW_MS, "deleted": false,
    });
    assert_eq!(registered, expected);

    let mut whole = json!({ "subject": "pay-value" });
    whole
        .as_object_mut()
        .unwrap()
        .extend(expected.as_object().unwrap().clone());
    for version in ["1", "latest", "LATEST", "-1"] {
        let path = format!("/subjects/pay-value/versions/{version}");
        assert_eq!(server.get(&path).await, whole, "{version}");
    }
    assert_eq!(
        server.ok(POST, "/subjects/pay-value", Some(body)).await,
        whole
    );
    assert_eq!(server.get("/schemas").await, json!([whole]));

    let by_id = server.get("/schemas/ids/1").await;
    assert_eq!(by_id["schema"], text);
    assert_eq!(by_id.get("subject"), None);
    assert_eq!(by_id.get("maxId"), None);
    let by_id = server
        .get("/schemas/ids/1?subject=pay-value&fetchMaxId=True")
        .await;
    let returned = ["subject", "version", "maxId"].map(|name| by_id[name].clone());
    assert_eq!(returned, [json!("pay-value"), json!(1), json!(1)]);
    assert_eq!(
        server.get("/schemas/ids/1?subject=unknown").await["schema"],
        text
    );

    let by_guid = server.get(&format!("/schemas/guids/{guid}")).await;
    assert_eq!(by_guid["schema"], text);
    let ids = server.get(&format!("/schemas/guids/{guid}/ids")).await;
    assert_eq!(ids, json!([{ "context": ".", "id": 1 }]));
    assert_eq!(server.get("/subjects").await, json!(["pay-value"]));
    assert_eq!(server.get("/subjects/pay-value/versions").await, json!([1]));
    assert_eq!(
        server.get("/schemas/ids/1/subjects").await,
        json!(["pay-value"])
    );
    let places = json!([{ "subject": "pay-value", "version": 1 }]);
    assert_eq!(server.get("/schemas/ids/1/versions").await, places);
}

#[tokio::test]
async fn bare_schemas_have_no_wrapper() {
    let server = TestServer::start().await;
    server.register("s", r#"{"type":"string"}"#).await;
    for path in [
        "/schemas/ids/1/schema",
        "/subjects/s/versions/latest/schema",
    ] {
        let response = server.send(Method::GET, path, None).await;
        assert_eq!(response.text().await.unwrap(), "\"string\"", "{path}");
    }
}

// Conformance: registry/rule-1
#[tokio::test]
async fn equal_content_shares_id() {
    let server = TestServer::start().await;
    let plain = record(&[INT_A]);
    assert_eq!(server.register("a", &plain).await, (1, 1));
    assert_eq!(server.register("b", &plain).await, (1, 1));
    assert_eq!(
        server.register("a", &plain).await,
        (1, 1),
        "again under the same subject"
    );
    assert_eq!(
        server.register("a", &record(&[INT_A, OPTIONAL_B])).await,
        (2, 2)
    );
    assert_eq!(
        server.register("a", &plain).await,
        (1, 1),
        "not the latest any more"
    );

    let noted = json!({ "schema": plain, "metadata": { "properties": { "owner": "pay" } } });
    assert_eq!(
        server.register_body("c", noted.clone()).await,
        (3, 1),
        "metadata is identity"
    );
    assert_eq!(
        server.register("c", &plain).await,
        (3, 1),
        "metadata is inherited"
    );
    assert_eq!(
        server.get("/schemas/ids/3").await["metadata"],
        noted["metadata"]
    );
    let found = server.get("/subjects/c/metadata?key=owner&value=pay").await;
    assert_eq!(found["id"], 3);
    let path = "/subjects/c/metadata?key=owner&value=other";
    assert_eq!(server.rejected(Method::GET, path, None).await.0, 40403);
    let ruled = json!({
        "schema": plain,
        "ruleSet": { "domainRules": [
            { "name": "r", "kind": "CONDITION", "mode": "WRITE", "type": "CEL" },
        ] },
    });
    assert_eq!(
        server.register_body("d", ruled.clone()).await,
        (4, 1),
        "rules are identity"
    );
    assert_eq!(
        server.get("/schemas/ids/4").await["ruleSet"],
        ruled["ruleSet"]
    );
}

// Conformance: registry/rule-3
#[tokio::test]
async fn equivalent_schemas_are_one_version() {
    let server = TestServer::start().await;
    let (id, _) = server.register("s", &record(&[INT_A])).await;
    let spellings = [
        r#"{"name":"n.R","type":"record","fields":[{"type":{"type":"int"},"name":"a"}]}"#,
        r#"{"namespace":"n","name":"R","type":"record",
            "fields":[{"name":"a","type":"int","order":"ascending"}]}"#,
    ];
    for spelling in spellings {
        let body = json!({ "schema": spelling });
        let found = server.ok(POST, "/subjects/s", Some(body)).await;
        assert_eq!(found["id"], id, "{spelling}");
    }
    let documented = record(&[r#"{"name":"a","type":"int","doc":"x"}"#]);
    let body = json!({ "schema": documented });
    let (code, message) = server.rejected(POST, "/subjects/s", Some(body)).await;
    assert_eq!((code, message.as_str()), (40403, "Schema not found"));
}

// Conformance: registry/stores-7, registry/rule-1
#[tokio::test]
async fn ids_are_never_reused() {
    let server = TestServer::start().await;
    server.register("a", "\"int\"").await;
    assert_eq!(server.register("b", "\"string\"").await, (2, 1));
    server.delete("/subjects/b").await;
    server.delete("/subjects/b?permanent=true").await;
    let (code, message) = server.rejected(Method::GET, "/schemas/ids/2", None).await;
    assert_eq!((code, message.as_str()), (40403, "Schema 2 not found"));
    let server = server.restart().await;
    assert_eq!(
        server.get("/schemas/ids/1").await["schema"],
        "\"int\"",
        "ids survive"
    );
    assert_eq!(
        server.get("/schemas/ids/1?fetchMaxId=true").await["maxId"],
        2
    );
    assert_eq!(server.register("b", "\"string\"").await, (3, 1));
}

// Conformance: registry/rule-5
#[tokio::test]
async fn explicit_version_must_be_next() {
    let server = TestServer::start().await;
    server.register("s", "\"int\"").await;
    server.set_level("s", "NONE").await;
    let body = |version: i32| Some(json!({ "schema": "\"long\"", "version": version }));
    let path = "/subjects/s/versions";
    let (code, message) = server.rejected(POST, path, body(3)).await;
    assert_eq!(code, 42201);
    assert_eq!(message, "Version is not one more than previous version");
    assert_eq!(server.ok(POST, path, body(2)).await["version"], 2);
}

// Conformance: registry/rule-12
#[tokio::test]
async fn subjects_may_contain_special_characters() {
    let server = TestServer::start().await;
    let names = [
        ("subj%2Fect", "subj/ect"),
        ("a%20b", "a b"),
        ("a+b", "a+b"),
        ("a:b", "a:b"),
        ("100%25", "100%"),
        ("%25%32%46", "%2F"),
        ("sch%C3%A9ma", "sch\u{e9}ma"),
        ("*", "*"),
    ];
    for (encoded, name) in names {
        server.register(encoded, "\"int\"").await;
        let found = server.get(&format!("/subjects/{encoded}/versions/1")).await;
        assert_eq!(found["subject"], name);
    }
    let mut listed: Vec<&str> = names.iter().map(|(_, name)| *name).collect();
    listed.sort_unstable();
    assert_eq!(server.get("/subjects").await, json!(listed));
    assert_eq!(
        server.get("/subjects?subjectPrefix=a").await,
        json!(["a b", "a+b", "a:b"])
    );
    assert_eq!(
        server.get("/subjects?offset=1&limit=2").await,
        json!(listed[1..3])
    );
    let all = server.get("/subjects?subjectPrefix=:*:").await;
    assert_eq!(all.as_array().map(Vec::len), Some(names.len()));
}

// Conformance: registry/rest-9
#[tokio::test]
async fn other_schema_types_are_stored_unparsed() {
    let server = TestServer::start().await;
    let body = |text: &str| Some(json!({ "schema": text, "schemaType": "JSON" }));
    let path = "/subjects/j/versions";
    let first = server.ok(POST, path, body(r#"{"type": "object"}"#)).await;
    assert_eq!(first["schemaType"], "JSON");
    assert_eq!(first["schema"], r#"{"type": "object"}"#);
    let again = server.ok(POST, path, body(r#"{"type": "object"}"#)).await;
    assert_eq!(again["id"], first["id"]);
    let (code, message) = server.rejected(POST, path, body("{}")).await;
    assert_eq!(code, 40901);
    assert!(
        message.contains("Only Avro schemas are compared"),
        "{message}"
    );
    let avro = Some(json!({ "schema": "\"int\"" }));
    let (code, message) = server.rejected(POST, path, avro).await;
    assert_eq!(code, 40901);
    assert!(
        message.contains("Incompatible because of different schema type"),
        "{message}"
    );
    server.set_level("j", "NONE").await;
    assert_eq!(server.ok(POST, path, body("{}")).await["version"], 2);
    assert_eq!(
        server.get("/schemas/types").await,
        json!(["JSON", "PROTOBUF", "AVRO"])
    );
}

#[tokio::test]
async fn listing_selects_by_prefix_and_version() {
    let server = TestServer::start().await;
    server.register("a", &record(&[INT_A])).await;
    server.register("a", &record(&[INT_A, OPTIONAL_B])).await;
    server.register("b", "\"int\"").await;
    let places = |schemas: Value| -> Vec<(String, i64)> {
        let place = |schema: &Value| {
            let subject = schema["subject"].as_str().unwrap().to_owned();
            (subject, schema["version"].as_i64().unwrap())
        };
        schemas.as_array().unwrap().iter().map(place).collect()
    };
    let table: [(&str, &[(&str, i64)]); 4] = [
        ("/schemas", &[("a", 1), ("a", 2), ("b", 1)]),
        ("/schemas?latestOnly=true", &[("a", 2), ("b", 1)]),
        ("/schemas?subjectPrefix=b", &[("b", 1)]),
        ("/schemas?offset=1&limit=1", &[("a", 2)]),
    ];
    for (path, expected) in table {
        let expected: Vec<_> = expected
            .iter()
            .map(|&(subject, version)| (subject.to_owned(), version))
            .collect();
        assert_eq!(places(server.get(path).await), expected, "{path}");
    }
}
