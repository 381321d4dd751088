//! Contexts, each with its own subjects and IDs.

use avouch_registry_api::remote::RemoteSource;
use avouch_registry_api::source::SchemaSource;
use reqwest::Method;
use serde_json::{Value, json};

use crate::schema_id;
use crate::server::{INT_A, OPTIONAL_B, REQUIRED_B, TestServer, record};

async fn register(server: &TestServer, path: &str, schema: &str) -> (i64, i64) {
    let body = Some(json!({ "schema": schema }));
    let response = server.ok(Method::POST, path, body).await;
    (
        response["id"].as_i64().unwrap(),
        response["version"].as_i64().unwrap(),
    )
}

/// Default context: `s` with IDs 1 and 2. `.c`: `s` with ID 1 and `only` with ID 2.
async fn filled() -> TestServer {
    let server = TestServer::start().await;
    assert_eq!(server.register("s", "\"int\"").await, (1, 1));
    assert_eq!(server.register("s", "\"long\"").await, (2, 2));
    assert_eq!(server.register(":.c:s", "\"string\"").await, (1, 1));
    let versions = "/contexts/.c/subjects/only/versions";
    assert_eq!(register(&server, versions, "\"bytes\"").await, (2, 1));
    server
}

// Conformance: registry/contexts-1, registry/rule-9
#[tokio::test]
async fn contexts_have_own_ids_and_subjects() {
    let server = filled().await;
    assert_eq!(server.get("/contexts").await, json!([".", ".c"]));
    assert_eq!(
        server.get("/contexts?contextPrefix=.c").await,
        json!([".c"])
    );
    let table = [
        ("/subjects", json!([":.c:only", ":.c:s", "s"])),
        ("/subjects?subjectPrefix=:.:", json!(["s"])),
        ("/subjects?subjectPrefix=:.c:", json!([":.c:only", ":.c:s"])),
        ("/subjects?subjectPrefix=:.c:o", json!([":.c:only"])),
        (
            "/subjects?subjectPrefix=:*:",
            json!([":.c:only", ":.c:s", "s"]),
        ),
        ("/subjects?subjectPrefix=:*:s", json!([":.c:s", "s"])),
        ("/contexts/.c/subjects", json!([":.c:only", ":.c:s"])),
        ("/contexts/:.c:/subjects", json!([":.c:only", ":.c:s"])),
        ("/contexts/.c/subjects/s/versions", json!([1])),
        ("/subjects/:.c:s/versions", json!([1])),
        ("/subjects/:.:s/versions", json!([1, 2])),
    ];
    for (path, expected) in table {
        assert_eq!(server.get(path).await, expected, "{path}");
    }
    let listed = server.get("/contexts/.c/schemas").await;
    let subjects = listed.as_array().unwrap().iter();
    let subjects: Vec<&Value> = subjects.map(|schema| &schema["subject"]).collect();
    assert_eq!(subjects, [":.c:only", ":.c:s"]);
}

// Conformance: registry/contexts-2
#[tokio::test]
async fn id_is_resolved_in_requested_context() {
    let server = filled().await;
    let table = [
        ("/schemas/ids/1", "\"int\""),
        ("/schemas/ids/1?subject=:.c:", "\"string\""),
        ("/schemas/ids/1?subject=:.c:s", "\"string\""),
        ("/contexts/.c/schemas/ids/1", "\"string\""),
        ("/contexts/.c/schemas/ids/1?subject=s", "\"string\""),
        ("/schemas/ids/2?subject=s", "\"long\""),
        // The subject exists in another context only.
        ("/schemas/ids/2?subject=only", "\"bytes\""),
        // The subject does not exist: the default context.
        ("/schemas/ids/2?subject=none", "\"long\""),
    ];
    for (path, expected) in table {
        assert_eq!(server.get(path).await["schema"], expected, "{path}");
    }
    let holders = server.get("/contexts/.c/schemas/ids/2/versions").await;
    assert_eq!(holders, json!([{ "subject": ":.c:only", "version": 1 }]));
    let (code, _) = server
        .rejected(Method::GET, "/contexts/.c/schemas/ids/3", None)
        .await;
    assert_eq!(code, 40403);
}

// Conformance: registry/contexts-2
#[tokio::test]
async fn guid_is_equal_in_all_contexts() {
    let server = filled().await;
    register(&server, "/contexts/.d/subjects/x/versions", "\"long\"").await;
    let guid = server.get("/schemas/ids/2").await["guid"].clone();
    let guid = guid.as_str().unwrap();
    let places = server.get(&format!("/schemas/guids/{guid}/ids")).await;
    let expected = json!([{ "context": ".", "id": 2 }, { "context": ".d", "id": 1 }]);
    assert_eq!(places, expected);
}

