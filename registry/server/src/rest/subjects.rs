//! `/subjects`: names, versions, registration, look-up, deletes.

use actix_web::web::{Bytes, Data, Path};
use avouch_registry_api::rest::{RegisterRequest, TagRequest};
use avouch_registry_api::types::VersionSelector;

use crate::Registry;
use crate::decide::delete::Depth;
use crate::decide::register::VersionRow;
use crate::decide::subject::{ALL_CONTEXTS, Prefix, Subject, Visibility, version_selector};
use crate::error::RegistryError;
use crate::rest::answer::{Answer, explained, json, text};
use crate::rest::request::{Params, body};
use crate::service::Checks;

pub(crate) async fn list(registry: Data<Registry>, params: Params) -> Answer {
    let prefix = Prefix::parse(params.text("subjectPrefix").unwrap_or(ALL_CONTEXTS));
    let subjects = registry
        .service
        .subjects(&prefix, params.visibility(), params.page());
    Ok(json(&subjects.await?))
}

pub(crate) async fn look_up(
    registry: Data<Registry>,
    path: Path<String>,
    params: Params,
    bytes: Bytes,
) -> Answer {
    let subject = subject(&registry, &path).await?;
    let request: RegisterRequest = body(&bytes)?;
    let normalize = params.flag("normalize");
    let found = registry
        .service
        .look_up(&subject, request, normalize, params.flag("deleted"));
    let found = match found.await {
        Err(error) if params.flag("explain") => return Ok(explained(&error)),
        found => found?,
    };
    let found = registry.service.in_format(found, params.format());
    Ok(json(&found.await?))
}

pub(crate) async fn delete(registry: Data<Registry>, path: Path<String>, params: Params) -> Answer {
    let subject = subject(&registry, &path).await?;
    let depth = depth(&params);
    let deleted =
        registry.write(|service| async move { service.delete_subject(&subject, depth).await });
    Ok(json(&deleted.await?))
}

pub(crate) async fn versions(
    registry: Data<Registry>,
    path: Path<String>,
    params: Params,
) -> Answer {
    let subject = subject(&registry, &path).await?;
    let negative = params.flag("deletedAsNegative");
    let visibility = if negative {
        Visibility::WithDeleted
    } else {
        params.visibility()
    };
    // What must be there for the subject to be found is not what is shown of it.
    let is_there = Visibility::of(params.flag("deleted") || params.flag("deletedOnly"), false);
    let rows = registry.service.versions(&subject, is_there, visibility);
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

pub(crate) async fn register(
    registry: Data<Registry>,
    path: Path<String>,
    params: Params,
    bytes: Bytes,
) -> Answer {
    let subject = registry
        .service
        .behind_alias(Subject::writable(&path)?)
        .await?;
    let request: RegisterRequest = body(&bytes)?;
    let normalize = params.flag("normalize");
    let checks = checks(&params);
    let is_trial = params.flag("dryRun");
    let context = subject.context.clone();
    let registered = registry.write(|service| async move {
        if is_trial {
            service.try_out(&subject, request, normalize, checks).await
        } else {
            service.register(&subject, request, normalize, checks).await
        }
    });
    let registered = match registered.await {
        Err(error) if params.flag("explain") => return Ok(explained(&error)),
        registered => registered?,
    };
    let registered = registry
        .service
        .in_format_within(&context, registered, params.format());
    Ok(json(&registered.await?))
}

pub(crate) async fn by_metadata(
    registry: Data<Registry>,
    path: Path<String>,
    params: Params,
) -> Answer {
    let subject = subject(&registry, &path).await?;
    let wanted: Vec<_> = params.texts("key").zip(params.texts("value")).collect();
    let found = registry
        .service
        .with_properties(&subject, &wanted, params.flag("deleted"));
    let found = registry.service.in_format(found.await?, params.format());
    Ok(json(&found.await?))
}

pub(crate) async fn version(
    registry: Data<Registry>,
    path: Path<(String, String)>,
    params: Params,
) -> Answer {
    let (subject, spec) = place(&registry, &path).await?;
    let found = registry
        .service
        .version(&subject, spec, params.flag("deleted"));
    let found = params.with_tags(found.await?);
    let context = Subject::existing(found.subject.as_deref().unwrap_or_default()).context;
    let found = params.with_references(&context, found);
    let found = registry.service.in_format(found, params.format());
    Ok(json(&found.await?))
}

pub(crate) async fn version_text(
    registry: Data<Registry>,
    path: Path<(String, String)>,
    params: Params,
) -> Answer {
    let (subject, spec) = place(&registry, &path).await?;
    let found = registry
        .service
        .version(&subject, spec, params.flag("deleted"));
    let found = registry.service.in_format(found.await?, params.format());
    Ok(text(found.await?.schema))
}

pub(crate) async fn referrers(
    registry: Data<Registry>,
    path: Path<(String, String)>,
    params: Params,
) -> Answer {
    let (subject, spec) = place(&registry, &path).await?;
    let referrers = registry
        .service
        .referrers(&subject, spec, params.flag("deleted"));
    Ok(json(&params.page().of(referrers.await?)))
}

pub(crate) async fn delete_version(
    registry: Data<Registry>,
    path: Path<(String, String)>,
    params: Params,
) -> Answer {
    let (subject, spec) = place(&registry, &path).await?;
    let depth = depth(&params);
    let deleted = registry
        .write(|service| async move { service.delete_version(&subject, spec, depth).await });
    Ok(json(&deleted.await?))
}

/// Registers the version again with other tags, metadata or rules.
pub(crate) async fn retag(
    registry: Data<Registry>,
    path: Path<(String, String)>,
    params: Params,
    bytes: Bytes,
) -> Answer {
    let (subject, spec) = place(&registry, &path).await?;
    let request: TagRequest = body(&bytes)?;
    let registered =
        registry.write(|service| async move { service.retag(&subject, spec, request).await });
    match registered.await {
        Err(error) if params.flag("explain") => Ok(explained(&error)),
        registered => Ok(json(&registered?)),
    }
}

/// `force` skips the comparison with earlier versions.
pub(crate) fn checks(params: &Params) -> Checks {
    if params.flag("force") {
        Checks::Skipped
    } else {
        Checks::Compatibility
    }
}

/// The subject that a path means: the one it names, or the one behind that alias.
pub(crate) async fn subject(
    registry: &Data<Registry>,
    name: &str,
) -> Result<Subject, RegistryError> {
    registry.service.behind_alias(Subject::existing(name)).await
}

/// Subject and version that a path means.
pub(crate) async fn place(
    registry: &Data<Registry>,
    path: &(String, String),
) -> Result<(Subject, VersionSelector), RegistryError> {
    let spec = version_selector(&path.1)?;
    Ok((subject(registry, &path.0).await?, spec))
}

fn depth(params: &Params) -> Depth {
    if params.flag("permanent") {
        Depth::Permanent
    } else {
        Depth::Soft
    }
}
