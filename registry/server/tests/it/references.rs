//! References to schemas of other subjects.

use avouch_registry_api::remote::RemoteSource;
use avouch_registry_api::source::SchemaSource;
use reqwest::Method;
use serde_json::{Value, json};

use crate::schema_id;
use crate::server::TestServer;

const MONEY: &str =
    r#"{"type":"record","name":"Money","namespace":"n","fields":[{"name":"cents","type":"long"}]}"#;
const PAYMENT: &str = concat!(
    r#"{"type":"record","name":"Payment","namespace":"n","#,
    r#""fields":[{"name":"amount","type":"Money"}]}"#
);
const ORDER: &str = concat!(
    r#"{"type":"record","name":"Order","namespace":"n","#,
    r#""fields":[{"name":"payment","type":"Payment"}]}"#
);

fn with_reference(schema: &str, name: &str, subject: &str, version: i32) -> Value {
    let reference = json!({ "name": name, "subject": subject, "version": version });
    json!({ "schema": schema, "references": [reference] })
}

async fn chain() -> TestServer {
    let server = TestServer::start().await;
    server.register("money", MONEY).await;
    server
        .register_body("payment", with_reference(PAYMENT, "n.Money", "money", -1))
        .await;
    server
        .register_body("order", with_reference(ORDER, "n.Payment", "payment", 1))
        .await;
    server
}

// Conformance: registry/rule-4
#[tokio::test]
async fn references_are_resolved_transitively() {
    let server = chain().await;
    let stored = server.get("/subjects/payment/versions/1").await;
    let reference = json!([{ "name": "n.Money", "subject": "money", "version": 1 }]);
    assert_eq!(
        stored["references"], reference,
        "-1 is stored as the latest version"
    );
    assert_eq!(stored["schema"], PAYMENT);
    assert_eq!(server.get("/schemas/ids/3").await["schema"], ORDER);
    let same = with_reference(PAYMENT, "n.Money", "money", 1);
    let found = server
        .ok(Method::POST, "/subjects/payment", Some(same))
        .await;
    assert_eq!(found["id"], 2);
    assert_eq!(
        server.get("/subjects/money/versions/1/referencedby").await,
        json!([2])
    );
    assert_eq!(
        server.get("/subjects/order/versions/1/referencedby").await,
        json!([])
    );
}

// Conformance: registry/rule-4
#[tokio::test]
async fn referenced_version_cannot_be_deleted() {
    let server = chain().await;
    let expected = "One or more references exist to the schema \
                    {magic=1,keytype=SCHEMA,subject=money,version=1}.";
    for path in ["/subjects/money/versions/1", "/subjects/money"] {
        let rejected = server.rejected(Method::DELETE, path, None).await;
        assert_eq!(rejected, (42206, expected.to_owned()), "{path}");
    }
    server.delete("/subjects/order").await;
    server.delete("/subjects/payment").await;
    assert_eq!(
        server.get("/subjects/money/versions/1/referencedby").await,
        json!([])
    );
    let all = "/subjects/money/versions/1/referencedby?deleted=true";
    assert_eq!(server.get(all).await, json!([2]));
}

/// Soft-deleted schemas do not protect their references, as in Confluent's `InMemoryCache`, which
/// removes the references of a schema when it is soft-deleted.
// Conformance: registry/rule-4
#[tokio::test]
async fn soft_deleted_referrers_permit_permanent_deletion() {
    for path in ["/subjects/money/versions/1", "/subjects/money"] {
        let server = chain().await;
        let permanent = format!("{path}?permanent=true");
        let (code, _) = server.rejected(Method::DELETE, &permanent, None).await;
        assert_eq!(code, 42206, "{path}: referenced by a live version");
        server.delete("/subjects/order").await;
        server.delete("/subjects/payment").await;
        server.delete(path).await;
        server.delete(&permanent).await;
        // The referrers stay readable as stored, and are not restored without their reference.
        assert_eq!(server.get("/schemas/ids/3").await["schema"], ORDER);
        let restore = "/v1/subjects/payment/versions/1/undelete";
        let (status, body) = server.call(Method::POST, restore, None).await;
        assert_ne!(status, 200, "{body}");
        for subject in ["order", "payment"] {
            let path = format!("/subjects/{subject}?permanent=true");
            server.delete(&path).await;
        }
    }
}

