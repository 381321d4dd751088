//! `/v1`: Avouch's additions to Confluent's API. Plans of several schemas, undelete, version
//! histories, export and import.

use std::sync::Arc;

use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpResponse, HttpResponseBuilder};
use avouch_http::Endpoint;
use avouch_registry_api::records::{ImportBody, ImportRequest, Record};
use avouch_registry_api::rest::{
    CONTENT_TYPE, PlanAction, PlanBody, PlanRequest, SchemaBody, VersionBody,
};
use avouch_registry_api::types::VersionSelector;
use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc;

use crate::Registry;
use crate::error::RegistryError;
use crate::metrics::Outcome;
use crate::rest::error_responses::{
    IdDoesNotMatch, Incompatible, InvalidRuleSet, InvalidSchema, InvalidSubject, InvalidVersion,
    NotPermitted, SchemaTooLarge, SubjectNotFound, VersionNotFound,
};
use crate::rest::parameters::{path, query};
use crate::rest::request::{Body, Params};
use crate::rest::response::{HandlerResult, explained, json, status_of};
use crate::rest::subjects::{checks, subject, subject_version};
use crate::service::{Intent, rejection};

/// Parts of an export that are read before the client has received the previous ones.
const PARTS_AHEAD: usize = 2;
/// The HTTP status of an incompatible schema, whichever error code is configured for it.
const INCOMPATIBLE_STATUS: u16 = 409;

pub(super) fn endpoints() -> Vec<Endpoint> {
    avouch_http::endpoints![plan, apply, history, undelete, export, import]
}

/// Return what registering several schemas would do, without storing anything
///
/// Each schema is checked against the result of those before it. A plan has at most 500 schemas.
#[utoipa::path(
    post,
    path = "/v1/plan",
    request_body = PlanRequest,
    responses((status = 200, body = PlanBody))
)]
async fn plan(registry: Data<Registry>, body: Body) -> HandlerResult {
    let request: PlanRequest = body.parsed()?;
    let plan = registry
        .write(|service| async move { service.plan_all(request.subjects, Intent::Plan).await });
    Ok(json(&plan.await?))
}

/// Register several schemas in one transaction
///
/// If one of them is rejected, nothing is registered, and the response has its error code.
#[utoipa::path(
    post,
    path = "/v1/apply",
    request_body = PlanRequest,
    responses(
        (status = 200, body = PlanBody),
        Incompatible, InvalidSchema, NotPermitted, IdDoesNotMatch, InvalidSubject, SchemaTooLarge,
        InvalidRuleSet
    )
)]
async fn apply(registry: Data<Registry>, body: Body) -> HandlerResult {
    let request: PlanRequest = body.parsed()?;
    let plan = registry
        .write(|service| async move { service.plan_all(request.subjects, Intent::Apply).await });
    let plan = plan.await?;
    count(&registry, &plan);
    match rejection(&plan) {
        None => Ok(json(&plan)),
        Some(rejected) => {
            let status = status_of(rejected.error.error_code);
            Ok(HttpResponseBuilder::new(status).json(rejected))
        }
    }
}

/// Counts the outcome of each schema as if it had been registered alone. A plan that was not
/// applied registered nothing, so only its incompatible schemas count.
fn count(registry: &Registry, plan: &PlanBody) {
    for step in &plan.steps {
        let outcome = match (step.action, &step.error) {
            (PlanAction::Register, _) if plan.applied => Outcome::Added,
            (PlanAction::Existing, _) if plan.applied => Outcome::Existing,
            // By status, because the code of incompatibility is configurable.
            (PlanAction::Rejected, Some(error)) if error.http_status() == INCOMPATIBLE_STATUS => {
                Outcome::Incompatible
            }
            _ => continue,
        };
        registry.service.metrics.registered(outcome);
    }
}

