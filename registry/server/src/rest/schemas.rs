//! `/schemas`: schemas by id, the listing, the types.

use std::collections::BTreeSet;

use actix_web::web::{Data, Path};
use avouch_registry_api::types::{SchemaId, SchemaType};

use crate::Registry;
use crate::decide::subject::{DEFAULT_CONTEXT, Prefix, Subject};
use crate::error::RegistryError;
use crate::rest::answer::{Answer, json, text};
use crate::rest::request::Params;
use crate::service::Listing;

pub(crate) async fn list(registry: Data<Registry>, params: Params) -> Answer {
    if asks_for_associated(&params) {
        return Ok(json::<[(); 0]>(&[]));
    }
    let listing = Listing {
        prefix: Prefix::parse(params.text("subjectPrefix").unwrap_or_default()),
        with_deleted: params.flag("deleted"),
        latest_only: params.flag("latestOnly"),
        with_aliases: params.flag("aliases"),
        rule_type: params.filled("ruleType").map(str::to_owned),
        page: params.page(),
    };
    Ok(json(&registry.service.schemas(listing).await?))
}

/// Whether only versions with an association are wanted. There are none, and lifecycle `NONE` asks
/// for those without.
fn asks_for_associated(params: &Params) -> bool {
    let names = ["resourceType", "associationType", "lifecycle"];
    let is_filtered = names.iter().any(|name| params.text(name).is_some());
    is_filtered && !params.texts("lifecycle").any(|value| value == "NONE")
}

pub(crate) async fn by_id(registry: Data<Registry>, id: Path<i32>, params: Params) -> Answer {
    let subject = named_subject(&registry, &params).await?;
    let id = schema_id(*id)?;
    let service = &registry.service;
    let place = service.place_of(id, subject.as_ref()).await?;
    let schema = service.schema(id, &place, params.flag("fetchMaxId"));
    let schema = params.with_tags(schema.await?);
    let schema = params.with_references(&place.context, schema);
    let schema = service.in_format_within(&place.context, schema, params.format());
    Ok(json(&schema.await?))
}

pub(crate) async fn text_by_id(registry: Data<Registry>, id: Path<i32>, params: Params) -> Answer {
    let subject = named_subject(&registry, &params).await?;
    let id = schema_id(*id)?;
    let service = &registry.service;
    let place = service.place_of(id, subject.as_ref()).await?;
    let schema = service.schema(id, &place, false).await?;
    let schema = service.in_format_within(&place.context, schema, params.format());
    Ok(text(schema.await?.schema))
}

pub(crate) async fn subjects(registry: Data<Registry>, id: Path<i32>, params: Params) -> Answer {
    let subject = named_subject(&registry, &params).await?;
    let id = holder_id(*id)?;
    let with_deleted = params.flag("deleted");
    let holders = registry.service.holders(id, subject.as_ref(), with_deleted);
    let subjects: BTreeSet<String> = holders
        .await?
        .into_iter()
        .map(|holder| holder.subject)
        .collect();
    Ok(json(&params.page().of(subjects.into_iter().collect())))
}

pub(crate) async fn versions(registry: Data<Registry>, id: Path<i32>, params: Params) -> Answer {
    let subject = named_subject(&registry, &params).await?;
    let id = holder_id(*id)?;
    let with_deleted = params.flag("deleted");
    let holders = registry.service.holders(id, subject.as_ref(), with_deleted);
    Ok(json(&params.page().of(holders.await?)))
}

pub(crate) async fn by_guid(
    registry: Data<Registry>,
    guid: Path<String>,
    params: Params,
) -> Answer {
    let (schema, places) = registry.service.schema_with_guid(&guid).await?;
    let context = places
        .first()
        .map_or(DEFAULT_CONTEXT, |place| &place.context);
    let schema = registry
        .service
        .in_format_within(context, schema, params.format());
    Ok(json(&schema.await?))
}

pub(crate) async fn ids_by_guid(registry: Data<Registry>, guid: Path<String>) -> Answer {
    let (_, places) = registry.service.schema_with_guid(&guid).await?;
    Ok(json(&places))
}

/// Parses the id in a path. A negative id is one that no schema has.
fn schema_id(id: i32) -> Result<SchemaId, RegistryError> {
    SchemaId::new(id).ok_or(RegistryError::IdNotFound(id))
}

/// The same for routes whose error does not name the id.
fn holder_id(id: i32) -> Result<SchemaId, RegistryError> {
    SchemaId::new(id).ok_or(RegistryError::SchemaNotFound { closest: None })
}

/// The subject that the query means, if it names one.
async fn named_subject(
    registry: &Data<Registry>,
    params: &Params,
) -> Result<Option<Subject>, RegistryError> {
    let Some(subject) = params.subject() else {
        return Ok(None);
    };
    match registry.service.behind_alias(subject.clone()).await {
        // Without its database the registry knows no alias, but still the ids it was asked for.
        Err(RegistryError::Store(_) | RegistryError::StoreTimeout(_)) => Ok(Some(subject)),
        subject => subject.map(Some),
    }
}

pub(crate) async fn types() -> Answer {
    Ok(json(&[
        SchemaType::Json,
        SchemaType::Protobuf,
        SchemaType::Avro,
    ]))
}
