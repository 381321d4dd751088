//! Configurations and modes.

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::TestServer;

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;
const DELETE: Method = Method::DELETE;

fn mode(word: &str) -> Option<Value> {
    Some(json!({ "mode": word }))
}

#[tokio::test]
async fn levels_are_set_inherited_and_deleted() {
    let server = TestServer::start().await;
    let level = |word: &str| json!({ "compatibilityLevel": word });
    assert_eq!(server.get("/config").await, level("BACKWARD"));
    let (code, message) = server.rejected(GET, "/config/s", None).await;
    assert_eq!(code, 40408);
    assert_eq!(
        message,
        "Subject 's' does not have subject-level compatibility configured"
    );
    assert_eq!(
        server.get("/config/s?defaultToGlobal=True").await,
        level("BACKWARD")
    );

    let full = Some(json!({ "compatibility": "full" }));
    assert_eq!(
        server.ok(PUT, "/config", full).await,
        json!({ "compatibility": "FULL" })
    );
    assert_eq!(
        server.get("/config/s?defaultToGlobal=true").await,
        level("FULL")
    );
    server.set_level("s", "NONE").await;
    assert_eq!(server.get("/config/s").await, level("NONE"));
    let server = server.restart().await;
    assert_eq!(
        server.get("/config").await,
        level("FULL"),
        "settings survive"
    );

    assert_eq!(server.delete("/config/s").await, level("NONE"));
    let (code, _) = server.rejected(DELETE, "/config/s", None).await;
    assert_eq!(code, 40401);
    assert_eq!(server.delete("/config").await, level("FULL"));
    assert_eq!(server.get("/config").await, level("BACKWARD"));
}

// Conformance: registry/rule-8
#[tokio::test]
async fn configuration_without_level_uses_server_default() {
    let server = TestServer::start().await;
    server
        .ok(PUT, "/config", Some(json!({ "compatibility": "NONE" })))
        .await;
    let group = json!({ "compatibilityGroup": "major" });
    assert_eq!(
        server.ok(PUT, "/config/s", Some(group.clone())).await,
        group
    );
    let shown = json!({ "compatibilityLevel": "BACKWARD", "compatibilityGroup": "major" });
    assert_eq!(server.get("/config/s").await, shown);
    server.register("s", "\"int\"").await;
    let body = Some(json!({ "schema": "\"string\"" }));
    assert_eq!(
        server.rejected(POST, "/subjects/s/versions", body).await.0,
        40901
    );
}

#[tokio::test]
async fn modes_are_set_inherited_and_deleted() {
    let server = TestServer::start().await;
    assert_eq!(server.get("/mode").await, json!({ "mode": "READWRITE" }));
    let (code, message) = server.rejected(GET, "/mode/s", None).await;
    assert_eq!(code, 40409);
    assert_eq!(
        message,
        "Subject 's' does not have subject-level mode configured"
    );
    let set = server
        .ok(PUT, "/mode/s?force=False", mode("readonly"))
        .await;
    assert_eq!(set, json!({ "mode": "READONLY" }));
    assert_eq!(server.get("/mode/s").await, json!({ "mode": "READONLY" }));
    assert_eq!(
        server.get("/mode/t?defaultToGlobal=true").await,
        json!({ "mode": "READWRITE" })
    );
    assert_eq!(
        server.delete("/mode/s").await,
        json!({ "mode": "READONLY" })
    );
    assert_eq!(server.rejected(DELETE, "/mode/s", None).await.0, 40401);
    server.ok(PUT, "/mode/s", mode("READONLY")).await;
    assert_eq!(
        server
            .ok(PUT, "/mode/s", Some(json!({ "mode": null })))
            .await,
        json!({})
    );
    assert_eq!(
        server.rejected(GET, "/mode/s", None).await.0,
        40409,
        "null clears"
    );
    server.ok(PUT, "/mode/s", mode("READONLY")).await;
    server.delete("/mode?recursive=true").await;
    assert_eq!(
        server.rejected(GET, "/mode/s", None).await.0,
        40409,
        "recursive clears"
    );
    assert_eq!(
        server.rejected(PUT, "/mode", mode("SOMETIMES")).await.0,
        42204
    );
}

