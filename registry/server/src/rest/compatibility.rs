//! `/compatibility`: checks of a schema against registered versions.

use actix_web::web::{Data, Path};
use avouch_http::Endpoint;
use avouch_registry_api::rest::{CompatibilityBody, RegisterRequest};

use crate::Registry;
use crate::decide::compatibility::Incompatibilities;
use crate::error::RegistryError;
use crate::rest::error_responses::{
    InvalidRuleSet, InvalidSchema, InvalidVersion, VersionNotFound,
};
use crate::rest::parameters::{path, query};
use crate::rest::request::{Body, Params};
use crate::rest::response::{HandlerResult, json};
use crate::rest::subjects::{subject, subject_version};

pub(super) fn endpoints() -> Vec<Endpoint> {
    avouch_http::endpoints![with_version, with_subject]
}

/// Check whether a schema is compatible with one version
#[utoipa::path(
    post,
    path = "/compatibility/subjects/{subject}/versions/{version}",
    params(path::Subject, path::Version, query::Normalize, query::Verbose, query::Explain),
    request_body = RegisterRequest,
    responses(
        (status = 200, body = CompatibilityBody),
        VersionNotFound, InvalidSchema, InvalidVersion, InvalidRuleSet
    )
)]
async fn with_version(
    registry: Data<Registry>,
    path: Path<(String, String)>,
    params: Params,
    body: Body,
) -> HandlerResult {
    let (subject, spec) = subject_version(&registry, &path).await?;
    let normalize = params.flag(query::Normalize);
    let incompatibilities = registry
        .service
        .check_version(&subject, spec, body.parsed()?, normalize)
        .await;
    result(incompatibilities, &params)
}

/// Check whether a schema is compatible with a subject at its compatibility level
#[utoipa::path(
    post,
    path = "/compatibility/subjects/{subject}/versions",
    params(path::Subject, query::Normalize, query::Verbose, query::Explain),
    request_body = RegisterRequest,
    responses((status = 200, body = CompatibilityBody), InvalidSchema, InvalidRuleSet)
)]
async fn with_subject(
    registry: Data<Registry>,
    path: Path<String>,
    params: Params,
    body: Body,
) -> HandlerResult {
    let subject = subject(&registry, &path).await?;
    let normalize = params.flag(query::Normalize);
    let incompatibilities = registry
        .service
        .check_subject(&subject, body.parsed()?, normalize)
        .await;
    result(incompatibilities, &params)
}

/// Returns the response of a check. A schema that cannot be parsed is a reason for a verbose check
/// and an error for any other.
fn result(
    incompatibilities: Result<Incompatibilities, RegistryError>,
    params: &Params,
) -> HandlerResult {
    let verbose = params.flag(query::Verbose);
    let incompatibilities = match incompatibilities {
        Err(RegistryError::InvalidSchema(message)) if verbose => Incompatibilities {
            messages: vec![message],
            findings: Vec::new(),
        },
        incompatibilities => incompatibilities?,
    };
    Ok(json(&CompatibilityBody {
        is_compatible: incompatibilities.messages.is_empty(),
        messages: verbose.then_some(incompatibilities.messages),
        findings: params
            .flag(query::Explain)
            .then_some(incompatibilities.findings),
    }))
}
