//! The table of endpoints. The router and the OpenAPI document are both made from it, so that
//! neither can know a route that the other does not.

mod ours;
mod schemas;
mod settings;
mod subjects;

use actix_web::http::Method;
use actix_web::{Route, web};
use avouch_registry_api::error::ErrorCode as Code;

use crate::rest::{openapi, server};

/// One method of one path.
pub(crate) struct Endpoint {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    /// What it does, for the document.
    pub(crate) summary: &'static str,
    /// Names of the query parameters.
    pub(crate) query: &'static [&'static str],
    /// Name of the body it takes, a component of the document.
    pub(crate) body: Option<&'static str>,
    /// Name of its answer, a component of the document.
    pub(crate) answer: &'static str,
    /// Codes it answers with, besides those that any request can get.
    pub(crate) errors: &'static [Code],
    pub(crate) route: Route,
}

/// All of them.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    let mut endpoints = of_server();
    endpoints.extend(subjects::of_subjects());
    endpoints.extend(schemas::of_schemas());
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
            "Empty",
            web::get().to(server::root),
        ),
        post(
            "/",
            "Whether the registry answers",
            "Empty",
            web::post().to(server::root),
        ),
        get(
            "/contexts",
            "The contexts",
            "Names",
            web::get().to(server::contexts),
        )
        .query(&["contextPrefix", "offset", "limit"]),
        delete(
            "/contexts/{context}",
            "Delete a context without versions",
            openapi::NOTHING,
            web::delete().to(server::delete_context),
        )
        .errors(&[Code::ContextNotEmpty]),
        get(
            "/v1/metadata/id",
            "The cluster's identity",
            "Any",
            web::get().to(server::id),
        ),
        get(
            "/v1/metadata/version",
            "The version",
            "Any",
            web::get().to(server::version),
        ),
        get(
            "/v1/changes",
            "How far changes went",
            "Changes",
            web::get().to(server::changes),
        )
        .query(&["since", "wait_ms"]),
        get(
            "/v1/metadata/deployment",
            "How it is deployed",
            "Any",
            web::get().to(server::deployment),
        ),
        get(
            "/openapi.json",
            "This document",
            "Any",
            web::get().to(server::document),
        ),
    ]
}

/// Clients probe these, and go on with their naming strategy when nothing is associated.
fn of_associations() -> Vec<Endpoint> {
    const PATHS: [&str; 3] = [
        "/associations/subjects/{subject}",
        "/associations/resources/{id}",
        "/associations/resources/{namespace}/{name}",
    ];
    let probe = |path| {
        get(
            path,
            "Associations",
            "Names",
            web::get().to(server::associations),
        )
        .query(&[
            "resourceType",
            "associationType",
            "lifecycle",
            "offset",
            "limit",
        ])
    };
    PATHS.map(probe).into()
}

fn get(path: &'static str, summary: &'static str, answer: &'static str, route: Route) -> Endpoint {
    Endpoint::new(Method::GET, path, summary, answer, route)
}

fn post(path: &'static str, summary: &'static str, answer: &'static str, route: Route) -> Endpoint {
    Endpoint::new(Method::POST, path, summary, answer, route)
}

fn put(path: &'static str, summary: &'static str, answer: &'static str, route: Route) -> Endpoint {
    Endpoint::new(Method::PUT, path, summary, answer, route)
}

fn delete(
    path: &'static str,
    summary: &'static str,
    answer: &'static str,
    route: Route,
) -> Endpoint {
    Endpoint::new(Method::DELETE, path, summary, answer, route)
}

impl Endpoint {
    fn new(
        method: Method,
        path: &'static str,
        summary: &'static str,
        answer: &'static str,
        route: Route,
    ) -> Self {
        Self {
            method,
            path,
            summary,
            query: &[],
            body: None,
            answer,
            errors: &[],
            route,
        }
    }

    fn query(self, query: &'static [&'static str]) -> Self {
        Self { query, ..self }
    }

    fn body(self, body: &'static str) -> Self {
        Self {
            body: Some(body),
            ..self
        }
    }

    fn errors(self, errors: &'static [Code]) -> Self {
        Self { errors, ..self }
    }
}
