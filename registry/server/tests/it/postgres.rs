//! Registry nodes on one PostgreSQL database. Ignored by plain `cargo test`, which needs Rust only;
//! `tests/run postgres` runs them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use avouch_registry::{Database, OpenError, Registry, RegistryConfig};
use avouch_registry_api::remote::RemoteSource;
use avouch_registry_api::source::SchemaSource;
use reqwest::Method;
use serde_json::json;

use crate::concurrency::{
    Nodes, fixed, ids_are_dense_and_unique_by_content,
    versions_are_dense_and_never_break_the_level, what_is_acknowledged_is_read_everywhere,
};
use crate::schema_id;
use crate::server::TestServer;
use crate::test_postgres::TestPostgres;

fn database(url: &str) -> Database {
    Database::Postgres(url.parse().unwrap())
}

async fn two_nodes(postgres: &TestPostgres) -> Nodes {
    let first = TestServer::start_on(database(&postgres.url())).await;
    let second = TestServer::start_on(database(&postgres.url())).await;
    vec![Arc::new(first), Arc::new(second)]
}

// Conformance: registry/stores-5
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn registrations_on_two_nodes_get_dense_ids() {
    let postgres = TestPostgres::start();
    ids_are_dense_and_unique_by_content(two_nodes(&postgres).await).await;
}

// Conformance: registry/stores-5, registry/rule-16
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn concurrent_versions_on_two_nodes_are_dense() {
    let postgres = TestPostgres::start();
    versions_are_dense_and_never_break_the_level(two_nodes(&postgres).await).await;
}

// Conformance: registry/stores-5, registry/rule-16
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn acknowledged_registration_is_readable_on_other_node() {
    let postgres = TestPostgres::start();
    what_is_acknowledged_is_read_everywhere(two_nodes(&postgres).await).await;
}

/// The feed of one node responds when the other node commits, and the cache follows.
// Conformance: registry/stores-6
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn node_receives_changes_of_other_node() {
    let postgres = TestPostgres::start();
    let nodes = two_nodes(&postgres).await;
    let (id, _) = nodes[0].register("s", &fixed("F")).await;
    let path = format!("/schemas/ids/{id}");
    assert_eq!(nodes[1].get(&path).await["deleted"], false);
    let since = nodes[0].registry.source().freshness().seq();
    let feed = format!("/v1/changes?since={since}&wait_ms=30000");
    let (changes, _) = tokio::join!(nodes[1].get(&feed), nodes[0].delete("/subjects/s"));
    assert_eq!(
        (&changes["seq"], &changes["ids"]),
        (&json!(since + 1), &json!([id]))
    );
    assert_eq!(nodes[1].get(&path).await["deleted"], true);
    let source = nodes[1].registry.source();
    let id = i32::try_from(id).unwrap();
    assert!(
        source
            .schema(schema_id(id))
            .await
            .unwrap()
            .unwrap()
            .versions[0]
            .deleted
    );
}

// Conformance: registry/stores-7
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn ids_are_not_reused_after_restart() {
    let postgres = TestPostgres::start();
    let server = TestServer::start_on(database(&postgres.url())).await;
    assert_eq!(server.register("s", &fixed("A")).await.0, 1);
    assert_eq!(server.register("t", &fixed("B")).await.0, 2);
    server.delete("/subjects/t").await;
    server.delete("/subjects/t?permanent=true").await;
    let server = server.restart().await;
    assert_eq!(server.register("t", &fixed("C")).await.0, 3);
}

/// The English collation has another order.
// Conformance: registry/stores-10
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn subjects_are_sorted_by_bytes() {
    let postgres = TestPostgres::start();
    let server = TestServer::start_on(database(&postgres.url())).await;
    for subject in ["a", "B", "_x", "b%2Fc", "b-d"] {
        server.register(subject, "\"int\"").await;
    }
    let sorted = json!(["B", "_x", "a", "b-d", "b/c"]);
    assert_eq!(server.get("/subjects").await, sorted);
    assert_eq!(
        server.get("/subjects?subjectPrefix=b").await,
        json!(["b-d", "b/c"])
    );
}

