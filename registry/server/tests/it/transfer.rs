//! A registry's content out and in, and records as Confluent writes them.

use reqwest::Method;
use serde_json::{Value, json};

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

#[tokio::test]
async fn records_of_every_kind_do_what_they_do_in_the_topic() {
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
        server.refused(Method::GET, "/schemas/ids/5", None).await.0,
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
        server.refused(Method::GET, "/config/money", None).await.0,
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

#[tokio::test]
async fn an_import_is_stored_whole_or_not_at_all() {
    let server = importing().await;
    let clash = json!({ "records": [
        version("a", 1, 1, "\"int\"", false),
        version("b", 1, 1, "\"long\"", false),
    ] });
    let (code, message) = server.refused(POST, "/v1/import", Some(clash)).await;
    assert_eq!(code, 42205);
    assert_eq!(
        message,
        "Overwrite new schema with id 1 in context . is not permitted."
    );
    let bad = json!({ "records": [
        version("a", 1, 1, "\"int\"", false),
        setting("MODE", None, json!({ "mode": "SOMETIMES" })),
    ] });
    let (code, message) = server.refused(POST, "/v1/import", Some(bad)).await;
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
    let (code, message) = server.refused(POST, "/v1/import", Some(one)).await;
    assert_eq!(
        (code, message.as_str()),
        (42205, "The registry is not in import mode")
    );
}

#[tokio::test]
async fn what_is_exported_imports_to_the_same_registry() {
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
    let paged = server.get("/v1/export?offset=3").await;
    assert_eq!(paged.as_array().map(Vec::len), Some(1));

    let copy = importing().await;
    copy.ok(POST, "/v1/import", Some(json!({ "records": records })))
        .await;
    let asked = [
        "/schemas?deleted=true",
        "/config",
        "/config/s",
        "/mode/t",
        "/schemas/ids/1/versions?deleted=true",
        "/v1/subjects/t/versions",
    ];
    for path in asked {
        assert_eq!(server.get(path).await, copy.get(path).await, "{path}");
    }
    let history = copy.get("/v1/subjects/t/versions").await;
    assert_eq!(history[0]["createdAtMs"], NOW_MS);
}