// Conformance: registry/contexts-2
#[tokio::test]
async fn resolved_guid_uses_types_of_its_context() {
    let server = TestServer::start().await;
    let money = r#"{"type":"fixed","name":"Money","size":8}"#;
    server.register(":.c:money", money).await;
    let reference = json!({ "name": "Money", "subject": "money", "version": 1 });
    let body = json!({ "schema": r#"["null","Money"]"#, "references": [reference] });
    server.register_body(":.c:price", body).await;
    let guid = server.get("/contexts/.c/schemas/ids/2").await["guid"].clone();
    let guid = guid.as_str().unwrap();
    let path = format!("/schemas/guids/{guid}?format=resolved");
    let text = server.get(&path).await["schema"].clone();
    assert_eq!(text, format!(r#"["null",{money}]"#));
}

// Conformance: registry/contexts-3, registry/rule-9
#[tokio::test]
async fn unqualified_name_finds_subject_elsewhere() {
    let server = filled().await;
    let latest = server.get("/subjects/only/versions/latest").await;
    assert_eq!(latest["subject"], ":.c:only");
    assert_eq!(server.get("/subjects/only/versions").await, json!([1]));
    let body = Some(json!({ "schema": "\"bytes\"" }));
    let found = server.ok(Method::POST, "/subjects/only", body).await;
    assert_eq!(found["id"], 2);
    let (code, _) = server
        .rejected(Method::DELETE, "/subjects/only", None)
        .await;
    assert_eq!(code, 40401, "writers say what they mean");
}

// Conformance: registry/contexts-4
#[tokio::test]
async fn settings_inherit_from_context_and_global() {
    let server = TestServer::start().await;
    let level = |level: &str| Some(json!({ "compatibility": level }));
    let versions = "/subjects/:.c:s/versions";
    register(&server, versions, &record(&[INT_A])).await;
    let incompatible = Some(json!({ "schema": record(&[INT_A, REQUIRED_B]) }));
    let (code, _) = server
        .rejected(Method::POST, versions, incompatible.clone())
        .await;
    assert_eq!(code, 40901);
    server
        .ok(Method::PUT, "/contexts/.c/config", level("NONE"))
        .await;
    let shown = server.get("/config/:.c:s?defaultToGlobal=true").await;
    assert_eq!(shown["compatibilityLevel"], "NONE");
    let global = server.get("/config").await;
    assert_eq!(global["compatibilityLevel"], "BACKWARD");
    server.ok(Method::POST, versions, incompatible).await;

    let mode = Some(json!({ "mode": "READONLY" }));
    server.ok(Method::PUT, "/contexts/.c/mode", mode).await;
    let body = Some(json!({ "schema": record(&[INT_A, OPTIONAL_B]) }));
    let (code, message) = server.rejected(Method::POST, versions, body).await;
    assert_eq!(code, 42205);
    assert_eq!(message, "Subject :.c:s in context .c is in read-only mode");
    server.register("s", "\"int\"").await;
}

// Conformance: registry/contexts-5
#[tokio::test]
async fn qualified_references_cross_contexts() {
    let server = TestServer::start().await;
    let money = r#"{"type":"fixed","name":"Money","size":8}"#;
    let cents = r#"{"type":"fixed","name":"Cents","size":8}"#;
    server.register(":.c:money", money).await;
    server.register("cents", cents).await;
    let reference =
        |name: &str, subject: &str| json!({ "name": name, "subject": subject, "version": 1 });
    let schema = record(&[
        r#"{"name":"m","type":"Money"}"#,
        r#"{"name":"c","type":"Cents"}"#,
    ])
    .replace(",\"namespace\":\"n\"", "");
    let references = json!([reference("Money", "money"), reference("Cents", ":.:cents")]);
    let body = json!({ "schema": schema, "references": references });
    server.register_body(":.c:both", body.clone()).await;
    let resolved = server
        .get("/contexts/.c/schemas/ids/2?format=resolved")
        .await;
    let text = resolved["schema"].as_str().unwrap();
    assert!(text.contains(r#""size":8"#), "{text}");
    assert_eq!(
        server.get("/subjects/cents/versions/1/referencedby").await,
        json!([2])
    );
    let outside =
        json!({ "schema": r#"["null","R"]"#, "references": [reference("R", ":.c:both")] });
    let (id, _) = server.register_body("outside", outside).await;
    let id = i32::try_from(id).unwrap();
    let registered = server
        .registry
        .source()
        .schema(schema_id(id))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(registered.references, [money, cents, &schema]);
    let remote = RemoteSource::new(&server.url).unwrap();
    assert_eq!(
        remote.schema(schema_id(id)).await.unwrap().unwrap(),
        registered
    );
    let (code, _) = server
        .rejected(Method::DELETE, "/subjects/cents", None)
        .await;
    assert_eq!(code, 42206);
    let (code, _) = server
        .rejected(Method::POST, "/subjects/both/versions", Some(body))
        .await;
    assert_eq!(code, 42201, "the default context has no money");
}

// Conformance: registry/contexts-6
#[tokio::test]
async fn deleted_context_never_reuses_ids() {
    let server = filled().await;
    let (code, message) = server.rejected(Method::DELETE, "/contexts/.c", None).await;
    assert_eq!(code, 42211);
    assert_eq!(message, "The specified context '.c' is not empty.");
    for subject in ["s", "only"] {
        let path = format!("/contexts/.c/subjects/{subject}");
        server.delete(&path).await;
        server.delete(&format!("{path}?permanent=true")).await;
    }
    let response = server.send(Method::DELETE, "/contexts/.c", None).await;
    assert_eq!(response.status().as_u16(), 204);
    assert_eq!(server.get("/contexts").await, json!(["."]));
    let server = server.restart().await;
    assert_eq!(server.register(":.c:new", "\"int\"").await, (3, 1));
}
