//! `/schemas`: schemas by ID and GUID, the listing of versions, the schema types.

use std::collections::BTreeSet;

use actix_web::HttpRequest;
use actix_web::web::{Data, Path};
use avouch_http::Endpoint;
use avouch_registry_api::rest::{ContextIdBody, SchemaBody, SubjectVersionBody};
use avouch_registry_api::types::{SchemaId, SchemaType};

use crate::Registry;
use crate::decide::subject::{DEFAULT_CONTEXT, Prefix, Subject};
use crate::error::RegistryError;
use crate::metrics::SCHEMA_BY_ID;
use crate::rest::error_responses::{InvalidSchema, SchemaNotFound};
use crate::rest::parameters::{path, query};
use crate::rest::request::{Params, requests_current};
use crate::rest::response::{HandlerResult, json, schema_text};
use crate::service::Listing;

pub(super) fn endpoints() -> Vec<Endpoint> {
    avouch_http::endpoints![
        by_id,
        text_by_id,
        subjects,
        versions,
        list,
        types,
        by_guid,
        ids_by_guid,
    ]
}

/// List versions of all subjects
///
/// Returns at most 1,000 versions per request.
#[utoipa::path(
    get,
    path = "/schemas",
    params(
        query::SubjectPrefix, query::Aliases, query::Deleted, query::LatestOnly, query::RuleType,
        query::ResourceType, query::AssociationType, query::Lifecycle, query::Offset, query::Limit
    ),
    responses((status = 200, body = Vec<SchemaBody>))
)]
async fn list(registry: Data<Registry>, params: Params) -> HandlerResult {
    if selects_associated(&params) {
        // No version has an association.
        return Ok(json::<[(); 0]>(&[]));
    }
    let listing = Listing {
        prefix: Prefix::parse(params.text(query::SubjectPrefix).unwrap_or_default()),
        with_deleted: params.flag(query::Deleted),
        latest_only: params.flag(query::LatestOnly),
        with_aliases: params.flag(query::Aliases),
        rule_type: params.non_empty(query::RuleType).map(str::to_owned),
        page: params.page(),
    };
    Ok(json(&registry.service.schemas(listing).await?))
}

/// Returns true if only versions with an association are requested. There are none; lifecycle
/// `NONE` requests those without.
fn selects_associated(params: &Params) -> bool {
    let is_filtered = params.text(query::ResourceType).is_some()
        || params.text(query::AssociationType).is_some()
        || params.text(query::Lifecycle).is_some();
    is_filtered && !params.texts(query::Lifecycle).any(|value| value == "NONE")
}

/// Get a schema by its ID
///
/// With `Cache-Control: no-cache`, a registry node on a shared database first takes in what other
/// nodes have changed.
#[utoipa::path(
    get,
    path = SCHEMA_BY_ID,
    params(
        path::Id, query::SubjectOfId, query::Format, query::ReferenceFormat, query::FindTags,
        query::FetchMaxId
    ),
    responses((status = 200, body = SchemaBody), SchemaNotFound, InvalidSchema)
)]
async fn by_id(
    registry: Data<Registry>,
    id: Path<i32>,
    params: Params,
    request: HttpRequest,
) -> HandlerResult {
    if requests_current(request.headers()) {
        registry.service.catch_up_with_other_nodes().await;
    }
    let subject = named_subject(&registry, &params).await?;
    let id = schema_id(*id)?;
    let service = &registry.service;
    let place = service.subject_of_id(id, subject.as_ref()).await?;
    let schema = service.schema(id, &place, params.flag(query::FetchMaxId));
    let schema = params.with_tags(schema.await?);
    let schema = params.with_references(&place.context, schema);
    let schema = service.in_format_within(&place.context, schema, params.format());
    Ok(json(&schema.await?))
}

/// Get the bare schema by its ID
#[utoipa::path(
    get,
    path = "/schemas/ids/{id}/schema",
    params(path::Id, query::SubjectOfId, query::Format),
    responses((status = 200, body = Value), SchemaNotFound, InvalidSchema)
)]
async fn text_by_id(registry: Data<Registry>, id: Path<i32>, params: Params) -> HandlerResult {
    let subject = named_subject(&registry, &params).await?;
    let id = schema_id(*id)?;
    let service = &registry.service;
    let place = service.subject_of_id(id, subject.as_ref()).await?;
    let schema = service.schema(id, &place, false).await?;
    let schema = service.in_format_within(&place.context, schema, params.format());
    Ok(schema_text(schema.await?.schema))
}

