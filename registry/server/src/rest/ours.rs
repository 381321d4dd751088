//! What the registry does beyond Confluent's: several schemas at once, undelete, histories with
//! times, the whole content out and in.

use std::sync::Arc;

use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpResponse, HttpResponseBuilder};
use avouch_registry_api::records::{ImportBody, ImportRequest, Record};
use avouch_registry_api::rest::{CONTENT_TYPE, PlanAction, PlanBody, PlanRequest};
use avouch_registry_api::types::VersionSelector;
use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc;

use crate::Registry;
use crate::error::RegistryError;
use crate::metrics::Outcome;
use crate::rest::answer::{Answer, explained, json, status_of};
use crate::rest::request::{Params, body};
use crate::rest::subjects::{checks, place, subject};
use crate::service::{Intent, refusal};

/// Parts of an export that are read ahead of being sent.
const PARTS_AHEAD: usize = 2;
/// The HTTP status of an incompatible schema, whichever code is set for it.
const INCOMPATIBLE_STATUS: u16 = 409;

pub(crate) async fn plan(registry: Data<Registry>, bytes: Bytes) -> Answer {
    let request: PlanRequest = body(&bytes)?;
    let plan = registry
        .write(|service| async move { service.plan_all(request.subjects, Intent::Plan).await });
    Ok(json(&plan.await?))
}

/// A plan that cannot be applied is refused with the code of its first refusal.
pub(crate) async fn apply(registry: Data<Registry>, bytes: Bytes) -> Answer {
    let request: PlanRequest = body(&bytes)?;
    let plan = registry
        .write(|service| async move { service.plan_all(request.subjects, Intent::Apply).await });
    let plan = plan.await?;
    count(&registry, &plan);
    match refusal(&plan) {
        None => Ok(json(&plan)),
        Some(refused) => {
            let status = status_of(refused.error.error_code);
            Ok(HttpResponseBuilder::new(status).json(refused))
        }
    }
}

/// Counts what became of the schemas as if each had been registered alone. A plan that was not
/// applied registered nothing: only the incompatible ones of it count.
fn count(registry: &Registry, plan: &PlanBody) {
    for step in &plan.steps {
        let outcome = match (step.action, &step.error) {
            (PlanAction::Register, _) if plan.applied => Outcome::Added,
            (PlanAction::Existing, _) if plan.applied => Outcome::Existing,
            (PlanAction::Refused, Some(error)) if error.http_status() == INCOMPATIBLE_STATUS => {
                Outcome::Incompatible
            }
            _ => continue,
        };
        registry.service.metrics.registered(outcome);
    }
}

pub(crate) async fn history(
    registry: Data<Registry>,
    path: Path<String>,
    params: Params,
) -> Answer {
    let subject = subject(&registry, &path).await?;
    let history = registry.service.history(&subject, params.page()).await?;
    Ok(json(&history))
}

pub(crate) async fn undelete(
    registry: Data<Registry>,
    path: Path<(String, String)>,
    params: Params,
) -> Answer {
    let (subject, spec) = place(&registry, &path).await?;
    let VersionSelector::Number(version) = spec else {
        return Err(RegistryError::InvalidVersion(path.1.clone()));
    };
    let checks = checks(&params);
    let undeleted = registry
        .write(|service| async move { service.undelete_version(&subject, version, checks).await });
    match undeleted.await {
        Err(error) if params.flag("explain") => Ok(explained(&error)),
        undeleted => Ok(json(&undeleted?)),
    }
}

/// One JSON array, a record a line, so that it can be read as it comes. It is closed only when
/// everything was sent.
pub(crate) async fn export(registry: Data<Registry>) -> Answer {
    let (sender, mut parts) = mpsc::channel(PARTS_AHEAD);
    let service = Arc::clone(&registry.service);
    registry
        .runtime
        .spawn(async move { service.export(sender).await });
    // A database that is not there is told as everywhere.
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

/// The records as lines of the array; none at all are its end.
fn lines_of(records: &[Record], is_first: bool) -> Result<Bytes, RegistryError> {
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

pub(crate) async fn import(registry: Data<Registry>, bytes: Bytes) -> Answer {
    let request: ImportRequest = body(&bytes)?;
    let imported = registry.write(|service| async move { service.import(request.records).await });
    let imported = imported.await?;
    Ok(json(&ImportBody { imported }))
}
