//! `/subjects`: names, versions, registration, lookup by content, deletion.

use actix_web::http::header::USER_AGENT;
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use avouch_http::{Endpoint, Unchanged};
use avouch_registry_api::rest::{RegisterRequest, SchemaBody, TagRequest};
use avouch_registry_api::types::VersionSelector;

use crate::Registry;
use crate::decide::delete::Depth;
use crate::decide::register::VersionRow;
use crate::decide::subject::{ALL_CONTEXTS, Prefix, Subject, Visibility, version_selector};
use crate::error::RegistryError;
use crate::metrics::Outcome;
use crate::rest::error_responses::{
    IdDoesNotMatch, Incompatible, InvalidRuleSet, InvalidSchema, InvalidSubject, InvalidVersion,
    NotPermitted, ReferenceExists, SchemaNotFound, SchemaTooLarge, SubjectNotFound,
    SubjectNotSoftDeleted, SubjectSoftDeleted, VersionNotFound, VersionNotSoftDeleted,
    VersionSoftDeleted,
};
use crate::rest::parameters::{Parameter as _, path, query};
use crate::rest::request::{Body, Params};
use crate::rest::response::{HandlerResult, explained, json, json_bytes, schema_text};
use crate::service::{Checks, Registered, Registration, serialized};

pub(super) fn endpoints() -> Vec<Endpoint> {
    avouch_http::endpoints![
        list,
        look_up,
        delete,
        versions,
        register,
        by_metadata,
        version,
        delete_version,
        version_text,
        retag,
        referrers,
    ]
}

/// List subjects
#[utoipa::path(
    get,
    path = "/subjects",
    params(
        query::SubjectPrefix, query::Deleted, query::DeletedOnly, query::Offset, query::Limit
    ),
    responses((status = 200, body = Vec<String>))
)]
async fn list(registry: Data<Registry>, params: Params) -> HandlerResult {
    let prefix = params.text(query::SubjectPrefix).unwrap_or(ALL_CONTEXTS);
    let prefix = Prefix::parse(prefix);
    let subjects = registry
        .service
        .subjects(&prefix, params.visibility(), params.page());
    Ok(json(&subjects.await?))
}

/// Look up a schema under a subject by its content
#[utoipa::path(
    post,
    path = "/subjects/{subject}",
    params(path::Subject, query::Normalize, query::Deleted, query::Format, query::Explain),
    request_body = RegisterRequest,
    responses(
        (status = 200, body = SchemaBody),
        SubjectNotFound, SchemaNotFound, InvalidSchema, InvalidRuleSet
    )
)]
async fn look_up(
    registry: Data<Registry>,
    path: Path<String>,
    params: Params,
    body: Body,
) -> HandlerResult {
    let subject = subject(&registry, &path).await?;
    let request: RegisterRequest = body.parsed()?;
    let normalize = params.flag(query::Normalize);
    let with_deleted = params.flag(query::Deleted);
    let found = registry
        .service
        .look_up(&subject, request, normalize, with_deleted);
    let found = match found.await {
        Err(error) if params.flag(query::Explain) => return Ok(explained(&error)),
        found => found?,
    };
    let found = registry.service.in_format(found, params.format());
    Ok(json(&found.await?))
}

/// Delete a subject and return its versions
#[utoipa::path(
    delete,
    path = "/subjects/{subject}",
    params(path::Subject, query::Permanent),
    responses(
        (status = 200, body = Vec<i32>),
        SubjectNotFound, SubjectSoftDeleted, SubjectNotSoftDeleted, NotPermitted, ReferenceExists
    )
)]
async fn delete(registry: Data<Registry>, path: Path<String>, params: Params) -> HandlerResult {
    let subject = subject(&registry, &path).await?;
    let depth = depth(&params);
    let deleted =
        registry.write(|service| async move { service.delete_subject(&subject, depth).await });
    Ok(json(&deleted.await?))
}

/// List the versions of a subject
#[utoipa::path(
    get,
    path = "/subjects/{subject}/versions",
    params(
        path::Subject, query::Deleted, query::DeletedOnly, query::DeletedAsNegative, query::Offset,
        query::Limit
    ),
    responses((status = 200, body = Vec<i32>), SubjectNotFound)
)]
async fn versions(registry: Data<Registry>, path: Path<String>, params: Params) -> HandlerResult {
    let subject = subject(&registry, &path).await?;
    let negative = params.flag(query::DeletedAsNegative);
    let visibility = if negative {
        Visibility::WithDeleted
    } else {
        params.visibility()
    };
    // `deletedAsNegative` changes what is shown; it does not make a deleted subject exist.
    let with_deleted = params.flag(query::Deleted) || params.flag(query::DeletedOnly);
    let counted = Visibility::of(with_deleted, false);
    let rows = registry.service.versions(&subject, counted, visibility);
    let rows = rows.await?;
    let number = |row: &VersionRow| {
        if negative && row.deleted {
            -row.version.get()
        } else {
            row.version.get()
        }
    };
    Ok(json(&params.page().of(rows.iter().map(number).collect())))
}

