//! `GET /v1/contracts/violations?topic=&since=`: the feed of violations over HTTP.
//!
//! The answer is `{"violations": [..], "next": n, "oldest": n}`. `since` is the `next` of the
//! answer before, 0 or absent for everything kept; an `oldest` above `since + 1` tells that entries
//! were missed, a `next` below `since` that the broker was restarted. A page holds at most
//! [`avouch_contract::feed::PAGE_MAX`] entries. Every answer is JSON.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use avouch_contract::feed::{Entry, Feed};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn, Paths};
use utoipa::openapi::schema::{
    ComponentsBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type,
};
use utoipa::openapi::{
    Content, Info, OpenApi, OpenApiBuilder, Ref, RefOr, Required, Response, ResponseBuilder,
};

use super::clock::Clock;

/// The only path.
const PATH: &str = "/v1/contracts/violations";
const JSON: &str = "application/json";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    topic: Option<String>,
    #[serde(default)]
    since: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Violations)]
struct Answer<'a> {
    /// By number.
    violations: Vec<Told<'a>>,
    /// What to ask for next, as `since`.
    next: u64,
    /// The lowest number still kept, or the next one if none is.
    oldest: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ToldViolation)]
struct Told<'a> {
    #[serde(flatten)]
    entry: &'a Entry,
    /// How long ago it was found.
    age_ms: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ContractRefusal)]
struct Refusal {
    /// The HTTP status.
    error_code: u16,
    /// For a person.
    message: String,
}

/// The OpenAPI document of the route.
pub(super) fn document() -> OpenApi {
    let text = ObjectBuilder::new().schema_type(Type::String);
    let number = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(0));
    let parameter = |name: &str, description: &str| {
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Query)
            .required(Required::False)
            .description(Some(description))
    };
    let topic = parameter("topic", "Only violations of this topic").schema(Some(text));
    let since = parameter("since", "The `next` of the answer before").schema(Some(number));
    let operation = OperationBuilder::new()
        .tag("avouch")
        .operation_id(Some("get_v1_contracts_violations"))
        .summary(Some("The newest violations of contracts"))
        .parameters(Some([topic.build(), since.build()]))
        .response("200", response::<Answer<'_>>("Success"))
        .response(
            "400",
            response::<Refusal>("A parameter that is not understood"),
        );
    let mut paths = Paths::new();
    paths.add_path_operation(PATH, vec![HttpMethod::Get], operation);
    let mut schemas = vec![component::<Answer<'_>>(), component::<Refusal>()];
    Answer::schemas(&mut schemas);
    let components = ComponentsBuilder::new().schemas_from_iter(schemas).build();
    OpenApiBuilder::new()
        .info(Info::new("Avouch contracts", env!("CARGO_PKG_VERSION")))
        .paths(paths)
        .components(Some(components))
        .build()
}

fn response<T: ToSchema>(description: &str) -> Response {
    let content = Content::new(Some(Ref::from_schema_name(T::name())));
    ResponseBuilder::new()
        .description(description)
        .content(JSON, content)
        .build()
}

fn component<T: ToSchema>() -> (String, RefOr<Schema>) {
    (T::name().into_owned(), T::schema())
}

/// Mounts the route.
pub(super) fn routes(
    feed: Arc<Feed>,
    clock: Clock,
) -> impl FnOnce(&mut ServiceConfig) + Clone + Send + 'static {
    move |config| {
        let violations = move |request: HttpRequest| {
            let response = violations(&request, &feed, clock.monotonic_ms());
            std::future::ready(response)
        };
        config.service(
            web::resource(PATH)
                .route(web::get().to(violations))
                .default_service(web::to(method_not_allowed)),
        );
    }
}

fn violations(request: &HttpRequest, feed: &Feed, now_ms: u64) -> HttpResponse {
    let query = match web::Query::<Query>::from_query(request.query_string()) {
        Ok(query) => query.into_inner(),
        Err(error) => return refusal(StatusCode::BAD_REQUEST, error.to_string()),
    };
    let topic = query.topic.as_deref().filter(|topic| !topic.is_empty());
    let page = feed.since(query.since, topic);
    let told = |entry| Told {
        entry,
        age_ms: now_ms.saturating_sub(entry.at_ms),
    };
    HttpResponse::Ok().json(Answer {
        violations: page.entries.iter().map(|entry| told(entry)).collect(),
        next: page.next,
        oldest: page.oldest,
    })
}

async fn method_not_allowed() -> HttpResponse {
    refusal(
        StatusCode::METHOD_NOT_ALLOWED,
        "only GET is served here".to_owned(),
    )
}

fn refusal(status: StatusCode, message: String) -> HttpResponse {
    HttpResponse::build(status).json(Refusal {
        error_code: status.as_u16(),
        message,
    })
}

#[cfg(test)]
mod tests {
    use actix_web::test::{TestRequest, call_service, init_service, read_body_json};
    use actix_web::{App, http};
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

    fn feed() -> Arc<Feed> {
        let feed = Feed::new(10);
        feed.push(entry("payments", 1));
        feed.push(entry("payments", 2));
        Arc::new(feed)
    }

    async fn call(request: TestRequest) -> (StatusCode, Value) {
        let app = init_service(App::new().configure(routes(feed(), Clock::start()))).await;
        let response = call_service(&app, request.to_request()).await;
        (response.status(), read_body_json(response).await)
    }

    async fn get(uri: &str) -> (StatusCode, Value) {
        call(TestRequest::get().uri(uri)).await
    }

    #[actix_web::test]
    async fn the_feed_is_served_as_json() {
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

    #[actix_web::test]
    async fn what_is_not_served_is_refused_as_json() {
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
