//! What the registry does beyond Confluent's: several schemas at once, undelete, histories with
//! times, the whole content out and in.

use actix_web::HttpResponseBuilder;
use actix_web::web::{Bytes, Data, Path};
use avouch_registry_api::records::{ImportBody, ImportRequest};
use avouch_registry_api::rest::{PlanAction, PlanBody, PlanRequest};

use crate::Registry;
use crate::decide::subject::VersionSpec;
use crate::error::RegistryError;
use crate::metrics::Outcome;
use crate::rest::answer::{Answer, explained, json, status_of};
use crate::rest::request::{Params, body};
use crate::rest::subjects::{checks, place, subject};
use crate::service::{Intent, refusal};

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
    let VersionSpec::Number(version) = spec else {
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

pub(crate) async fn export(registry: Data<Registry>, params: Params) -> Answer {
    Ok(json(&registry.service.export(params.page()).await?))
}

pub(crate) async fn import(registry: Data<Registry>, bytes: Bytes) -> Answer {
    let request: ImportRequest = body(&bytes)?;
    let imported = registry.write(|service| async move { service.import(request.records).await });
    let imported = imported.await?;
    Ok(json(&ImportBody { imported }))
}
