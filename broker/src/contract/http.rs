//! `GET /v1/contracts/violations?topic=&since=`: the feed of violations over HTTP.
//!
//! The answer is `{"violations": [..], "next": n, "oldest": n}`. `since` is the `next` of the
//! answer before, 0 or absent for everything kept; an `oldest` above `since + 1` tells that entries
//! were missed, a `next` below `since` that the broker was restarted. A page holds at most
//! [`super::feed::PAGE_MAX`] entries. Every answer is JSON.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn, Paths};
use utoipa::openapi::schema::{
    ComponentsBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type,
};
use utoipa::openapi::{
    Content, Info, OpenApi, OpenApiBuilder, Ref, RefOr, Required, Response, ResponseBuilder,
};

use super::cache::ClockMs;
use super::feed::Entry;
use super::report::Report;

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
    report: Arc<Report>,
    clock: ClockMs,
) -> impl FnOnce(&mut ServiceConfig) + Clone + Send + 'static {
    move |config| {
        let violations = move |request: HttpRequest| {
            let response = violations(&request, &report, clock());
            std::future::ready(response)
        };
        config.service(
            web::resource(PATH)
                .route(web::get().to(violations))
                .default_service(web::to(method_not_allowed)),
        );
    }
}

fn violations(request: &HttpRequest, report: &Report, now_ms: u64) -> HttpResponse {
    let query = match web::Query::<Query>::from_query(request.query_string()) {
        Ok(query) => query.into_inner(),
        Err(error) => return refusal(StatusCode::BAD_REQUEST, error.to_string()),
    };
    let topic = query.topic.as_deref().filter(|topic| !topic.is_empty());
    let page = report.feed.since(query.since, topic);
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
