//! `GET /v1/contracts/violations`: the feed of contract violations over HTTP.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use avouch_contract::feed::Entry;
use avouch_http::{Endpoint, ErrorBody, endpoints, error_response, mount};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::{Info, OpenApi};

use crate::admin::contracts::Violations;

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ViolationsQuery {
    /// Return only violations of this topic
    topic: Option<String>,
    /// The `next` of the previous response; 0 returns everything that is kept
    #[serde(default)]
    since: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Violations)]
struct ViolationsBody<'a> {
    /// At most 1,000 violations, in ascending order of `seq`.
    violations: Vec<AgedViolation<'a>>,
    /// The `since` of the next request. A value below that of the request means that the broker has
    /// restarted.
    next: u64,
    /// The lowest number that is kept, or the next number if none is. A value above `since + 1`
    /// means that violations were discarded before they were read.
    oldest: u64,
}

#[derive(Serialize, ToSchema)]
struct AgedViolation<'a> {
    #[serde(flatten)]
    violation: &'a Entry,
    /// Time since the violation was found, in milliseconds.
    age_ms: u64,
}

fn own_endpoints() -> Vec<Endpoint> {
    endpoints![violations]
}

/// Returns the OpenAPI document of the route.
pub(crate) fn document() -> OpenApi {
    let info = Info::new("Avouch contracts", env!("CARGO_PKG_VERSION"));
    avouch_http::document(info, own_endpoints(), |_, _, _| ())
}

/// Returns a function that mounts the route.
pub(crate) fn routes(
    violations: Violations,
) -> impl FnOnce(&mut ServiceConfig) + Clone + Send + 'static {
    move |application| {
        application.app_data(Data::new(violations));
        mount(&own_endpoints(), application);
    }
}

/// List the latest contract violations
///
/// The broker keeps a bounded number of violations in memory. To read each of them once, pass the
/// `next` of the previous response as `since`.
#[utoipa::path(
    get,
    path = "/v1/contracts/violations",
    tag = "avouch",
    params(ViolationsQuery),
    responses(
        (status = 200, description = "Success", body = ViolationsBody<'static>),
        (status = 400, description = "Unknown or invalid query parameter", body = ErrorBody),
    )
)]
async fn violations(request: HttpRequest, service: Data<Violations>) -> HttpResponse {
    let query = match Query::<ViolationsQuery>::from_query(request.query_string()) {
        Ok(query) => query.into_inner(),
        Err(error) => return error_response(StatusCode::BAD_REQUEST, error.to_string()),
    };
    let topic = query.topic.as_deref().filter(|topic| !topic.is_empty());
    let (page, now_ms) = service.since(query.since, topic);
    let aged = |violation| AgedViolation {
        violation,
        age_ms: now_ms.saturating_sub(violation.at_ms),
    };
    HttpResponse::Ok().json(ViolationsBody {
        violations: page.entries.iter().map(|entry| aged(entry)).collect(),
        next: page.next,
        oldest: page.oldest,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use actix_web::test::{TestRequest, call_service, init_service, read_body_json};
    use actix_web::{App, http};
    use avouch_contract::feed::Feed;
    use avouch_net::Clock;
    use serde_json::{Value, json};

    use super::*;

    fn entry(topic: &str, index: i32) -> Entry {
        Entry {
            seq: 0,
            at_ms: 0,
            topic: topic.to_owned(),
            partition: 2,
            index,
            part: "value",
            mode: "enforce",
            reason: "unknown-id",
            message: "value: unknown schema id 99".to_owned(),
            schema_id: Some(99),
            subject: None,
            version: None,
            client_id: Some("till-1".to_owned()),
            principal: "User:ANONYMOUS".to_owned(),
        }
    }

    fn feed() -> Violations {
        let feed = Feed::new(10);
        feed.push(entry("payments", 1));
        feed.push(entry("payments", 2));
        Violations::new(Arc::new(feed), Clock::start())
    }

    async fn call(request: TestRequest) -> (StatusCode, Value) {
        let app = init_service(App::new().configure(routes(feed()))).await;
        let response = call_service(&app, request.to_request()).await;
        (response.status(), read_body_json(response).await)
    }

    async fn get(uri: &str) -> (StatusCode, Value) {
        call(TestRequest::get().uri(uri)).await
    }

    #[tokio::test]
    async fn feed_is_served_as_json() {
        let (status, mut body) = get("/v1/contracts/violations?topic=payments&since=1").await;
        assert_eq!(status, StatusCode::OK);
        let entry = body["violations"][0].as_object_mut().unwrap();
        // The entries are from time 0 of a clock that the test started.
        assert!(entry.remove("age_ms").unwrap().as_u64().unwrap() < 60_000);
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
            }],
            "next": 2,
            "oldest": 1,
        });
        assert_eq!(body, expected);
        let (_, all) = get("/v1/contracts/violations").await;
        assert_eq!(all["violations"].as_array().map(Vec::len), Some(2));
        let (_, none) = get("/v1/contracts/violations?topic=orders").await;
        assert_eq!(none, json!({"violations": [], "next": 2, "oldest": 1}));
    }

    #[tokio::test]
    async fn invalid_requests_get_json_errors() {
        for query in ["since=soon", "since=-1", "topik=a"] {
            let (status, body) = get(&format!("/v1/contracts/violations?{query}")).await;
            assert_eq!(
                (status, &body["error_code"]),
                (StatusCode::BAD_REQUEST, &json!(400)),
                "{query}"
            );
        }
        let post = TestRequest::default()
            .method(http::Method::POST)
            .uri("/v1/contracts/violations");
        let (status, body) = call(post).await;
        assert_eq!(
            (status, &body["error_code"]),
            (StatusCode::METHOD_NOT_ALLOWED, &json!(405))
        );
    }
}