/// List all versions of a subject with their creation times, soft-deleted versions included
///
/// Returns at most 1,000 versions per request.
#[utoipa::path(
    get,
    path = "/v1/subjects/{subject}/versions",
    params(path::Subject, query::Offset, query::Limit),
    responses((status = 200, body = Vec<VersionBody>), SubjectNotFound)
)]
async fn history(registry: Data<Registry>, path: Path<String>, params: Params) -> HandlerResult {
    let subject = subject(&registry, &path).await?;
    let history = registry.service.history(&subject, params.page()).await?;
    Ok(json(&history))
}

/// Restore a soft-deleted version
///
/// The version must be compatible with the live versions, unless `force` is given.
#[utoipa::path(
    post,
    path = "/v1/subjects/{subject}/versions/{version}/undelete",
    params(path::Subject, path::Version, query::Force, query::Explain),
    responses(
        (status = 200, body = SchemaBody),
        SubjectNotFound, VersionNotFound, Incompatible, InvalidSchema, InvalidVersion, NotPermitted
    )
)]
async fn undelete(
    registry: Data<Registry>,
    path: Path<(String, String)>,
    params: Params,
) -> HandlerResult {
    let (subject, spec) = subject_version(&registry, &path).await?;
    // `latest` is a live version, which has nothing to restore.
    let VersionSelector::Number(version) = spec else {
        return Err(RegistryError::InvalidVersion(path.1.clone()));
    };
    let checks = checks(&params);
    let undeleted = registry
        .write(|service| async move { service.undelete_version(&subject, version, checks).await });
    match undeleted.await {
        Err(error) if params.flag(query::Explain) => Ok(explained(&error)),
        undeleted => Ok(json(&undeleted?)),
    }
}

/// Export the registry as records of Confluent's topic `_schemas`
///
/// The response is a consistent snapshot: a JSON array with one record per line. The closing
/// bracket marks a complete export.
#[utoipa::path(get, path = "/v1/export", responses((status = 200, body = Vec<Record>)))]
async fn export(registry: Data<Registry>) -> HandlerResult {
    let (sender, mut parts) = mpsc::channel(PARTS_AHEAD);
    let service = Arc::clone(&registry.service);
    registry
        .runtime
        .spawn(async move { service.export(sender).await });
    // The first part is read before the status is sent, so that a failing database is a 500.
    let first = parts.recv().await.unwrap_or(Err(RegistryError::Internal))?;
    let begin = stream::iter([Ok(first)]);
    let rest = stream::unfold(parts, async |mut parts| {
        parts.recv().await.map(|part| (part, parts))
    });
    let mut is_first = true;
    let lines = begin.chain(rest).map(move |part| {
        let lines = lines_of(&part?, is_first)?;
        is_first = false;
        Ok::<_, RegistryError>(lines)
    });
    Ok(HttpResponse::Ok()
        .content_type(CONTENT_TYPE)
        .streaming(lines))
}

/// Returns the records as lines of the array. No records mean the end of the array.
fn lines_of(records: &[Record], is_first: bool) -> Result<Bytes, RegistryError> {
    // The service ends each complete export with an empty part.
    let is_last = records.is_empty();
    let mut text = Vec::new();
    if is_first {
        text.push(b'[');
    }
    for (index, record) in records.iter().enumerate() {
        let between: &[u8] = if is_first && index == 0 {
            b"\n"
        } else {
            b",\n"
        };
        text.extend_from_slice(between);
        serde_json::to_writer(&mut text, record)
            .map_err(|error| RegistryError::Store(error.to_string()))?;
    }
    if is_last {
        text.extend_from_slice(b"\n]\n");
    }
    Ok(text.into())
}

/// Import records of Confluent's topic `_schemas`
///
/// The registry must be in mode `IMPORT`. All records are stored in one transaction, with their IDs
/// and versions.
#[utoipa::path(
    post,
    path = "/v1/import",
    request_body = ImportRequest,
    responses((status = 200, body = ImportBody), NotPermitted)
)]
async fn import(registry: Data<Registry>, body: Body) -> HandlerResult {
    let request: ImportRequest = body.parsed()?;
    let imported = registry.write(|service| async move { service.import(request.records).await });
    let imported = imported.await?;
    Ok(json(&ImportBody { imported }))
}
