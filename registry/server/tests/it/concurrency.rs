//! Many writers at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::json;

use crate::server::TestServer;

const WRITERS: usize = 8;
const SCHEMAS: usize = 12;

/// Every writer registers the same schemas in an order of its own, and some that are its alone.
#[tokio::test(flavor = "multi_thread")]
async fn ids_of_racing_writers_are_dense_and_unique_by_content() {
    let server = Arc::new(TestServer::start().await);
    let writers = (0..WRITERS).map(|writer| {
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            let mut ids = Vec::new();
            for step in 0..SCHEMAS {
                let shared = (step * 5 + writer) % SCHEMAS;
                ids.push((format!("shared{shared}"), fixed(&format!("Shared{shared}"))));
                ids.push((
                    format!("own{writer}-{step}"),
                    fixed(&format!("Own{writer}x{step}")),
                ));
            }
            let mut registered = Vec::new();
            for (subject, schema) in ids {
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

#[tokio::test(flavor = "multi_thread")]
async fn versions_of_racing_writers_are_dense_and_never_break_the_level() {
    let server = Arc::new(TestServer::start().await);
    server.register("s", "\"int\"").await;
    let writers = (0..WRITERS).map(|writer| {
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            // Each promotion is fine after int; string and bytes are only fine after each other.
            let schema = ["\"long\"", "\"float\"", "\"double\"", "\"string\""][writer % 4];
            let body = Some(json!({ "schema": schema }));
            server
                .call(reqwest::Method::POST, "/subjects/s/versions", body)
                .await
                .0
        })
    });
    let statuses = join_all(writers).await.into_iter().map(Result::unwrap);
    for status in statuses {
        assert!([200, 409].contains(&status), "{status}");
    }
    let versions = server.get("/subjects/s/versions").await;
    let count = versions.as_array().unwrap().len();
    assert_eq!(versions, json!((1..=count).collect::<Vec<_>>()));
    let mut widest = 0;
    for version in 1..=count {
        let stored = server.get(&format!("/subjects/s/versions/{version}")).await;
        let order = ["\"int\"", "\"long\"", "\"float\"", "\"double\""];
        let width = order
            .iter()
            .position(|text| stored["schema"] == *text)
            .unwrap();
        assert!(
            version == 1 || width > widest,
            "each version reads the one before"
        );
        widest = width;
    }
}

fn fixed(name: &str) -> String {
    format!(r#"{{"type":"fixed","name":"{name}","size":4}}"#)
}
