//! The table of endpoints. The router and the OpenAPI document are both made from it, so that
//! neither can know a route that the other does not.

mod ours;
mod schemas;
mod settings;
mod subjects;

use actix_web::http::Method;
use actix_web::{Route, web};
use avouch_registry_api::error::ErrorCode as Code;

use crate::rest::bodies::{self, Body};
use crate::rest::parameters::{self as query, Parameter};
use crate::rest::server;

/// One method of one path.
pub(crate) struct Endpoint {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    /// What it does, for the document.
    pub(crate) summary: &'static str,
    pub(crate) query: &'static [Parameter],
    /// What it takes.
    pub(crate) body: Option<Body>,
    /// What it answers; nothing with 204.
    pub(crate) answer: Option<Body>,
    /// Codes it answers with, besides those that any request can get.
    pub(crate) errors: &'static [Code],
    pub(crate) route: Route,
}

/// All of them. The router tries them in this order, so schemas by id, which every reader of every
/// topic asks for, come first.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    let mut endpoints = schemas::of_schemas();
    endpoints.extend(subjects::of_subjects());
    endpoints.extend(of_server());
    endpoints.extend(settings::of_settings());
    endpoints.extend(of_associations());
    endpoints.extend(ours::of_ours());
    endpoints
}

fn of_server() -> Vec<Endpoint> {
    vec![
        get(
            "/",
            "Whether the registry answers",
            bodies::EMPTY,
            web::get().to(server::root),
        ),
        post(
            "/",
            "Whether the registry answers",
            bodies::EMPTY,
            web::post().to(server::root),
        ),
        get(
            "/contexts",
            "The contexts",
            bodies::NAMES,
            web::get().to(server::contexts),
        )
        .query(&[query::CONTEXT_PREFIX, query::OFFSET, query::LIMIT]),
        delete(
            "/contexts/{context}",
            "Delete a context without versions",
            bodies::EMPTY,
            web::delete().to(server::delete_context),
        )
        .answers_nothing()
        .errors(&[Code::ContextNotEmpty]),
        get(
            "/v1/metadata/id",
            "The cluster's identity",
            bodies::CLUSTER_ID,
            web::get().to(server::id),
        ),
        get(
            "/v1/metadata/version",
            "The version",
            bodies::BUILD,
            web::get().to(server::version),
        ),
        get(
            "/v1/changes",
            "How far changes went",
            bodies::CHANGES,
            web::get().to(server::changes),
        )
        .query(&[query::SINCE, query::WAIT_MS]),
        get(
            "/v1/metadata/deployment",
            "How it is deployed",
            bodies::DEPLOYMENT,
            web::get().to(server::deployment),
        ),
    ]
}

/// Clients probe these, and go on with their naming strategy when nothing is associated.
fn of_associations() -> Vec<Endpoint> {
    const PATHS: [&str; 3] = [
        "/associations/subjects/{subject}",
        "/associations/resources/{resource}",
        "/associations/resources/{namespace}/{name}",
    ];
    let probe = |path| {
        get(
            path,
            "Associations: there are none",
            bodies::ASSOCIATIONS,
            web::get().to(server::associations),
        )
        .query(&[
            query::RESOURCE_TYPE,
            query::ASSOCIATION_TYPE,
            query::LIFECYCLE,
            query::OFFSET,
            query::LIMIT,
        ])
    };
    PATHS.map(probe).into()
}

fn get(path: &'static str, summary: &'static str, answer: Body, route: Route) -> Endpoint {
    Endpoint::new(Method::GET, path, summary, answer, route)
}

fn post(path: &'static str, summary: &'static str, answer: Body, route: Route) -> Endpoint {
    Endpoint::new(Method::POST, path, summary, answer, route)
}

fn put(path: &'static str, summary: &'static str, answer: Body, route: Route) -> Endpoint {
    Endpoint::new(Method::PUT, path, summary, answer, route)
}

fn delete(path: &'static str, summary: &'static str, answer: Body, route: Route) -> Endpoint {
    Endpoint::new(Method::DELETE, path, summary, answer, route)
}

impl Endpoint {
    fn new(
        method: Method,
        path: &'static str,
        summary: &'static str,
        answer: Body,
        route: Route,
    ) -> Self {
        Self {
            method,
            path,
            summary,
            query: &[],
            body: None,
            answer: Some(answer),
            errors: &[],
            route,
        }
    }

    fn query(self, query: &'static [Parameter]) -> Self {
        Self { query, ..self }
    }

    fn body(self, body: Body) -> Self {
        Self {
            body: Some(body),
            ..self
        }
    }

    fn answers_nothing(self) -> Self {
        Self {
            answer: None,
            ..self
        }
    }

    fn errors(self, errors: &'static [Code]) -> Self {
        Self { errors, ..self }
    }
}
