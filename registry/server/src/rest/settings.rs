//! `/config` and `/mode`, each for the whole registry, a context or a subject.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::web::{Data, Path};
use actix_web::{FromRequest, HttpRequest};
use avouch_http::Endpoint;
use avouch_registry_api::rest::{ConfigBody, ModeBody, StoredConfigBody};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::Registry;
use crate::decide::subject::Subject;
use crate::error::RegistryError;
use crate::rest::error_responses::{
    InvalidCompatibilityLevel, InvalidMode, InvalidRuleSet, InvalidSubject, NotPermitted,
    ReferenceExists, SubjectConfigNotFound, SubjectModeNotFound, SubjectNotFound,
};
use crate::rest::parameters::{path, query};
use crate::rest::request::{Body, Params};
use crate::rest::response::{HandlerResult, json};

pub(super) fn endpoints() -> Vec<Endpoint> {
    avouch_http::endpoints![
        config,
        put_config,
        delete_config,
        subject_config,
        put_subject_config,
        delete_subject_config,
        mode,
        put_mode,
        delete_mode,
        subject_mode,
        put_subject_mode,
        delete_subject_mode,
    ]
}

/// The scope of a request that does not create it: a subject or a context. `None` is the whole
/// registry, which the default context is too.
struct Existing(Option<Subject>);

/// The scope of a request that may create its settings, see [`Existing`].
struct Writable(Option<Subject>);

impl FromRequest for Existing {
    type Error = RegistryError;
    type Future = Ready<Result<Self, RegistryError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let scope = scope(request, |name| Ok(Subject::existing(name)));
        ready(scope.map(Self))
    }
}

impl FromRequest for Writable {
    type Error = RegistryError;
    type Future = Ready<Result<Self, RegistryError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(scope(request, Subject::writable_scope).map(Self))
    }
}

/// Returns the subject in the path; `None` if the path has none or it is the default context.
fn scope(
    request: &HttpRequest,
    parse: impl Fn(&str) -> Result<Subject, RegistryError>,
) -> Result<Option<Subject>, RegistryError> {
    // The path extractor decodes `%2F`, which the router leaves as it is.
    let Ok(name) = Path::<String>::extract(request).into_inner() else {
        return Ok(None);
    };
    let subject = parse(&name)?;
    // The default context has an empty name, and its settings are the global ones.
    Ok(Some(subject).filter(|subject| !subject.name.is_empty()))
}

/// Get the global configuration
#[utoipa::path(
    get,
    path = "/config",
    params(query::DefaultToGlobal),
    responses((status = 200, body = ConfigBody))
)]
async fn config(registry: Data<Registry>, scope: Existing, params: Params) -> HandlerResult {
    let inherited = params.flag(query::DefaultToGlobal);
    let config = registry.service.config(scope.0.as_ref(), inherited);
    Ok(json(&config.await?))
}

/// Get the configuration of a subject
#[utoipa::path(
    get,
    path = "/config/{subject}",
    params(path::Subject, query::DefaultToGlobal),
    responses((status = 200, body = ConfigBody), SubjectConfigNotFound)
)]
async fn subject_config(
    registry: Data<Registry>,
    scope: Existing,
    params: Params,
) -> HandlerResult {
    config(registry, scope, params).await
}

/// Update the global configuration
#[utoipa::path(
    put,
    path = "/config",
    request_body = StoredConfigBody,
    responses(
        (status = 200, body = StoredConfigBody),
        InvalidCompatibilityLevel, NotPermitted, InvalidRuleSet
    )
)]
async fn put_config(registry: Data<Registry>, scope: Writable, body: Body) -> HandlerResult {
    let request: Map<String, Value> = body.parsed()?;
    let stored = registry
        .write(|service| async move { service.put_config(scope.0.as_ref(), &request).await });
    Ok(json(&stored.await?))
}

/// Update the configuration of a subject
#[utoipa::path(
    put,
    path = "/config/{subject}",
    params(path::Subject),
    request_body = StoredConfigBody,
    responses(
        (status = 200, body = StoredConfigBody),
        InvalidCompatibilityLevel, NotPermitted, InvalidSubject, InvalidRuleSet
    )
)]
async fn put_subject_config(
    registry: Data<Registry>,
    scope: Writable,
    body: Body,
) -> HandlerResult {
    put_config(registry, scope, body).await
}

