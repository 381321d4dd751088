//! `/compatibility`: would this schema fit?

use actix_web::web::{Bytes, Data, Path};
use avouch_registry_api::rest::CompatibilityBody;

use crate::Registry;
use crate::decide::compatibility::Objections;
use crate::error::RegistryError;
use crate::rest::answer::{Answer, json};
use crate::rest::request::{Params, body};
use crate::rest::subjects::{place, subject};

pub(crate) async fn with_subject(
    registry: Data<Registry>,
    path: Path<String>,
    params: Params,
    bytes: Bytes,
) -> Answer {
    let subject = subject(&registry, &path).await?;
    let objections = registry
        .service
        .check_subject(&subject, body(&bytes)?, params.flag("normalize"))
        .await;
    verdict(objections, &params)
}

pub(crate) async fn with_version(
    registry: Data<Registry>,
    path: Path<(String, String)>,
    params: Params,
    bytes: Bytes,
) -> Answer {
    let (subject, spec) = place(&registry, &path).await?;
    let objections = registry
        .service
        .check_version(&subject, spec, body(&bytes)?, params.flag("normalize"))
        .await;
    verdict(objections, &params)
}

/// A verbose check explains a schema that cannot be parsed; a terse one refuses it.
fn verdict(objections: Result<Objections, RegistryError>, params: &Params) -> Answer {
    let verbose = params.flag("verbose");
    let objections = match objections {
        Err(RegistryError::InvalidSchema(message)) if verbose => Objections {
            messages: vec![message],
            findings: Vec::new(),
        },
        objections => objections?,
    };
    Ok(json(&CompatibilityBody {
        is_compatible: objections.messages.is_empty(),
        messages: verbose.then_some(objections.messages),
        findings: params.flag("explain").then_some(objections.findings),
    }))
}
