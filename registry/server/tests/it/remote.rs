//! The registry as the source of schemas for a broker, in the same process and over HTTP.

use std::future::ready;
use std::sync::atomic::Ordering;

use avouch_registry_api::remote::RemoteSource;
use avouch_registry_api::source::{SchemaSource, SubjectVersion};
use avouch_registry_api::types::{SchemaType, Version};
use reqwest::Method;
use serde_json::{Value, json};

use crate::schema_id;
use crate::server::TestServer;

const MONEY: &str = r#"{"type":"fixed","name":"Money","namespace":"n","size":8}"#;
const PAYMENT: &str = concat!(
    r#"{"type":"record","name":"Payment","namespace":"n","#,
    r#""fields":[{"name":"amount","type":"Money"}]}"#
);

async fn filled() -> TestServer {
    let server = TestServer::start().await;
    server.register("money", MONEY).await;
    let reference = json!({ "name": "n.Money", "subject": "money", "version": 1 });
    let payment = json!({ "schema": PAYMENT, "references": [reference] });
    server
        .register_body("pay%2Fments-value", payment.clone())
        .await;
    server.register_body("a", payment).await;
    server.delete("/subjects/a").await;
    server
}

#[tokio::test]
async fn local_and_remote_source_agree() {
    let server = filled().await;
    let local = server.registry.source();
    let remote = RemoteSource::new(&server.url).unwrap();
    let schema = local.schema(schema_id(2)).await.unwrap().unwrap();
    assert_eq!(schema.text, PAYMENT);
    assert_eq!(schema.references, [MONEY]);
    assert_eq!(schema.schema_type, SchemaType::Avro);
    let place = |subject: &str, deleted| SubjectVersion {
        subject: subject.to_owned(),
        version: Version::FIRST,
        deleted,
    };
    assert_eq!(
        schema.versions,
        [place("a", true), place("pay/ments-value", false)]
    );
    assert_eq!(remote.schema(schema_id(2)).await.unwrap().unwrap(), schema);
    for source in [local.as_ref(), &remote as &dyn SchemaSource] {
        assert_eq!(source.schema(schema_id(99)).await.unwrap(), None);
        assert!(source.subject_exists("pay/ments-value").await.unwrap());
        assert!(!source.subject_exists("a").await.unwrap(), "soft-deleted");
        assert!(!source.subject_exists("none").await.unwrap());
    }
}

#[tokio::test]
async fn cached_schema_follows_changes() {
    let server = filled().await;
    let source = server.registry.source();
    let versions = async || {
        source
            .schema(schema_id(2))
            .await
            .unwrap()
            .unwrap()
            .versions
            .len()
    };
    assert_eq!(versions().await, 2);
    let before = source.freshness().seq();
    assert_eq!(server.get("/v1/changes?since=0").await["seq"], before);
    server.delete("/subjects/a?permanent=true").await;
    assert!(source.freshness().seq() > before);
    assert_eq!(versions().await, 1);
    server.delete("/subjects/pay%2Fments-value").await;
    server
        .delete("/subjects/pay%2Fments-value?permanent=true")
        .await;
    assert_eq!(source.schema(schema_id(2)).await.unwrap(), None);
}

#[tokio::test]
async fn change_sequence_grows_only_with_changes() {
    let server = filled().await;
    let seq = server.registry.source().freshness().seq();
    server.register("money", MONEY).await;
    assert_eq!(
        server.registry.source().freshness().seq(),
        seq,
        "registered before"
    );
    let server = server.restart().await;
    assert_eq!(server.registry.source().freshness().seq(), seq);
    server.set_level("money", "NONE").await;
    assert!(server.registry.source().freshness().seq() > seq);
}

#[tokio::test]
async fn remote_source_follows_changes() {
    let server = filled().await;
    let remote = RemoteSource::new(&server.url).unwrap();
    let freshness = remote.freshness();
    assert_eq!(freshness.seq(), 0);
    remote.poll_changes().await.unwrap();
    assert_eq!((freshness.seq(), epoch(&remote, 1)), (1, 2));
    remote.poll_changes().await.unwrap();
    assert_eq!(freshness.seq(), 1, "nothing changed");
    let local = server.registry.source();
    assert!(!freshness.is_immediate() && local.freshness().is_immediate());
    remote.follow_changes(ready(())).await;

    // While changes are followed, a change arrives without a query.
    let before = freshness.seq();
    let received = async {
        while freshness.seq() == before {
            tokio::task::yield_now().await;
        }
    };
    let change = async {
        server.set_level("money", "NONE").await;
        received.await;
    };
    remote.follow_changes(change).await;
    assert_eq!(freshness.seq(), before + 1);
    assert_eq!(epoch(&remote, 1), 2, "a setting changes no ID");

    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", unused.local_addr().unwrap());
    drop(unused);
    let unreachable = RemoteSource::new(&url).unwrap();
    assert!(unreachable.schema(schema_id(1)).await.is_err());
    assert!(unreachable.subject_exists("s").await.is_err());
    assert!(unreachable.freshness().is_reachable());
    assert!(unreachable.poll_changes().await.is_err());
    assert!(!unreachable.freshness().is_reachable());
}

fn epoch(source: &dyn SchemaSource, id: i32) -> u64 {
    source.freshness().epoch(id).load(Ordering::SeqCst)
}