// Conformance: registry/rule-4
#[tokio::test]
async fn missing_references_are_rejected() {
    let server = chain().await;
    server.register("gone", "\"int\"").await;
    server.delete("/subjects/gone").await;
    let table = [
        (
            with_reference(PAYMENT, "n.Money", "none", 1),
            "subject \"none\" and version 1",
        ),
        (
            with_reference(PAYMENT, "n.Money", "money", 7),
            "subject \"money\" and version 7",
        ),
        (
            with_reference(PAYMENT, "n.Money", "gone", 1),
            "subject \"gone\" and version 1",
        ),
        (json!({ "schema": PAYMENT }), "details: "),
        (
            json!({ "schema": PAYMENT, "references": [{ "name": "n.Money" }] }),
            "A reference needs name, subject and version",
        ),
    ];
    for (body, part) in table {
        let rejected = server
            .rejected(Method::POST, "/subjects/x/versions", Some(body))
            .await;
        assert_eq!(rejected.0, 42201);
        assert!(rejected.1.contains(part), "{}", rejected.1);
    }
}

#[tokio::test]
async fn compatibility_check_resolves_references() {
    let server = chain().await;
    let broken = PAYMENT.replace(r#""type":"Money""#, r#""type":"string""#);
    let body = json!({ "schema": broken });
    let path = "/compatibility/subjects/payment/versions/latest?verbose=true";
    let verdict = server.ok(Method::POST, path, Some(body)).await;
    assert_eq!(verdict["is_compatible"], false, "{verdict}");
    let same = with_reference(PAYMENT, "n.Money", "money", 1);
    let verdict = server.ok(Method::POST, path, Some(same)).await;
    assert_eq!(verdict["is_compatible"], true, "{verdict}");
}

/// A name that is referenced in two versions.
// Conformance: registry/rule-4
#[tokio::test]
async fn first_version_of_repeated_name_is_used() {
    let server = TestServer::start().await;
    let money = |size: i32| format!(r#"{{"type":"fixed","name":"M","size":{size}}}"#);
    server.set_level("m", "NONE").await;
    server.register("m", &money(1)).await;
    server.register("m", &money(2)).await;
    let holder = |name: &str| {
        let field = r#"{"name":"m","type":"M"}"#;
        format!(r#"{{"type":"record","name":"{name}","fields":[{field}]}}"#)
    };
    for (subject, version) in [("A", 1), ("B", 2)] {
        let body = with_reference(&holder(subject), "M", "m", version);
        server.register_body(subject, body).await;
    }
    let refer =
        |name: &str| json!({ "name": name, "subject": name, "version": 1, "ignored": true });
    let remote = RemoteSource::new(&server.url).unwrap();
    for (first, second, size) in [("A", "B", 1), ("B", "A", 2)] {
        let references = json!([refer(first), refer(second)]);
        let body = json!({ "schema": r#"["A","B"]"#, "references": references });
        let (id, version) = server.register_body(&format!("{first}first"), body).await;
        let path = format!("/subjects/{first}first/versions/{version}?format=resolved");
        let text = server.get(&path).await["schema"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(text.contains(&money(size)), "{text}");
        assert_eq!(text.matches("fixed").count(), 1, "{text}");
        let id = i32::try_from(id).unwrap();
        let local = server
            .registry
            .source()
            .schema(schema_id(id))
            .await
            .unwrap()
            .unwrap();
        let texts = [money(size), holder(first), holder(second)];
        assert_eq!(local.references, texts);
        assert_eq!(remote.schema(schema_id(id)).await.unwrap().unwrap(), local);
    }
}
