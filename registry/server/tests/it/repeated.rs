//! Repeated registrations: some clients register the schema with every record.

use prometheus::proto::MetricFamily;
use reqwest::Method;
use serde_json::json;

use crate::server::TestServer;

const POST: Method = Method::POST;
const PUT: Method = Method::PUT;
const DELETE: Method = Method::DELETE;
const PATH: &str = "/subjects/s/versions";

/// Returns the value of the counter with these labels.
fn counted(families: &[MetricFamily], name: &str, labels: &[(&str, &str)]) -> f64 {
    let family = families.iter().find(|family| family.name() == name);
    let metrics = family.map(MetricFamily::get_metric).unwrap_or_default();
    let has = |metric: &&prometheus::proto::Metric| {
        labels.iter().all(|(name, value)| {
            let pairs = metric.get_label();
            pairs
                .iter()
                .any(|pair| pair.name() == *name && pair.value() == *value)
        })
    };
    let metric = metrics.iter().find(has);
    metric.map_or(0.0, |metric| metric.get_counter().get_value())
}

// Conformance: registry/rest-16
#[tokio::test]
async fn repeated_registration_needs_no_database() {
    let server = TestServer::start().await;
    let int = json!({ "schema": "\"int\"" });
    let first = server.ok(POST, PATH, Some(int.clone())).await;
    let second = server.ok(POST, PATH, Some(int.clone())).await;
    assert_eq!(first, second);
    server.registry.close().await;
    for query in ["", "?normalize=false"] {
        let path = format!("{PATH}{query}");
        assert_eq!(server.ok(POST, &path, Some(int.clone())).await, first);
    }
    let other = json!({ "schema": "\"long\"" });
    for (path, body) in [
        (PATH, &other),
        ("/subjects/t/versions", &int),
        ("/subjects/s/versions?normalize=true", &int),
        ("/subjects/s/versions?format=resolved", &int),
        ("/subjects/s/versions?dryRun=true", &int),
        ("/subjects/s/versions?force=true", &int),
    ] {
        let (code, _) = server.rejected(POST, path, Some(body.clone())).await;
        assert_eq!(code, 50001, "{path}");
    }
}

/// Each change that the response depends on is visible in the next one.
// Conformance: registry/rest-16
#[tokio::test]
async fn repeated_registration_is_current() {
    let server = TestServer::start().await;
    let int = json!({ "schema": "\"int\"" });
    let register = async || {
        let path = "/subjects/nick/versions";
        let mut last = server.ok(POST, path, Some(int.clone())).await;
        for _ in 0..2 {
            let next = server.ok(POST, path, Some(int.clone())).await;
            assert_eq!(next["id"], last["id"]);
            last = next;
        }
        (last["id"].clone(), last["version"].clone())
    };
    assert_eq!(register().await, (json!(1), json!(1)));
    server.delete("/subjects/nick").await;
    assert_eq!(register().await, (json!(1), json!(2)), "a new version");
    server.register("other", "\"long\"").await;
    let alias = json!({ "alias": "other" });
    server.ok(PUT, "/config/nick", Some(alias)).await;
    server
        .ok(
            PUT,
            "/config/other",
            Some(json!({ "compatibility": "NONE" })),
        )
        .await;
    assert_eq!(
        register().await,
        (json!(1), json!(2)),
        "of the other subject"
    );
    server
        .ok(PUT, "/mode/other", Some(json!({ "mode": "READONLY" })))
        .await;
    assert_eq!(register().await, (json!(1), json!(2)), "it exists");
    server.ok(DELETE, "/mode/other", None).await;
    let metadata = json!({ "defaultMetadata": { "properties": { "a": "1" } } });
    server.ok(PUT, "/config/other", Some(metadata)).await;
    assert_eq!(register().await, (json!(3), json!(3)), "with metadata");
}

// Conformance: registry/rest-16
#[tokio::test]
async fn repeated_registrations_are_counted_by_client() {
    let metrics = prometheus::Registry::new();
    let shared = metrics.clone();
    let server = TestServer::start_with(|config| config.metrics = shared).await;
    let client = reqwest::Client::builder()
        .user_agent("slow/1")
        .build()
        .unwrap();
    for _ in 0..4 {
        let request = client.post(format!("{}{PATH}", server.url));
        let request = request.body("{\"schema\":\"\\\"int\\\"\"}");
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
    let families = metrics.gather();
    let labels = [("subject", "s"), ("user_agent", "slow/1")];
    let name = "avouch_registry_repeated_registrations_total";
    assert_eq!(counted(&families, name, &labels), 3.0);
    let name = "avouch_registry_registrations_total";
    assert_eq!(counted(&families, name, &[("outcome", "existing")]), 3.0);
}
