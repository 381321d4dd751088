//! Soft and permanent deletion, and registrations after it.

use reqwest::Method;
use serde_json::json;

use crate::server::{INT_A, OPTIONAL_B, TestServer, record};

async fn two_versions() -> TestServer {
    let server = TestServer::start().await;
    server.register("s", &record(&[INT_A])).await;
    server.register("s", &record(&[INT_A, OPTIONAL_B])).await;
    server
}

// Conformance: registry/rule-6
#[tokio::test]
async fn soft_deleted_version_is_readable_by_id() {
    let server = two_versions().await;
    assert_eq!(server.delete("/subjects/s/versions/1").await, json!(1));
    assert_eq!(server.get("/subjects/s/versions").await, json!([2]));
    assert_eq!(
        server.get("/subjects/s/versions?deleted=TRUE").await,
        json!([1, 2])
    );
    assert_eq!(
        server.get("/subjects/s/versions?deletedOnly=true").await,
        json!([1])
    );
    assert_eq!(
        server
            .get("/subjects/s/versions?deletedAsNegative=true")
            .await,
        json!([-1, 2])
    );
    let (code, message) = server
        .rejected(Method::GET, "/subjects/s/versions/1", None)
        .await;
    assert_eq!((code, message.as_str()), (40402, "Version 1 not found."));
    assert_eq!(
        server.get("/subjects/s/versions/1?deleted=true").await["deleted"],
        true
    );
    assert_eq!(
        server.get("/schemas/ids/1").await["schema"],
        record(&[INT_A])
    );
    assert_eq!(server.get("/schemas/ids/1/subjects").await, json!([]));
    assert_eq!(
        server.get("/schemas/ids/1/subjects?deleted=true").await,
        json!(["s"])
    );
}

// Conformance: registry/rule-10
#[tokio::test]
async fn latest_is_always_a_live_version() {
    let server = two_versions().await;
    assert_eq!(server.delete("/subjects/s/versions/latest").await, json!(2));
    assert_eq!(
        server.get("/subjects/s/versions/latest?deleted=true").await["version"],
        1
    );
    server.delete("/subjects/s/versions/latest").await;
    let path = "/subjects/s/versions/latest?deleted=true";
    let (code, message) = server.rejected(Method::GET, path, None).await;
    assert_eq!((code, message.as_str()), (40402, "Version -1 not found."));
    let (code, _) = server
        .rejected(Method::GET, "/subjects/s/versions/latest", None)
        .await;
    assert_eq!(code, 40401);
}

// Conformance: registry/rule-6
#[tokio::test]
async fn reregistered_content_keeps_id() {
    let server = two_versions().await;
    server.delete("/subjects/s/versions/1").await;
    assert_eq!(server.register("s", &record(&[INT_A])).await, (1, 3));
    let versions = server.get("/subjects/s/versions?deleted=true").await;
    assert_eq!(versions, json!([2, 3]), "the soft-deleted one is replaced");
}

// Conformance: registry/rule-6
#[tokio::test]
async fn numbering_restarts_without_versions() {
    let server = two_versions().await;
    server.delete("/subjects/s/versions/2").await;
    server.delete("/subjects/s/versions/2?permanent=true").await;
    assert_eq!(
        server.register("s", &record(&[INT_A, OPTIONAL_B])).await,
        (3, 2)
    );
    assert_eq!(server.delete("/subjects/s").await, json!([1, 2]));
    assert_eq!(server.get("/subjects").await, json!([]));
    assert_eq!(server.get("/subjects?deleted=true").await, json!(["s"]));
    assert_eq!(server.get("/subjects?deletedOnly=true").await, json!(["s"]));
    assert_eq!(
        server.register("s", "\"int\"").await,
        (4, 3),
        "nothing live to agree with"
    );
    server.delete("/subjects/s").await;
    assert_eq!(
        server.delete("/subjects/s?permanent=True").await,
        json!([1, 2, 3])
    );
    assert_eq!(server.get("/subjects?deleted=true").await, json!([]));
    assert_eq!(server.register("s", "\"int\"").await, (5, 1));
}

// Conformance: registry/rule-6
#[tokio::test]
async fn deletion_checks_run_in_order() {
    let server = two_versions().await;
    server.delete("/subjects/s/versions/1").await;
    let table = [
        ("/subjects/s/versions/abc", 42202),
        ("/subjects/s/versions/0", 42202),
        ("/subjects/none/versions/1", 40401),
        ("/subjects/s/versions/9", 40402),
        ("/subjects/s/versions/1", 40406),
        ("/subjects/s/versions/2?permanent=true", 40407),
        ("/subjects/none", 40401),
        ("/subjects/none?permanent=true", 40401),
        ("/subjects/s?permanent=true", 40405),
    ];
    for (path, expected) in table {
        let (code, message) = server.rejected(Method::DELETE, path, None).await;
        assert_eq!(code, expected, "{path}: {message}");
    }
    server.delete("/subjects/s").await;
    let (code, message) = server.rejected(Method::DELETE, "/subjects/s", None).await;
    assert_eq!(code, 40404);
    assert_eq!(
        message,
        "Subject 's' was soft deleted.Set permanent=true to delete permanently"
    );
}

// Conformance: registry/rule-6
#[tokio::test]
async fn deleted_subject_leaves_no_settings() {
    let server = two_versions().await;
    server.set_level("s", "FULL").await;
    server.delete("/subjects/s").await;
    assert_eq!(
        server.get("/config/s").await["compatibilityLevel"],
        "FULL",
        "a soft delete keeps"
    );
    server.delete("/subjects/s?permanent=true").await;
    let (code, _) = server.rejected(Method::GET, "/config/s", None).await;
    assert_eq!(code, 40408);
}