// Conformance: registry/stores-8
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn cached_ids_are_served_without_database() {
    let postgres = TestPostgres::start();
    let server = TestServer::start_on(database(&postgres.url())).await;
    let (known, _) = server.register("s", &fixed("Known")).await;
    let (unknown, _) = server.register("t", &fixed("Unknown")).await;
    let known = format!("/schemas/ids/{known}");
    let before = server.get(&known).await;
    let with_subject = format!("{known}?subject=s");
    let named = server.get(&with_subject).await;
    postgres.stop();

    until(|| !server.registry.is_ready()).await;
    assert_eq!(server.get(&known).await, before);
    assert_eq!(server.get(&with_subject).await, named);
    let body = Some(json!({ "schema": "\"int\"" }));
    let rejected = [
        (Method::GET, format!("/schemas/ids/{unknown}"), None),
        (Method::GET, "/subjects".to_owned(), None),
        (Method::POST, "/subjects/s/versions".to_owned(), body),
    ];
    for (method, path, body) in rejected {
        let (code, message) = server.rejected(method, &path, body).await;
        assert_eq!(code, 50001, "{path}: {message}");
    }

    postgres.resume();
    until(|| server.registry.is_ready()).await;
    assert_eq!(server.register("u", &fixed("New")).await, (3, 1));
    assert_eq!(server.get("/subjects").await, json!(["s", "t", "u"]));
}

/// Another client of the database holds the lock that every write needs for longer than the
/// timeout.
// Conformance: registry/stores-12
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn database_timeout_is_error_50002() {
    let postgres = TestPostgres::start();
    let server = TestServer::start_on(database(&postgres.url())).await;
    server.register("s", &fixed("A")).await;
    let other = sqlx::PgPool::connect(&postgres.url()).await.unwrap();
    let mut holder = other.begin().await.unwrap();
    sqlx::query("UPDATE counters SET value = value WHERE name = 'changes'")
        .execute(&mut *holder)
        .await
        .unwrap();
    let body = Some(json!({ "schema": fixed("B") }));
    let path = "/subjects/s/versions";
    let (code, message) = server.rejected(Method::POST, path, body).await;
    assert_eq!(code, 50002, "{message}");
    holder.rollback().await.unwrap();
    assert_eq!(server.register("t", &fixed("B")).await, (2, 1));
}

/// An unchanged ID stays in the cache; a changed one does not.
// Conformance: registry/stores-6
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn changes_invalidate_only_affected_entries() {
    let postgres = TestPostgres::start();
    let nodes = [
        TestServer::start_on(database(&postgres.url())).await,
        TestServer::start_on(database(&postgres.url())).await,
    ];
    let (id, _) = nodes[0].register("s", &fixed("A")).await;
    let path = format!("/schemas/ids/{id}?subject=nick");
    assert_eq!(nodes[1].get(&path).await.get("subject"), None);
    let since = nodes[1].get("/v1/changes").await["seq"].as_u64().unwrap();
    let alias = Some(json!({ "alias": "s" }));
    nodes[0].ok(Method::PUT, "/config/nick", alias).await;
    let feed = format!("/v1/changes?since={since}&wait_ms=5000");
    nodes[1].get(&feed).await;
    assert_eq!(nodes[1].get(&path).await["subject"], "s");
    let deletes = ["/subjects/s", "/subjects/s?permanent=true"];
    for (step, delete) in (1..).zip(deletes) {
        nodes[0].delete(delete).await;
        let feed = format!("/v1/changes?since={}&wait_ms=5000", since + step);
        nodes[1].get(&feed).await;
        let (status, body) = nodes[1].call(Method::GET, &path, None).await;
        assert!(body["deleted"] == true || status == 404, "{body}");
    }
}

