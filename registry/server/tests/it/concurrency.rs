//! Concurrent writers on one or several nodes. The properties are the same on each engine.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::server::TestServer;

const WRITERS: usize = 8;
const SCHEMAS: usize = 12;

/// Nodes that share a database.
pub(crate) type Nodes = Vec<Arc<TestServer>>;

async fn one_file() -> Nodes {
    vec![Arc::new(TestServer::start().await)]
}

// Conformance: registry/stores-4
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_registrations_get_dense_ids() {
    ids_are_dense_and_unique_by_content(one_file().await).await;
}

// Conformance: registry/stores-4
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_versions_are_dense_and_compatible() {
    versions_are_dense_and_never_break_the_level(one_file().await).await;
}

// Conformance: registry/stores-4
#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_registration_is_readable_at_once() {
    what_is_acknowledged_is_read_everywhere(one_file().await).await;
}

/// Each writer registers common schemas in its own order, and some of its own.
pub(crate) async fn ids_are_dense_and_unique_by_content(nodes: Nodes) {
    let writers = (0..WRITERS).map(|writer| {
        let server = Arc::clone(&nodes[writer % nodes.len()]);
        tokio::spawn(async move {
            let mut registered = Vec::new();
            for (subject, schema) in schemas_of(writer) {
                let (id, version) = server.register(&subject, &schema).await;
                assert_eq!(version, 1, "{subject}");
                registered.push((schema, id));
            }
            registered
        })
    });
    let registered = join_all(writers).await.into_iter().flat_map(Result::unwrap);
    let by_content: BTreeSet<(String, i64)> = registered.collect();
    let contents: BTreeSet<&String> = by_content.iter().map(|(schema, _)| schema).collect();
    let expected = SCHEMAS + WRITERS * SCHEMAS;
    assert_eq!(contents.len(), expected);
    assert_eq!(by_content.len(), expected, "one id a content");
    let ids: BTreeSet<i64> = by_content.iter().map(|&(_, id)| id).collect();
    let dense: BTreeSet<i64> = (1..=i64::try_from(expected).unwrap()).collect();
    assert_eq!(ids, dense);
}

fn schemas_of(writer: usize) -> Vec<(String, String)> {
    let both = |step: usize| {
        let shared = (step * 5 + writer) % SCHEMAS;
        let own = format!("Own{writer}x{step}");
        [
            (format!("shared{shared}"), fixed(&format!("Shared{shared}"))),
            (format!("own{writer}-{step}"), fixed(&own)),
        ]
    };
    (0..SCHEMAS).flat_map(both).collect()
}

/// Every promotion is compatible with int; string is compatible with bytes only.
pub(crate) async fn versions_are_dense_and_never_break_the_level(nodes: Nodes) {
    nodes[0].register("s", "\"int\"").await;
    let writers = (0..WRITERS).map(|writer| {
        let server = Arc::clone(&nodes[writer % nodes.len()]);
        tokio::spawn(async move {
            let schema = ["\"long\"", "\"float\"", "\"double\"", "\"string\""][writer / 2];
            let body = Some(json!({ "schema": schema }));
            let response = server.call(Method::POST, "/subjects/s/versions", body);
            response.await.0
        })
    });
    let statuses = join_all(writers).await.into_iter().map(Result::unwrap);
    for status in statuses {
        assert!([200, 409].contains(&status), "{status}");
    }
    for server in &nodes {
        let versions = server.get("/subjects/s/versions").await;
        let count = versions.as_array().unwrap().len();
        assert_eq!(versions, json!((1..=count).collect::<Vec<_>>()));
        let mut widest = None;
        for version in 1..=count {
            let stored = server.get(&format!("/subjects/s/versions/{version}")).await;
            let order = ["\"int\"", "\"long\"", "\"float\"", "\"double\""];
            let width = order.iter().position(|text| stored["schema"] == *text);
            assert!(width > widest, "each version reads the one before");
            widest = width;
        }
    }
}

/// Writers register on one node and read on all nodes, by each kind of request that returns a
/// schema.
pub(crate) async fn what_is_acknowledged_is_read_everywhere(nodes: Nodes) {
    let writers = (0..WRITERS).map(|writer| {
        let nodes = nodes.clone();
        tokio::spawn(async move {
            for step in 0..SCHEMAS {
                let subject = format!("own{writer}-{step}");
                let schema = fixed(&format!("Own{writer}x{step}"));
                let here = &nodes[(writer + step) % nodes.len()];
                let (id, _) = here.register(&subject, &schema).await;
                for node in &nodes {
                    let found = node.get(&format!("/schemas/ids/{id}")).await;
                    assert_eq!(found["schema"], *schema);
                    let latest = format!("/subjects/{subject}/versions/latest");
                    assert_eq!(node.get(&latest).await["id"], id);
                    let (again, version) = node.register(&subject, &schema).await;
                    assert_eq!((again, version), (id, 1));
                }
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
}

pub(crate) fn fixed(name: &str) -> String {
    format!(r#"{{"type":"fixed","name":"{name}","size":4}}"#)
}