/// Register a schema
#[utoipa::path(
    post,
    path = "/subjects/{subject}/versions",
    params(
        path::Subject, query::Normalize, query::Format, query::Force, query::DryRun, query::Explain
    ),
    request_body = RegisterRequest,
    responses(
        (status = 200, body = SchemaBody),
        Incompatible, InvalidSchema, NotPermitted, IdDoesNotMatch, InvalidSubject, SchemaTooLarge,
        InvalidRuleSet
    )
)]
async fn register(
    registry: Data<Registry>,
    path: Path<String>,
    params: Params,
    body: Body,
    request: HttpRequest,
) -> HandlerResult {
    let registration = Registration {
        subject: &path,
        normalize: params.flag(query::Normalize),
        body: &body.0,
    };
    let service = &registry.service;
    let is_cacheable = params.are_among(&[query::Normalize::NAME]);
    // Read before the alias, the settings and the versions that the response depends on.
    let epoch = service.registration_epoch(registration);
    if is_cacheable && let Some(known) = service.known_registration(registration).await {
        service.metrics.registered(Outcome::Existing);
        return Ok(existing(&registry, &path, &request, known));
    }
    let subject = registry
        .service
        .resolve_alias(Subject::writable(&path)?)
        .await?;
    let schema: RegisterRequest = body.parsed()?;
    let normalize = registration.normalize;
    let checks = checks(&params);
    let is_dry_run = params.flag(query::DryRun);
    // The response of a registration has no subject, so that its context must be kept for the
    // format.
    let context = subject.context.clone();
    let registered = registry.write(|service| async move {
        if is_dry_run {
            let dry_run = service.dry_run(&subject, schema, normalize, checks).await;
            // Only the response of a registration is cached.
            let outcome = Outcome::Added;
            dry_run.map(|body| Registered { body, outcome })
        } else {
            service.register(&subject, schema, normalize, checks).await
        }
    });
    let Registered {
        body: registered,
        outcome,
    } = match registered.await {
        Err(error) if params.flag(query::Explain) => return Ok(explained(&error)),
        registered => registered?,
    };
    let registered = registry
        .service
        .in_format_within(&context, registered, params.format());
    let response = serialized(&registered.await?)?;
    if outcome != Outcome::Existing {
        return Ok(json_bytes(response));
    }
    if is_cacheable {
        service.remember_registration(registration, epoch, response.clone());
    }
    Ok(existing(&registry, &path, &request, response))
}

/// Returns the response to a registration of a schema that is registered already, and counts it for
/// the client: some clients register a schema with every record.
fn existing(
    registry: &Registry,
    subject: &str,
    request: &HttpRequest,
    response: Bytes,
) -> HttpResponse {
    let user_agent = request.headers().get(USER_AGENT);
    let user_agent = user_agent.and_then(|value| value.to_str().ok());
    let metrics = &registry.service.metrics;
    metrics.registered_again(subject, user_agent.unwrap_or_default());
    let mut response = json_bytes(response);
    response.extensions_mut().insert(Unchanged);
    response
}

/// Get the latest version with the given metadata properties
#[utoipa::path(
    get,
    path = "/subjects/{subject}/metadata",
    params(path::Subject, query::Key, query::Value, query::Deleted, query::Format),
    responses((status = 200, body = SchemaBody), SubjectNotFound, SchemaNotFound, InvalidSchema)
)]
async fn by_metadata(
    registry: Data<Registry>,
    path: Path<String>,
    params: Params,
) -> HandlerResult {
    let subject = subject(&registry, &path).await?;
    let keys = params.texts(query::Key);
    let wanted: Vec<_> = keys.zip(params.texts(query::Value)).collect();
    let with_deleted = params.flag(query::Deleted);
    let found = registry
        .service
        .with_properties(&subject, &wanted, with_deleted);
    let found = registry.service.in_format(found.await?, params.format());
    Ok(json(&found.await?))
}

/// Get a version
#[utoipa::path(
    get,
    path = "/subjects/{subject}/versions/{version}",
    params(
        path::Subject, path::Version, query::Deleted, query::Format, query::ReferenceFormat,
        query::FindTags
    ),
    responses(
        (status = 200, body = SchemaBody),
        SubjectNotFound, VersionNotFound, InvalidVersion, InvalidSchema
    )
)]
async fn version(
    registry: Data<Registry>,
    path: Path<(String, String)>,
    params: Params,
) -> HandlerResult {
    let (subject, spec) = subject_version(&registry, &path).await?;
    let with_deleted = params.flag(query::Deleted);
    let found = registry.service.version(&subject, spec, with_deleted);
    let found = params.with_tags(found.await?);
    let context = Subject::existing(found.subject.as_deref().unwrap_or_default()).context;
    let found = params.with_references(&context, found);
    let found = registry.service.in_format(found, params.format());
    Ok(json(&found.await?))
}

