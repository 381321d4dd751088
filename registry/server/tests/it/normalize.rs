//! Normalization and inlined references.

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::TestServer;

const POST: Method = Method::POST;
const KEPT: &str = concat!(
    r#"{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"long","#,
    r#""logicalType":"timestamp-millis","unit":"ms"},"default":0}],"owner":"pay","pii":false}"#
);
/// The same schema with its attributes in another order.
const SHUFFLED: &str = concat!(
    r#"{"pii":false,"owner":"pay","type":"record","name":"R","fields":[{"name":"a","type":"#,
    r#"{"type":"long","unit":"ms","logicalType":"timestamp-millis"},"default":0}]}"#
);

fn body(schema: &str) -> Option<Value> {
    Some(json!({ "schema": schema }))
}

// Conformance: registry/rule-3
#[tokio::test]
async fn normalized_lookup_ignores_attribute_order() {
    let server = TestServer::start().await;
    let path = "/subjects/s/versions?normalize=true";
    let first = server.ok(POST, path, body(SHUFFLED)).await;
    assert_eq!(first["schema"], KEPT);
    let again = server.ok(POST, path, body(KEPT)).await;
    assert_eq!(again["id"], first["id"]);
    let found = server
        .ok(POST, "/subjects/s?normalize=True", body(SHUFFLED))
        .await;
    assert_eq!(found["version"], 1);
    let plain = server.ok(POST, "/subjects/s", body(SHUFFLED)).await;
    assert_eq!(plain["version"], 1, "orders of properties do not count");
    let other = KEPT.replace("pay", "pays");
    let other = server.rejected(POST, "/subjects/s", body(&other)).await;
    assert_eq!(other.0, 40403, "their values do");
}

// Conformance: registry/rule-3
#[tokio::test]
async fn configured_normalization_excludes_imports() {
    let server = TestServer::start().await;
    let normalize = Some(json!({ "normalize": true }));
    let stored = server.ok(Method::PUT, "/config", normalize).await;
    assert_eq!(stored, json!({ "normalize": true }));
    assert_eq!(server.get("/config").await["normalize"], true);
    let first = server
        .ok(POST, "/subjects/s/versions", body(SHUFFLED))
        .await;
    assert_eq!(first["schema"], KEPT);

    let off = Some(json!({ "normalize": false }));
    server.ok(Method::PUT, "/config/own", off).await;
    let own = server
        .ok(POST, "/subjects/own/versions", body(SHUFFLED))
        .await;
    assert_ne!(own["schema"], KEPT);

    let import = Some(json!({ "mode": "IMPORT" }));
    server.ok(Method::PUT, "/mode/imported", import).await;
    let request = Some(json!({ "schema": SHUFFLED, "id": 77, "version": 1 }));
    let imported = server
        .ok(POST, "/subjects/imported/versions", request)
        .await;
    assert_ne!(imported["schema"], KEPT);
}

#[tokio::test]
async fn normalization_sorts_and_deduplicates_references() {
    let server = TestServer::start().await;
    for subject in ["x", "y"] {
        let text = format!(r#"{{"type":"fixed","name":"{subject}.F","size":1}}"#);
        server.register(subject, &text).await;
    }
    let [x, y] = ["x", "y"]
        .map(|subject| json!({ "name": format!("{subject}.F"), "subject": subject, "version": 1 }));
    let request = Some(json!({ "schema": r#"["x.F","y.F"]"#, "references": [y, x, y] }));
    let path = "/subjects/s/versions?normalize=true";
    let registered = server.ok(POST, path, request).await;
    assert_eq!(registered["references"], json!([x, y]));
    let path = "/compatibility/subjects/s/versions?normalize=true";
    let request = Some(json!({ "schema": r#"["x.F","y.F"]"#, "references": [x, y] }));
    assert_eq!(server.ok(POST, path, request).await["is_compatible"], true);
}

// Conformance: registry/rule-13
#[tokio::test]
async fn resolved_schema_is_self_contained() {
    let server = TestServer::start().await;
    let id = r#"{"type":"fixed","name":"Id","namespace":"n","size":16}"#;
    server.register("id", id).await;
    let reference = json!([{ "name": "n.Id", "subject": "id", "version": 1 }]);
    let request = json!({ "schema": r#"["null","n.Id"]"#, "references": reference });
    server.register_body("s", request).await;
    let resolved = format!(r#"["null",{id}]"#);
    let paths = [
        "/schemas/ids/2",
        "/subjects/s/versions/1",
        "/subjects/s/versions/latest",
    ];
    for path in paths {
        let with_format = format!("{path}?format=resolved");
        assert_eq!(server.get(&with_format).await["schema"], resolved, "{path}");
        let kept = server.get(&format!("{path}?format=other")).await;
        assert_eq!(kept["schema"], r#"["null","n.Id"]"#, "{path}");
    }
}
