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

use super::cache::ClockMs;
use super::feed::Entry;
use super::report::Report;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    topic: Option<String>,
    #[serde(default)]
    since: u64,
}

#[derive(Serialize)]
struct Answer<'a> {
    violations: Vec<Told<'a>>,
    next: u64,
    oldest: u64,
}

#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    entry: &'a Entry,
    /// How long ago it was found.
    age_ms: u64,
}

#[derive(Serialize)]
struct Refusal {
    error_code: u16,
    message: String,
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
            web::resource("/v1/contracts/violations")
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
