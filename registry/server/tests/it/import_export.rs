//! Export and import of records in Confluent's format.

use avouch_registry_api::remote::RemoteSource;
use avouch_registry_api::source::SchemaSource;
use reqwest::Method;
use serde_json::{Value, json};

use crate::schema_id;
use crate::server::{NOW_MS, TestServer};

const POST: Method = Method::POST;
const PUT: Method = Method::PUT;

fn version(subject: &str, version: i32, id: i32, schema: &str, deleted: bool) -> Value {
    json!({
        "key": { "keytype": "SCHEMA", "subject": subject, "version": version, "magic": 1 },
        "value": {
            "subject": subject, "version": version, "id": id, "schema": schema,
            "deleted": deleted, "md5": "ignored", "guid": "ignored",
        },
    })
}

fn setting(kind: &str, subject: Option<&str>, value: Value) -> Value {
    let key = json!({ "keytype": kind, "subject": subject, "magic": 0 });
    let mut record = json!({ "key": key });
    record["value"] = value;
    record
}

async fn importing() -> TestServer {
    let server = TestServer::start().await;
    let mode = Some(json!({ "mode": "IMPORT" }));
    server.ok(PUT, "/mode", mode).await;
    server
}

// Conformance: registry/rule-15
#[tokio::test]
async fn import_applies_all_record_kinds() {
    let server = importing().await;
    let money = r#"{"type":"record","name":"M","namespace":"n","fields":[]}"#;
    let mut referring = version("order", 1, 4, r#"["null","n.M"]"#, false);
    let reference = json!([{ "name": "n.M", "subject": "money", "version": 2 }]);
    referring["value"]["references"] = reference;
    referring["value"]["ts"] = json!(1_234);
    let records = json!({ "records": [
        { "key": { "keytype": "NOOP", "magic": 0 }, "value": null },
        { "key": { "keytype": "CONTEXT", "tenant": "default", "context": ".c", "magic": 0 },
          "value": { "tenant": "default", "context": ".c" } },
        referring,
        version("money", 2, 3, money, false),
        version("gone", 1, 5, "\"int\"", false),
        version("gone", 2, 6, "\"long\"", false),
        { "key": { "keytype": "DELETE_SUBJECT", "subject": "gone", "magic": 0 },
          "value": { "subject": "gone", "version": 2 } },
        version("gone", 3, 7, "\"string\"", false),
        { "key": { "keytype": "SCHEMA", "subject": "gone", "version": 1, "magic": 1 } },
        setting("CLEAR_SUBJECT", Some("gone"), json!({ "subject": "gone" })),
        setting("CONFIG", Some("gone"), json!({ "subject": "gone", "compatibilityLevel": "NONE",
            "normalize": true })),
        setting("CONFIG", Some("money"), json!({ "compatibilityLevel": "FULL" })),
        setting("CONFIG", Some("money"), Value::Null),
        setting("MODE", Some("money"), json!({ "subject": "money", "mode": "READONLY" })),
    ] });
    let imported = server.ok(POST, "/v1/import", Some(records)).await;
    assert_eq!(imported, json!({ "imported": 14 }));
    let gone = server
        .get("/subjects/gone/versions?deletedAsNegative=true")
        .await;
    assert_eq!(gone, json!([-2, 3]));
    assert_eq!(
        server.rejected(Method::GET, "/schemas/ids/5", None).await.0,
        40403
    );
    let order = server
        .get("/subjects/order/versions/1?format=resolved")
        .await;
    assert_eq!((&order["id"], &order["ts"]), (&json!(4), &json!(1_234)));
    let written_out = order["schema"].as_str().unwrap();
    assert!(written_out.contains(r#""name":"M""#), "{written_out}");
    assert_eq!(
        server.get("/subjects/money/versions/2/referencedby").await,
        json!([4])
    );
    let config = json!({ "compatibilityLevel": "NONE", "normalize": true });
    assert_eq!(server.get("/config/gone").await, config);
    assert_eq!(
        server.rejected(Method::GET, "/config/money", None).await.0,
        40408
    );
    assert_eq!(
        server.get("/mode/money").await,
        json!({ "mode": "READONLY" })
    );
    server
        .ok(PUT, "/mode", Some(json!({ "mode": "READWRITE" })))
        .await;
    assert_eq!(
        server.register("new", "\"bytes\"").await,
        (8, 1),
        "ids go on above"
    );
}

// Conformance: registry/rule-15
#[tokio::test]
async fn import_is_atomic() {
    let server = importing().await;
    let clash = json!({ "records": [
        version("a", 1, 1, "\"int\"", false),
        version("b", 1, 1, "\"long\"", false),
    ] });
    let (code, message) = server.rejected(POST, "/v1/import", Some(clash)).await;
    assert_eq!(code, 42205);
    assert_eq!(
        message,
        "Overwrite new schema with id 1 in context . is not permitted."
    );
    let bad = json!({ "records": [
        version("a", 1, 1, "\"int\"", false),
        setting("MODE", None, json!({ "mode": "SOMETIMES" })),
    ] });
    let (code, message) = server.rejected(POST, "/v1/import", Some(bad)).await;
    assert_eq!(code, 400);
    assert!(message.starts_with("record 2: "), "{message}");
    assert_eq!(server.get("/subjects").await, json!([]));

    let one = json!({ "records": [version("a", 1, 1, "\"int\"", false)] });
    for _ in 0..2 {
        server.ok(POST, "/v1/import", Some(one.clone())).await;
    }
    server
        .ok(PUT, "/mode", Some(json!({ "mode": "READWRITE" })))
        .await;
    let (code, message) = server.rejected(POST, "/v1/import", Some(one)).await;
    assert_eq!(
        (code, message.as_str()),
        (42205, "The registry is not in import mode")
    );
}

// Conformance: registry/rule-15
#[tokio::test]
async fn export_and_import_round_trip() {
    let server = TestServer::start().await;
    server
        .ok(PUT, "/config", Some(json!({ "compatibility": "NONE" })))
        .await;
    server.register("s", "\"int\"").await;
    server.register("s", "\"long\"").await;
    server.delete("/subjects/s/versions/1").await;
    let ruled = json!({
        "schema": "\"int\"", "metadata": { "properties": { "owner": "pay" } },
        "ruleSet": { "domainRules": [{ "name": "r", "type": "CEL" }] },
    });
    server.register_body("t", ruled).await;
    let text = json!({ "schema": "{}", "schemaType": "JSON" });
    server.register_body("j", text).await;
    server
        .ok(PUT, "/config/s", Some(json!({ "alias": "t" })))
        .await;
    server
        .ok(PUT, "/mode/t", Some(json!({ "mode": "READONLY" })))
        .await;
    let records = server.get("/v1/export").await;

    let copy = importing().await;
    copy.ok(POST, "/v1/import", Some(json!({ "records": records })))
        .await;
    let paths = [
        "/schemas?deleted=true",
        "/config",
        "/config/s",
        "/mode/t",
        "/schemas/ids/1/versions?deleted=true",
        "/v1/subjects/t/versions",
    ];
    for path in paths {
        assert_eq!(server.get(path).await, copy.get(path).await, "{path}");
    }
    let history = copy.get("/v1/subjects/t/versions").await;
    assert_eq!(history[0]["createdAtMs"], NOW_MS);
}

// Conformance: registry/rule-15
#[tokio::test]
async fn export_includes_contexts_without_versions() {
    let server = TestServer::start().await;
    server.register("s", "\"int\"").await;
    server.register("t", "\"long\"").await;
    server.register(":.gone:s", "\"int\"").await;
    for subject in ["t", ":.gone:s"] {
        server.delete(&format!("/subjects/{subject}")).await;
        let path = format!("/subjects/{subject}?permanent=true");
        server.delete(&path).await;
    }
    let full = json!({ "compatibility": "FULL" });
    for scope in [":.bare:", ":.bare:x", ":.__GLOBAL:"] {
        let path = format!("/config/{scope}");
        server.ok(PUT, &path, Some(full.clone())).await;
    }
    let records = server.get("/v1/export").await;
    let copy = importing().await;
    copy.ok(POST, "/v1/import", Some(json!({ "records": records })))
        .await;
    for path in ["/config/:.bare:", "/config/:.bare:x", "/config/:.__GLOBAL:"] {
        assert_eq!(server.get(path).await, copy.get(path).await, "{path}");
    }
    copy.delete("/mode").await;
    assert_eq!(copy.get("/v1/export").await, records);
    for (subject, id) in [("u", 3), (":.gone:u", 2), (":.new:u", 1)] {
        assert_eq!(copy.register(subject, "\"bytes\"").await.0, id, "{subject}");
    }
    let key = json!({ "keytype": "CONTEXT", "tenant": "default", "context": "c", "magic": 0 });
    let bad = json!({ "records": [{ "key": key, "value": { "maxId": 7 } }] });
    copy.ok(PUT, "/mode?force=true", Some(json!({ "mode": "IMPORT" })))
        .await;
    let (code, message) = copy.rejected(POST, "/v1/import", Some(bad)).await;
    assert_eq!(code, 400, "{message}");
}

/// Schemas that are rejected today and were accepted by older registries.
const BAD_DEFAULT: &str =
    r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":"one"}]}"#;
const BAD_NAME: &str = r#"{"type":"record","name":"R-1","fields":[{"name":"a b","type":"int"}]}"#;

// Conformance: registry/rule-11
#[tokio::test]
async fn import_mode_accepts_legacy_schemas() {
    let server = importing().await;
    let path = "/subjects/s/versions";
    for (version, schema) in [(1, BAD_DEFAULT), (2, BAD_NAME)] {
        let spaced = schema.replace(",\"", ", \"");
        let body = json!({ "schema": spaced, "id": 10 + version, "version": version });
        let imported = server.ok(POST, path, Some(body)).await;
        assert_eq!(imported["schema"], schema, "canonical all the same");
    }
    let no_schema = json!({ "schema": "{}", "id": 20, "version": 9 });
    assert_eq!(server.rejected(POST, path, Some(no_schema)).await.0, 42201);
    server
        .ok(PUT, "/mode", Some(json!({ "mode": "READWRITE" })))
        .await;
    let found = Some(json!({ "schema": BAD_DEFAULT }));
    assert_eq!(server.ok(POST, "/subjects/s", found).await["id"], 11);
    let next = BAD_NAME.replace("R-1", "R_1").replace("a b", "a_b");
    let verdict = server
        .ok(
            POST,
            "/compatibility/subjects/s/versions/latest?verbose=true",
            Some(json!({ "schema": next })),
        )
        .await;
    assert_eq!(verdict["is_compatible"], false, "{verdict}");
    server.set_level("s", "NONE").await;
    server.register("s", &next).await;
    let new = Some(json!({ "schema": BAD_DEFAULT }));
    let rejected = server.rejected(POST, "/subjects/new/versions", new.clone());
    assert_eq!(rejected.await.0, 42201, "a new schema is rejected");
    let lenient = json!({ "validateNewSchemas": false });
    server.ok(PUT, "/config/new", Some(lenient)).await;
    server.ok(POST, "/subjects/new/versions", new).await;
}

/// Imported schemas that cannot be parsed: requests return the reason, and none is a server error.
// Conformance: registry/rule-11
#[tokio::test]
async fn unreadable_schema_is_no_server_error() {
    let server = importing().await;
    let mut dangling = version("dangling", 1, 1, r#"["null","n.M"]"#, false);
    dangling["value"]["references"] =
        json!([{ "name": "n.M", "subject": "nowhere", "version": 2 }]);
    let broken = version("broken", 1, 2, "{\"type\":", false);
    let deleted = [("dangling", 3, 1), ("broken", 3, 2)].map(|(subject, number, id)| {
        let mut record = version(subject, number, id, "", true);
        let source = if id == 1 { &dangling } else { &broken };
        for name in ["schema", "references"] {
            record["value"][name] = source["value"][name].clone();
        }
        record
    });
    let [one, two] = deleted;
    let records = json!({ "records": [dangling, broken, one, two] });
    server.ok(POST, "/v1/import", Some(records)).await;
    server
        .ok(PUT, "/mode", Some(json!({ "mode": "READWRITE" })))
        .await;
    let int = || Some(json!({ "schema": "\"int\"" }));
    for (subject, id, reason) in [
        ("dangling", 1, "subject \"nowhere\" and version 2"),
        ("broken", 2, "version 1"),
    ] {
        let by_version = format!("/subjects/{subject}/versions/1");
        let readable = [
            by_version.clone(),
            format!("{by_version}/schema"),
            format!("/schemas/ids/{id}"),
            format!("/schemas/ids/{id}/versions"),
        ];
        for path in readable {
            let response = server.send(Method::GET, &path, None).await;
            assert_eq!(response.status().as_u16(), 200, "{path}");
        }
        let versions = format!("/subjects/{subject}/versions");
        let check = format!("/compatibility/subjects/{subject}/versions/latest");
        let undelete = format!("/v1/subjects/{subject}/versions/3/undelete");
        for (path, body) in [(&versions, int()), (&check, int()), (&undelete, None)] {
            let (code, message) = server.rejected(POST, path, body).await;
            assert_eq!(code, 42201, "{path}: {message}");
            assert!(message.contains(reason) || path == &undelete, "{message}");
        }
        let verbose = format!("{check}?verbose=true");
        let verdict = server.ok(POST, &verbose, int()).await;
        assert_eq!(verdict["is_compatible"], false);
        let look_up = format!("/subjects/{subject}?explain=true");
        assert_eq!(server.rejected(POST, &look_up, int()).await.0, 40403);
        server.set_level(subject, "NONE").await;
        server.register(subject, "\"int\"").await;
    }
    let resolved = "/schemas/ids/1?format=resolved";
    let (code, message) = server.rejected(Method::GET, resolved, None).await;
    assert_eq!(code, 42201, "{message}");
    let source = server.registry.source();
    let registered = source.schema(schema_id(1)).await.unwrap().unwrap();
    assert_eq!(registered.references, [""; 0], "the broker reports it");
    let remote = RemoteSource::new(&server.url).unwrap();
    assert_eq!(
        remote.schema(schema_id(1)).await.unwrap().unwrap(),
        registered
    );
}
