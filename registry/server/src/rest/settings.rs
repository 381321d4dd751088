//! `/config` and `/mode`, each for the whole registry or for one subject.

use actix_web::web::{Bytes, Data, Path};
use avouch_registry_api::rest::ModeBody;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::Registry;
use crate::decide::subject::Subject;
use crate::error::RegistryError;
use crate::rest::answer::{Answer, json};
use crate::rest::request::{Params, body};

/// The path of a scope: a subject, or nothing for the whole registry.
type Scope = Option<Path<String>>;

pub(crate) async fn config(registry: Data<Registry>, scope: Scope, params: Params) -> Answer {
    let subject = existing(scope);
    let inherited = params.flag("defaultToGlobal");
    Ok(json(
        &registry.service.config(subject.as_ref(), inherited).await?,
    ))
}

pub(crate) async fn put_config(registry: Data<Registry>, scope: Scope, bytes: Bytes) -> Answer {
    let subject = writable(scope)?;
    let request: Map<String, Value> = body(&bytes)?;
    let stored = registry
        .write(|service| async move { service.put_config(subject.as_ref(), &request).await });
    Ok(json(&stored.await?))
}

pub(crate) async fn delete_config(registry: Data<Registry>, scope: Scope) -> Answer {
    let subject = existing(scope);
    let deleted =
        registry.write(|service| async move { service.delete_config(subject.as_ref()).await });
    Ok(json(&deleted.await?))
}

pub(crate) async fn mode(registry: Data<Registry>, scope: Scope, params: Params) -> Answer {
    let subject = existing(scope);
    let inherited = params.flag("defaultToGlobal");
    let mode = registry.service.mode(subject.as_ref(), inherited).await?;
    Ok(json(&ModeBody { mode: Some(mode) }))
}

pub(crate) async fn put_mode(
    registry: Data<Registry>,
    scope: Scope,
    params: Params,
    bytes: Bytes,
) -> Answer {
    #[derive(Deserialize)]
    struct Request {
        mode: Option<String>,
    }
    let subject = writable(scope)?;
    let requested = body::<Request>(&bytes)?.mode;
    let mode = requested.map(|word| word.parse()).transpose();
    let mode = mode.map_err(|_unknown| RegistryError::InvalidMode)?;
    let force = params.flag("force");
    registry
        .write(|service| async move { service.put_mode(subject.as_ref(), mode, force).await })
        .await?;
    Ok(json(&ModeBody { mode }))
}

pub(crate) async fn delete_mode(registry: Data<Registry>, scope: Scope, params: Params) -> Answer {
    let subject = existing(scope);
    let recursive = params.flag("recursive");
    let deleted = registry
        .write(|service| async move { service.delete_mode(subject.as_ref(), recursive).await });
    Ok(json(&ModeBody {
        mode: deleted.await?,
    }))
}

/// The default context is the whole registry by another name.
fn existing(scope: Scope) -> Option<Subject> {
    let subject = scope.map(|name| Subject::existing(&name));
    subject.filter(|subject| !subject.name.is_empty())
}

fn writable(scope: Scope) -> Result<Option<Subject>, RegistryError> {
    let subject = scope
        .map(|name| Subject::writable_scope(&name))
        .transpose()?;
    Ok(subject.filter(|subject| !subject.name.is_empty()))
}