/// Delete the global configuration
#[utoipa::path(
    delete,
    path = "/config",
    responses((status = 200, body = ConfigBody), NotPermitted)
)]
async fn delete_config(registry: Data<Registry>, scope: Existing) -> HandlerResult {
    let deleted =
        registry.write(|service| async move { service.delete_config(scope.0.as_ref()).await });
    Ok(json(&deleted.await?))
}

/// Delete the configuration of a subject
#[utoipa::path(
    delete,
    path = "/config/{subject}",
    params(path::Subject),
    responses((status = 200, body = ConfigBody), SubjectNotFound, NotPermitted)
)]
async fn delete_subject_config(registry: Data<Registry>, scope: Existing) -> HandlerResult {
    delete_config(registry, scope).await
}

/// Get the global mode
#[utoipa::path(
    get,
    path = "/mode",
    params(query::DefaultToGlobal),
    responses((status = 200, body = ModeBody))
)]
async fn mode(registry: Data<Registry>, scope: Existing, params: Params) -> HandlerResult {
    let inherited = params.flag(query::DefaultToGlobal);
    let mode = registry.service.mode(scope.0.as_ref(), inherited).await?;
    Ok(json(&ModeBody { mode: Some(mode) }))
}

/// Get the mode of a subject
#[utoipa::path(
    get,
    path = "/mode/{subject}",
    params(path::Subject, query::DefaultToGlobal),
    responses((status = 200, body = ModeBody), SubjectModeNotFound)
)]
async fn subject_mode(registry: Data<Registry>, scope: Existing, params: Params) -> HandlerResult {
    mode(registry, scope, params).await
}

/// Set the global mode
#[utoipa::path(
    put,
    path = "/mode",
    params(query::Force),
    request_body = ModeBody,
    responses((status = 200, body = ModeBody), InvalidMode, NotPermitted, ReferenceExists)
)]
async fn put_mode(
    registry: Data<Registry>,
    scope: Writable,
    params: Params,
    body: Body,
) -> HandlerResult {
    // A string, because an unknown mode has an error code of its own.
    #[derive(Deserialize)]
    struct Request {
        mode: Option<String>,
    }
    let requested = body.parsed::<Request>()?.mode;
    let mode = requested.map(|name| name.parse()).transpose();
    let mode = mode.map_err(|_unknown| RegistryError::InvalidMode)?;
    let force = params.flag(query::Force);
    registry
        .write(|service| async move { service.put_mode(scope.0.as_ref(), mode, force).await })
        .await?;
    Ok(json(&ModeBody { mode }))
}

/// Set the mode of a subject
#[utoipa::path(
    put,
    path = "/mode/{subject}",
    params(path::Subject, query::Force),
    request_body = ModeBody,
    responses(
        (status = 200, body = ModeBody),
        InvalidMode, NotPermitted, ReferenceExists, InvalidSubject
    )
)]
async fn put_subject_mode(
    registry: Data<Registry>,
    scope: Writable,
    params: Params,
    body: Body,
) -> HandlerResult {
    put_mode(registry, scope, params, body).await
}

/// Delete the global mode
#[utoipa::path(
    delete,
    path = "/mode",
    params(query::Recursive),
    responses((status = 200, body = ModeBody), NotPermitted)
)]
async fn delete_mode(registry: Data<Registry>, scope: Existing, params: Params) -> HandlerResult {
    let recursive = params.flag(query::Recursive);
    let deleted = registry
        .write(|service| async move { service.delete_mode(scope.0.as_ref(), recursive).await });
    Ok(json(&ModeBody {
        mode: deleted.await?,
    }))
}

/// Delete the mode of a subject
#[utoipa::path(
    delete,
    path = "/mode/{subject}",
    params(path::Subject, query::Recursive),
    responses((status = 200, body = ModeBody), SubjectNotFound, NotPermitted)
)]
async fn delete_subject_mode(
    registry: Data<Registry>,
    scope: Existing,
    params: Params,
) -> HandlerResult {
    delete_mode(registry, scope, params).await
}