// Conformance: registry/rule-11
#[tokio::test]
async fn read_only_mode_rejects_changes() {
    let server = TestServer::start().await;
    server.register("s", "\"int\"").await;
    server.ok(PUT, "/mode/s", mode("READONLY")).await;
    let schema = Some(json!({ "schema": "\"long\"" }));
    let level = Some(json!({ "compatibility": "NONE" }));
    let calls = [
        (POST, "/subjects/s/versions", schema.clone()),
        (DELETE, "/subjects/s", None),
        (DELETE, "/subjects/s/versions/1", None),
        (PUT, "/config/s", level.clone()),
    ];
    for (method, path, body) in calls {
        let rejected = server.rejected(method, path, body).await;
        let message = "Subject s in context . is in read-only mode".to_owned();
        assert_eq!(rejected, (42205, message), "{path}");
    }
    assert_eq!(
        server.get("/subjects/s/versions").await,
        json!([1]),
        "reading goes on"
    );
    server.ok(POST, "/subjects/other/versions", schema).await;
    server.ok(PUT, "/mode", mode("READONLY")).await;
    assert_eq!(server.rejected(PUT, "/config", level).await.0, 42205);
}

// Conformance: registry/rule-11
#[tokio::test]
async fn import_mode_accepts_ids_and_versions() {
    let server = TestServer::start().await;
    let import = |schema: &str, id: i32, version: i32| {
        Some(json!({ "schema": schema, "id": id, "version": version }))
    };
    let path = "/subjects/s/versions";
    let (code, message) = server.rejected(POST, path, import("\"int\"", 40, 7)).await;
    assert_eq!(code, 42205);
    assert_eq!(message, "Subject s in context . is not in import mode");

    server.ok(PUT, "/mode", mode("IMPORT")).await;
    let imported = server.ok(POST, path, import("\"int\"", 40, 7)).await;
    assert_eq!(
        (imported["id"].as_i64(), imported["version"].as_i64()),
        (Some(40), Some(7))
    );
    server.ok(POST, path, import("\"string\"", 12, 3)).await;
    assert_eq!(server.get(path).await, json!([3, 7]), "nothing is compared");
    let (code, message) = server.rejected(POST, path, import("\"long\"", 40, 8)).await;
    assert_eq!(code, 42205);
    assert_eq!(
        message,
        "Overwrite new schema with id 40 in context . is not permitted."
    );
    let other_id = Some(json!({ "schema": "\"int\"", "id": 41 }));
    assert_eq!(server.rejected(POST, path, other_id).await.0, 42207);
    let no_id = Some(json!({ "schema": "\"long\"" }));
    let (code, message) = server.rejected(POST, path, no_id).await;
    assert_eq!(code, 42205);
    assert_eq!(message, "Subject s in context . is not in read-write mode");

    server.ok(PUT, "/mode", mode("READWRITE")).await;
    let (id, version) = server.register("t", "\"boolean\"").await;
    assert_eq!((id, version), (41, 1), "ids go on above what was imported");
}

// Conformance: registry/rule-11
#[tokio::test]
async fn import_mode_requires_empty_scope() {
    let server = TestServer::start().await;
    server.register("s", "\"int\"").await;
    let (code, message) = server.rejected(PUT, "/mode", mode("IMPORT")).await;
    assert_eq!(
        (code, message.as_str()),
        (42205, "Cannot import since found existing subjects")
    );
    server.ok(PUT, "/mode/empty", mode("IMPORT")).await;
    server.ok(PUT, "/mode?force=true", mode("IMPORT")).await;
    assert_eq!(
        server.get("/subjects").await,
        json!(["s"]),
        "forced, everything stays"
    );

    server.ok(PUT, "/mode", mode("READWRITE")).await;
    server.delete("/subjects/s").await;
    server.ok(PUT, "/mode", mode("IMPORT")).await;
    assert_eq!(
        server.get("/subjects?deleted=true").await,
        json!([]),
        "soft-deleted ones go"
    );
}

// Conformance: registry/rule-11
#[tokio::test]
async fn mode_changes_can_be_disabled() {
    let server = TestServer::start_with(|config| config.mode_mutable = false).await;
    let calls = [
        (PUT, "/mode", mode("READONLY")),
        (PUT, "/mode/s", mode("READONLY")),
        (DELETE, "/mode", None),
    ];
    for (method, path, body) in calls {
        let rejected = server.rejected(method, path, body).await;
        assert_eq!(rejected, (42205, "Mode changes are not allowed".to_owned()));
    }
}