/// A broker that uses a load balancer queries a node that has not received the change yet.
/// Notifications are lost here, so nodes only poll.
// Conformance: contract/3o
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn broker_reads_schema_replaced_on_other_node() {
    let postgres = TestPostgres::start();
    let quiet = sqlx::PgPool::connect(&postgres.url()).await.unwrap();
    let lose_notifications = [
        "CREATE SCHEMA quiet",
        "CREATE FUNCTION quiet.pg_notify(text, text) RETURNS void LANGUAGE sql AS 'SELECT'",
        "ALTER DATABASE postgres SET search_path = quiet, pg_catalog, public",
    ];
    for statement in lose_notifications {
        sqlx::query(statement).execute(&quiet).await.unwrap();
    }
    quiet.close().await;
    let nodes = two_nodes(&postgres).await;
    let local = nodes[1].registry.source();
    let remote = RemoteSource::new(&nodes[1].url).unwrap();
    let sources = [local.as_ref(), &remote as &dyn SchemaSource];
    nodes[0].set_level("s", "NONE").await;
    for turn in 0..5 {
        let mode = async |mode| {
            let mode = Some(json!({ "mode": mode }));
            nodes[0].ok(Method::PUT, "/mode?force=true", mode).await;
        };
        mode("IMPORT").await;
        let text = fixed(&format!("F{turn}"));
        let body = Some(json!({ "schema": text, "id": 1, "version": 1 }));
        nodes[0]
            .ok(Method::POST, "/subjects/s/versions", body)
            .await;
        for source in sources {
            assert_eq!(
                source.schema(schema_id(1)).await.unwrap().unwrap().text,
                text
            );
        }
        mode("READWRITE").await;
        nodes[0].delete("/subjects/s").await;
        nodes[0]
            .delete("/subjects/s?permanent=true&force=true")
            .await;
        for source in sources {
            assert_eq!(source.schema(schema_id(1)).await.unwrap(), None, "{turn}");
        }
    }
    // Other clients read the change once the node has polled.
    let seq = nodes[0].registry.source().freshness().seq();
    until(|| local.freshness().seq() >= seq).await;
    let (status, body) = nodes[1].call(Method::GET, "/schemas/ids/1", None).await;
    assert_eq!(status, 404, "{body}");
}

/// A restored database has other content; its change sequence can be lower, equal or higher.
// Conformance: contract/3f
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn restored_database_invalidates_cache() {
    let postgres = TestPostgres::start();
    let server = TestServer::start_on(database(&postgres.url())).await;
    server.register("s", "\"int\"").await;
    let source = server.registry.source();
    let text = async || server.get("/schemas/ids/1").await["schema"].clone();
    let epoch = || source.freshness().epoch(1).load(Ordering::SeqCst);
    for (text_before, restored, back) in [("int", "long", 1), ("long", "float", 0)] {
        assert_eq!(text().await, json!(format!("\"{text_before}\"")));
        let before = epoch();
        let instance = server.get("/v1/changes").await["instance"].clone();
        let other = sqlx::PgPool::connect(&postgres.url()).await.unwrap();
        let changes = [
            format!("UPDATE schemas SET text = '\"{restored}\"'"),
            format!("UPDATE counters SET value = value - {back} WHERE name = 'changes'"),
        ];
        for change in changes {
            sqlx::query(&change).execute(&other).await.unwrap();
        }
        other.close().await;
        if back == 0 {
            postgres.stop();
            postgres.resume();
        }
        until(|| epoch() > before && server.registry.is_ready()).await;
        assert_eq!(text().await, json!(format!("\"{restored}\"")));
        assert_ne!(server.get("/v1/changes").await["instance"], instance);
        let schema = source.schema(schema_id(1)).await.unwrap().unwrap();
        assert_eq!(schema.text, format!("\"{restored}\""));
    }
}

// Conformance: registry/stores-9
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn unusable_database_is_one_line_error() {
    let postgres = TestPostgres::start();
    let open = async |url: &str| {
        let opened = Registry::open(&database(url), RegistryConfig::default()).await;
        opened.unwrap_err()
    };
    let wrong = open(&postgres.url_with("s3cret")).await;
    assert!(matches!(wrong, OpenError::Rejected { .. }), "{wrong}");
    assert!(wrong.to_string().contains("password"), "{wrong}");
    assert!(!wrong.to_string().contains("s3cret"), "{wrong}");

    let server = TestServer::start_on(database(&postgres.url())).await;
    server.register("s", "\"int\"").await;
    postgres.stop();
    let away = open(&postgres.url()).await;
    assert!(matches!(away, OpenError::Unreachable { .. }), "{away}");
}

/// Waits for a condition. The limit only ends a failing test.
async fn until(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    waited.expect("it comes true");
}