/// Returns which of the IDs 1 to 4 have another epoch after `change`, at both sources.
async fn moved(server: &TestServer, change: impl Future<Output = ()>) -> Vec<i32> {
    let local = server.registry.source();
    let remote = RemoteSource::new(&server.url).unwrap();
    remote.poll_changes().await.unwrap();
    let epochs = |source: &dyn SchemaSource| [1, 2, 3, 4].map(|id| epoch(source, id));
    let before = (epochs(local.as_ref()), epochs(&remote));
    change.await;
    let of = |before: [u64; 4], now: [u64; 4]| {
        let ids = (1..).zip(before.into_iter().zip(now));
        let moved = ids.filter(|(_, (before, now))| before != now);
        moved.map(|(id, _)| id).collect::<Vec<i32>>()
    };
    let at_once = of(before.0, epochs(local.as_ref()));
    remote.poll_changes().await.unwrap();
    assert_eq!(of(before.1, epochs(&remote)), at_once);
    at_once
}

// Conformance: contract/3m
#[tokio::test]
async fn feed_lists_changed_ids_and_their_referrers() {
    let server = filled().await;
    let server = &server;
    let register = async |subject: &str, schema: &str| {
        server.register(subject, schema).await;
    };
    assert_eq!(moved(server, register("s", "\"int\"")).await, [3]);
    let elsewhere = register(":.c:s", "\"long\"");
    assert_eq!(
        moved(server, elsewhere).await,
        [] as [i32; 0],
        "in another context"
    );
    // Schema 2 references version 1 of `money`, which has ID 1.
    assert_eq!(moved(server, register("more", MONEY)).await, [1, 2]);
    let delete = async |path: &str| {
        server.delete(path).await;
    };
    assert_eq!(moved(server, delete("/subjects/s")).await, [3]);
    let permanently = delete("/subjects/s?permanent=true");
    assert_eq!(
        moved(server, permanently).await,
        [1, 2, 3, 4],
        "any may have changed"
    );
    let level = server.set_level("money", "NONE");
    assert_eq!(moved(server, level).await, [] as [i32; 0]);
}

async fn import(server: &TestServer, records: Value) {
    let body = json!({ "records": records });
    server.ok(Method::POST, "/v1/import", Some(body)).await;
}

fn record(subject: &str, id: i32, schema: &str, references: &Value) -> Value {
    json!({
        "key": { "keytype": "SCHEMA", "subject": subject, "version": 1, "magic": 1 },
        "value": {
            "subject": subject, "version": 1, "id": id, "schema": schema, "deleted": false,
            "references": references,
        },
    })
}

/// A reference can be imported after the schema that references it, and can be replaced later.
// Conformance: contract/3k
#[tokio::test]
async fn imported_reference_changes_its_referrers() {
    let server = TestServer::start().await;
    let mode = Some(json!({ "mode": "IMPORT" }));
    server.ok(Method::PUT, "/mode", mode).await;
    let local = server.registry.source();
    let remote = RemoteSource::new(&server.url).unwrap();
    let references = json!([{ "name": "n.Money", "subject": "money", "version": 1 }]);
    import(&server, json!([record("payment", 2, PAYMENT, &references)])).await;
    let smaller = MONEY.replace('8', "4");
    let mut before = [0, 0];
    for (step, text) in [None, Some(MONEY), Some(&smaller)].into_iter().enumerate() {
        if let Some(text) = text {
            let id = i32::try_from(10 + step).unwrap();
            import(&server, json!([record("money", id, text, &json!([]))])).await;
        }
        remote.poll_changes().await.unwrap();
        for (source, before) in [local.as_ref(), &remote].into_iter().zip(&mut before) {
            let schema = source.schema(schema_id(2)).await.unwrap().unwrap();
            assert_eq!(schema.references, Vec::from_iter(text), "step {step}");
            assert!(epoch(source, 2) > *before, "step {step}");
            *before = epoch(source, 2);
        }
    }
}

// Conformance: contract/3j
#[tokio::test]
async fn reimported_id_is_read_again() {
    let server = TestServer::start().await;
    server.register("s", "\"int\"").await;
    server.register(":.c:s", "\"int\"").await;
    let local = server.registry.source();
    let text = async |path: &str| {
        let (status, body) = server.call(Method::GET, path, None).await;
        (status == 200).then(|| body["schema"].clone())
    };
    let paths = ["/schemas/ids/1", "/contexts/.c/schemas/ids/1"];
    assert!(local.schema(schema_id(1)).await.unwrap().is_some());
    for path in paths {
        assert_eq!(text(path).await, Some(json!("\"int\"")));
    }
    for subject in ["s", ":.c:s"] {
        server.delete(&format!("/subjects/{subject}")).await;
        let permanently = format!("/subjects/{subject}?permanent=true&force=true");
        server.delete(&permanently).await;
    }
    let (status, _) = server.call(Method::DELETE, "/contexts/.c", None).await;
    assert_eq!(status, 204);
    assert_eq!(local.schema(schema_id(1)).await.unwrap(), None);
    for path in paths {
        assert_eq!(text(path).await, None);
    }
    let mode = Some(json!({ "mode": "IMPORT" }));
    for scope in ["/mode", "/mode/:.c:"] {
        server.ok(Method::PUT, scope, mode.clone()).await;
    }
    for subject in ["s", ":.c:s"] {
        let import = Some(json!({ "schema": "\"string\"", "id": 1, "version": 1 }));
        let path = format!("/subjects/{subject}/versions");
        server.ok(Method::POST, &path, import).await;
    }
    let schema = local.schema(schema_id(1)).await.unwrap().unwrap();
    assert_eq!(schema.text, "\"string\"");
    for path in paths {
        assert_eq!(text(path).await, Some(json!("\"string\"")));
    }
}

/// The change sequence does not identify a restored database, which may have any value.
// Conformance: contract/3f
#[tokio::test]
async fn restarted_registry_is_new_instance() {
    let server = filled().await;
    let instance = async |server: &TestServer| server.get("/v1/changes").await["instance"].clone();
    let first = instance(&server).await;
    assert!(first.is_string() && first == instance(&server).await);
    let server = server.restart().await;
    assert_ne!(first, instance(&server).await);
}
