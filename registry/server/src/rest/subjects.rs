//! `/subjects`: names, versions, registration, look-up, deletes.

use actix_web::web::{Bytes, Data, Path};
use avouch_registry_api::rest::RegisterRequest;

use crate::Registry;
use crate::decide::delete::Depth;
use crate::decide::register::VersionRow;
use crate::decide::subject::{Subject, VersionSpec, Visibility};
use crate::error::RegistryError;
use crate::rest::answer::{Answer, json, text};
use crate::rest::request::{Params, body};
use crate::service::Checks;

/// The prefix that stands for every subject of every context.
const ALL_CONTEXTS: &str = ":*:";

pub(crate) async fn list(registry: Data<Registry>, params: Params) -> Answer {
    let prefix = prefix(&params)?;
    let subjects = registry
        .service
        .subjects(&prefix, params.visibility(), params.page());
    Ok(json(&subjects.await?))
}

/// `subjectPrefix`, without the default context's qualification.
pub(crate) fn prefix(params: &Params) -> Result<String, RegistryError> {
    match params.text("subjectPrefix") {
        None | Some(ALL_CONTEXTS) => Ok(String::new()),
        Some(prefix) => Subject::existing(prefix).map(|subject| subject.name),
    }
}

pub(crate) async fn look_up(
    registry: Data<Registry>,
    path: Path<String>,
    params: Params,
    bytes: Bytes,
) -> Answer {
    let subject = Subject::existing(&path)?;
    let request: RegisterRequest = body(&bytes)?;
    let normalize = params.flag("normalize");
    let found = registry
        .service
        .look_up(&subject, request, normalize, params.flag("deleted"));
    let found = registry.service.in_format(found.await?, params.format());
    Ok(json(&found.await?))
}

pub(crate) async fn delete(registry: Data<Registry>, path: Path<String>, params: Params) -> Answer {
    let subject = Subject::existing(&path)?;
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
    let subject = Subject::existing(&path)?;
    let negative = params.flag("deletedAsNegative");
    let visibility = if negative {
        Visibility::WithDeleted
    } else {
        params.visibility()
    };
    let rows = registry.service.versions(&subject, visibility).await?;
    let number = |row: &VersionRow| {
        if negative && row.deleted {
            -row.version
        } else {
            row.version
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
    let subject = Subject::writable(&path)?;
    let request: RegisterRequest = body(&bytes)?;
    let normalize = params.flag("normalize");
    let checks = if params.flag("force") {
        Checks::Skipped
    } else {
        Checks::Compatibility
    };
    let registered = registry.write(|service| async move {
        service.register(&subject, request, normalize, checks).await
    });
    let registered = registry
        .service
        .in_format(registered.await?, params.format());
    Ok(json(&registered.await?))
}

pub(crate) async fn by_metadata(
    registry: Data<Registry>,
    path: Path<String>,
    params: Params,
) -> Answer {
    let subject = Subject::existing(&path)?;
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
    let (subject, spec) = place(&path)?;
    let found = registry
        .service
        .version(&subject, spec, params.flag("deleted"));
    let found = registry.service.in_format(found.await?, params.format());
    Ok(json(&found.await?))
}

pub(crate) async fn version_text(
    registry: Data<Registry>,
    path: Path<(String, String)>,
    params: Params,
) -> Answer {
    let (subject, spec) = place(&path)?;
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
    let (subject, spec) = place(&path)?;
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
    let (subject, spec) = place(&path)?;
    let depth = depth(&params);
    let deleted = registry
        .write(|service| async move { service.delete_version(&subject, spec, depth).await });
    Ok(json(&deleted.await?))
}

/// Subject and version of a path.
pub(crate) fn place(path: &(String, String)) -> Result<(Subject, VersionSpec), RegistryError> {
    let spec = VersionSpec::parse(&path.1)?;
    Ok((Subject::existing(&path.0)?, spec))
}

fn depth(params: &Params) -> Depth {
    if params.flag("permanent") {
        Depth::Permanent
    } else {
        Depth::Soft
    }
}
