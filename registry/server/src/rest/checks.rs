//! `/compatibility`: would this schema fit?

use actix_web::web::{Bytes, Data, Path};
use avouch_registry_api::rest::CompatibilityBody;

use crate::Registry;
use crate::decide::subject::Subject;
use crate::error::RegistryError;
use crate::rest::answer::{Answer, json};
use crate::rest::request::{Params, body};
use crate::rest::subjects::place;

pub(crate) async fn with_subject(
    registry: Data<Registry>,
    path: Path<String>,
    params: Params,
    bytes: Bytes,
) -> Answer {
    let subject = Subject::existing(&path)?;
    let findings = registry
        .service
        .check_subject(&subject, body(&bytes)?, params.flag("normalize"))
        .await;
    verdict(findings, params.flag("verbose"))
}

pub(crate) async fn with_version(
    registry: Data<Registry>,
    path: Path<(String, String)>,
    params: Params,
    bytes: Bytes,
) -> Answer {
    let (subject, spec) = place(&path)?;
    let findings = registry
        .service
        .check_version(&subject, spec, body(&bytes)?, params.flag("normalize"))
        .await;
    verdict(findings, params.flag("verbose"))
}

/// A verbose check explains a schema that cannot be parsed; a terse one refuses it.
fn verdict(findings: Result<Vec<String>, RegistryError>, verbose: bool) -> Answer {
    let findings = match findings {
        Err(RegistryError::InvalidSchema(message)) if verbose => vec![message],
        findings => findings?,
    };
    Ok(json(&CompatibilityBody {
        is_compatible: findings.is_empty(),
        messages: verbose.then_some(findings),
    }))
}