/// Get the bare schema of a version
#[utoipa::path(
    get,
    path = "/subjects/{subject}/versions/{version}/schema",
    params(path::Subject, path::Version, query::Deleted, query::Format),
    responses(
        (status = 200, body = Value),
        SubjectNotFound, VersionNotFound, InvalidVersion, InvalidSchema
    )
)]
async fn version_text(
    registry: Data<Registry>,
    path: Path<(String, String)>,
    params: Params,
) -> HandlerResult {
    let (subject, spec) = subject_version(&registry, &path).await?;
    let with_deleted = params.flag(query::Deleted);
    let found = registry.service.version(&subject, spec, with_deleted);
    let found = registry.service.in_format(found.await?, params.format());
    Ok(schema_text(found.await?.schema))
}

/// List the IDs of schemas that reference a version
#[utoipa::path(
    get,
    path = "/subjects/{subject}/versions/{version}/referencedby",
    params(path::Subject, path::Version, query::Deleted, query::Offset, query::Limit),
    responses(
        (status = 200, body = Vec<i32>),
        SubjectNotFound, VersionNotFound, InvalidVersion
    )
)]
async fn referrers(
    registry: Data<Registry>,
    path: Path<(String, String)>,
    params: Params,
) -> HandlerResult {
    let (subject, spec) = subject_version(&registry, &path).await?;
    let with_deleted = params.flag(query::Deleted);
    let referrers = registry.service.referrers(&subject, spec, with_deleted);
    Ok(json(&params.page().of(referrers.await?)))
}

/// Delete a version and return its number
#[utoipa::path(
    delete,
    path = "/subjects/{subject}/versions/{version}",
    params(path::Subject, path::Version, query::Permanent),
    responses(
        (status = 200, body = i32),
        SubjectNotFound, VersionNotFound, VersionSoftDeleted, VersionNotSoftDeleted, InvalidVersion,
        NotPermitted, ReferenceExists
    )
)]
async fn delete_version(
    registry: Data<Registry>,
    path: Path<(String, String)>,
    params: Params,
) -> HandlerResult {
    let (subject, spec) = subject_version(&registry, &path).await?;
    let depth = depth(&params);
    let deleted = registry
        .write(|service| async move { service.delete_version(&subject, spec, depth).await });
    Ok(json(&deleted.await?))
}

/// Register a version again with other tags, metadata or rules
#[utoipa::path(
    post,
    path = "/subjects/{subject}/versions/{version}/tags",
    params(path::Subject, path::Version, query::Explain),
    request_body = TagRequest,
    responses(
        (status = 200, body = SchemaBody),
        SubjectNotFound, VersionNotFound, Incompatible, InvalidSchema, InvalidVersion, NotPermitted,
        InvalidRuleSet
    )
)]
async fn retag(
    registry: Data<Registry>,
    path: Path<(String, String)>,
    params: Params,
    body: Body,
) -> HandlerResult {
    let (subject, spec) = subject_version(&registry, &path).await?;
    let request: TagRequest = body.parsed()?;
    let registered =
        registry.write(|service| async move { service.retag(&subject, spec, request).await });
    match registered.await {
        Err(error) if params.flag(query::Explain) => Ok(explained(&error)),
        registered => Ok(json(&registered?)),
    }
}

/// Returns which checks a registration runs: `force` skips compatibility.
pub(crate) fn checks(params: &Params) -> Checks {
    if params.flag(query::Force) {
        Checks::Skipped
    } else {
        Checks::Compatibility
    }
}

/// Returns the subject that the path names, aliases resolved.
pub(crate) async fn subject(
    registry: &Data<Registry>,
    name: &str,
) -> Result<Subject, RegistryError> {
    registry
        .service
        .resolve_alias(Subject::existing(name))
        .await
}

/// Returns the subject and the version that the path names, aliases resolved.
pub(crate) async fn subject_version(
    registry: &Data<Registry>,
    path: &(String, String),
) -> Result<(Subject, VersionSelector), RegistryError> {
    // Parsed first: an invalid version is an error even of an unknown subject.
    let spec = version_selector(&path.1)?;
    Ok((subject(registry, &path.0).await?, spec))
}

fn depth(params: &Params) -> Depth {
    if params.flag(query::Permanent) {
        Depth::Permanent
    } else {
        Depth::Soft
    }
}
