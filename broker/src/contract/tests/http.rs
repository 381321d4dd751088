//! The feed over HTTP.

use actix_web::http::StatusCode;
use actix_web::test::{TestRequest, call_service, init_service, read_body_json};
use actix_web::{App, http};
use serde_json::{Value, json};

use super::*;

async fn call(world: &World, request: TestRequest) -> (StatusCode, Value) {
    let app = init_service(App::new().configure(world.contracts.routes())).await;
    let response = call_service(&app, request.to_request()).await;
    (response.status(), read_body_json(response).await)
}

async fn get(world: &World, uri: &str) -> (StatusCode, Value) {
    call(world, TestRequest::get().uri(uri)).await
}

#[tokio::test(start_paused = true)]
async fn the_feed_is_served_as_json() {
    let world = World::new();
    world
        .check(
            &policy(&[VALUE]),
            &[good(), value(vec![]), value(framed(99, &[]))],
        )
        .await;
    tokio::time::advance(std::time::Duration::from_millis(1_500)).await;
    let (status, body) = get(&world, "/v1/contracts/violations?topic=payments&since=1").await;
    assert_eq!(status, StatusCode::OK);
    let expected = json!({
        "violations": [{
            "seq": 2,
            "topic": "payments",
            "partition": 2,
            "index": 2,
            "part": "value",
            "mode": "enforce",
            "reason": "unknown-id",
            "message": "value: unknown schema id 99",
            "schema_id": 99,
            "subject": null,
            "version": null,
            "client_id": "till-1",
            "principal": "User:ANONYMOUS",
            "age_ms": 1_500,
        }],
        "next": 2,
        "oldest": 1,
    });
    assert_eq!(body, expected);
    let (_, all) = get(&world, "/v1/contracts/violations").await;
    assert_eq!(all["violations"].as_array().map(Vec::len), Some(2));
    let (_, none) = get(&world, "/v1/contracts/violations?topic=orders").await;
    assert_eq!(none, json!({"violations": [], "next": 2, "oldest": 1}));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_served_is_refused_as_json() {
    let world = World::new();
    for query in ["since=soon", "since=-1", "topik=a"] {
        let (status, body) = get(&world, &format!("/v1/contracts/violations?{query}")).await;
        assert_eq!(
            (status, &body["error_code"]),
            (StatusCode::BAD_REQUEST, &json!(400)),
            "{query}"
        );
    }
    let post = TestRequest::default()
        .method(http::Method::POST)
        .uri("/v1/contracts/violations");
    let (status, body) = call(&world, post).await;
    assert_eq!(
        (status, &body["error_code"]),
        (StatusCode::METHOD_NOT_ALLOWED, &json!(405))
    );
}