/// List the subjects that use a schema ID
#[utoipa::path(
    get,
    path = "/schemas/ids/{id}/subjects",
    params(path::Id, query::SubjectOfId, query::Deleted, query::Offset, query::Limit),
    responses((status = 200, body = Vec<String>), SchemaNotFound)
)]
async fn subjects(registry: Data<Registry>, id: Path<i32>, params: Params) -> HandlerResult {
    let subject = named_subject(&registry, &params).await?;
    let id = holder_id(*id)?;
    let with_deleted = params.flag(query::Deleted);
    let holders = registry.service.holders(id, subject.as_ref(), with_deleted);
    // Several versions of a subject may have the ID.
    let subjects: BTreeSet<String> = holders
        .await?
        .into_iter()
        .map(|holder| holder.subject)
        .collect();
    Ok(json(&params.page().of(subjects.into_iter().collect())))
}

/// List the subject versions that use a schema ID
#[utoipa::path(
    get,
    path = "/schemas/ids/{id}/versions",
    params(path::Id, query::SubjectOfId, query::Deleted, query::Offset, query::Limit),
    responses((status = 200, body = Vec<SubjectVersionBody>), SchemaNotFound)
)]
async fn versions(registry: Data<Registry>, id: Path<i32>, params: Params) -> HandlerResult {
    let subject = named_subject(&registry, &params).await?;
    let id = holder_id(*id)?;
    let with_deleted = params.flag(query::Deleted);
    let holders = registry.service.holders(id, subject.as_ref(), with_deleted);
    Ok(json(&params.page().of(holders.await?)))
}

/// Get a schema by its GUID
#[utoipa::path(
    get,
    path = "/schemas/guids/{guid}",
    params(path::Guid, query::Format),
    responses((status = 200, body = SchemaBody), SchemaNotFound, InvalidSchema)
)]
async fn by_guid(registry: Data<Registry>, guid: Path<String>, params: Params) -> HandlerResult {
    let (schema, places) = registry.service.schema_with_guid(&guid).await?;
    let context = places
        .first()
        .map_or(DEFAULT_CONTEXT, |place| &place.context);
    let schema = registry
        .service
        .in_format_within(context, schema, params.format());
    Ok(json(&schema.await?))
}

/// List the contexts and IDs of a schema by its GUID
#[utoipa::path(
    get,
    path = "/schemas/guids/{guid}/ids",
    params(path::Guid),
    responses((status = 200, body = Vec<ContextIdBody>), SchemaNotFound)
)]
async fn ids_by_guid(registry: Data<Registry>, guid: Path<String>) -> HandlerResult {
    let (_, places) = registry.service.schema_with_guid(&guid).await?;
    Ok(json(&places))
}

/// List the schema types
#[utoipa::path(get, path = "/schemas/types", responses((status = 200, body = Vec<String>)))]
async fn types() -> HandlerResult {
    Ok(json(&[
        SchemaType::Json,
        SchemaType::Protobuf,
        SchemaType::Avro,
    ]))
}

/// Parses the ID in a path. A negative ID is one that no schema has.
fn schema_id(id: i32) -> Result<SchemaId, RegistryError> {
    SchemaId::new(id).ok_or(RegistryError::IdNotFound(id))
}

/// Parses the ID in a path of a route whose error does not contain the ID.
fn holder_id(id: i32) -> Result<SchemaId, RegistryError> {
    SchemaId::new(id).ok_or(RegistryError::SchemaNotFound { closest: None })
}

/// Returns the subject of the query parameter `subject`, aliases resolved.
async fn named_subject(
    registry: &Data<Registry>,
    params: &Params,
) -> Result<Option<Subject>, RegistryError> {
    let Some(subject) = params.subject() else {
        return Ok(None);
    };
    match registry.service.resolve_alias(subject.clone()).await {
        // Without its database the registry knows no alias, but cached IDs are still served.
        Err(RegistryError::Store(_) | RegistryError::StoreTimeout(_)) => Ok(Some(subject)),
        subject => subject.map(Some),
    }
}
