//! `/config` and `/mode`, each for the whole registry, a context or a subject.

use actix_web::web::{Bytes, Data, Path};
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
use crate::rest::request::{Params, body};
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

/// A subject or a context; `None` is the whole registry.
type Scope = Option<Subject>;

/// Get the global configuration
#[utoipa::path(
    get,
    path = "/config",
    params(query::DefaultToGlobal),
    responses((status = 200, body = ConfigBody))
)]
async fn config(registry: Data<Registry>, params: Params) -> HandlerResult {
    config_of(&registry, None, &params).await
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
    path: Path<String>,
    params: Params,
) -> HandlerResult {
    config_of(&registry, existing(&path), &params).await
}

async fn config_of(registry: &Registry, scope: Scope, params: &Params) -> HandlerResult {
    let inherited = params.flag(query::DefaultToGlobal);
    let config = registry.service.config(scope.as_ref(), inherited);
    Ok(json(&config.await?))
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
async fn put_config(registry: Data<Registry>, bytes: Bytes) -> HandlerResult {
    store_config(&registry, None, &bytes).await
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
    path: Path<String>,
    bytes: Bytes,
) -> HandlerResult {
    store_config(&registry, writable(&path)?, &bytes).await
}

async fn store_config(registry: &Registry, scope: Scope, bytes: &[u8]) -> HandlerResult {
    let request: Map<String, Value> = body(bytes)?;
    let stored =
        registry.write(|service| async move { service.put_config(scope.as_ref(), &request).await });
    Ok(json(&stored.await?))
}

/// Delete the global configuration
#[utoipa::path(
    delete,
    path = "/config",
    responses((status = 200, body = ConfigBody), NotPermitted)
)]
async fn delete_config(registry: Data<Registry>) -> HandlerResult {
    remove_config(&registry, None).await
}

/// Delete the configuration of a subject
#[utoipa::path(
    delete,
    path = "/config/{subject}",
    params(path::Subject),
    responses((status = 200, body = ConfigBody), SubjectNotFound, NotPermitted)
)]
async fn delete_subject_config(registry: Data<Registry>, path: Path<String>) -> HandlerResult {
    remove_config(&registry, existing(&path)).await
}

async fn remove_config(registry: &Registry, scope: Scope) -> HandlerResult {
    let deleted =
        registry.write(|service| async move { service.delete_config(scope.as_ref()).await });
    Ok(json(&deleted.await?))
}

/// Get the global mode
#[utoipa::path(
    get,
    path = "/mode",
    params(query::DefaultToGlobal),
    responses((status = 200, body = ModeBody))
)]
async fn mode(registry: Data<Registry>, params: Params) -> HandlerResult {
    mode_of(&registry, None, &params).await
}

/// Get the mode of a subject
#[utoipa::path(
    get,
    path = "/mode/{subject}",
    params(path::Subject, query::DefaultToGlobal),
    responses((status = 200, body = ModeBody), SubjectModeNotFound)
)]
async fn subject_mode(
    registry: Data<Registry>,
    path: Path<String>,
    params: Params,
) -> HandlerResult {
    mode_of(&registry, existing(&path), &params).await
}

async fn mode_of(registry: &Registry, scope: Scope, params: &Params) -> HandlerResult {
    let inherited = params.flag(query::DefaultToGlobal);
    let mode = registry.service.mode(scope.as_ref(), inherited).await?;
    Ok(json(&ModeBody { mode: Some(mode) }))
}

/// Set the global mode
#[utoipa::path(
    put,
    path = "/mode",
    params(query::Force),
    request_body = ModeBody,
    responses((status = 200, body = ModeBody), InvalidMode, NotPermitted, ReferenceExists)
)]
async fn put_mode(registry: Data<Registry>, params: Params, bytes: Bytes) -> HandlerResult {
    store_mode(&registry, None, &params, &bytes).await
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
    path: Path<String>,
    params: Params,
    bytes: Bytes,
) -> HandlerResult {
    store_mode(&registry, writable(&path)?, &params, &bytes).await
}

async fn store_mode(
    registry: &Registry,
    scope: Scope,
    params: &Params,
    bytes: &[u8],
) -> HandlerResult {
    #[derive(Deserialize)]
    struct Request {
        mode: Option<String>,
    }
    let requested = body::<Request>(bytes)?.mode;
    let mode = requested.map(|name| name.parse()).transpose();
    let mode = mode.map_err(|_unknown| RegistryError::InvalidMode)?;
    let force = params.flag(query::Force);
    registry
        .write(|service| async move { service.put_mode(scope.as_ref(), mode, force).await })
        .await?;
    Ok(json(&ModeBody { mode }))
}

/// Delete the global mode
#[utoipa::path(
    delete,
    path = "/mode",
    params(query::Recursive),
    responses((status = 200, body = ModeBody), NotPermitted)
)]
async fn delete_mode(registry: Data<Registry>, params: Params) -> HandlerResult {
    remove_mode(&registry, None, &params).await
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
    path: Path<String>,
    params: Params,
) -> HandlerResult {
    remove_mode(&registry, existing(&path), &params).await
}

async fn remove_mode(registry: &Registry, scope: Scope, params: &Params) -> HandlerResult {
    let recursive = params.flag(query::Recursive);
    let deleted = registry
        .write(|service| async move { service.delete_mode(scope.as_ref(), recursive).await });
    Ok(json(&ModeBody {
        mode: deleted.await?,
    }))
}

/// Returns the scope of a request that does not create it. The default context is the whole
/// registry.
fn existing(name: &str) -> Scope {
    Some(Subject::existing(name)).filter(|subject| !subject.name.is_empty())
}

/// Returns the scope of a request that may create its settings.
fn writable(name: &str) -> Result<Scope, RegistryError> {
    let subject = Subject::writable_scope(name)?;
    Ok(Some(subject).filter(|subject| !subject.name.is_empty()))
}
