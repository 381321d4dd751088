//! `/schemas`: schemas by id, the listing, the types.

use std::collections::BTreeSet;

use actix_web::web::{Data, Path};
use avouch_registry_api::vocabulary::SchemaType;

use crate::Registry;
use crate::decide::subject::Subject;
use crate::error::RegistryError;
use crate::rest::answer::{Answer, json, text};
use crate::rest::request::Params;
use crate::rest::subjects::prefix;
use crate::service::Listing;

pub(crate) async fn list(registry: Data<Registry>, params: Params) -> Answer {
    let listing = Listing {
        prefix: prefix(&params),
        with_deleted: params.flag("deleted"),
        latest_only: params.flag("latestOnly"),
        with_aliases: params.flag("aliases"),
        rule_type: params.text("ruleType").map(str::to_owned),
        page: params.page(),
    };
    Ok(json(&registry.service.schemas(listing).await?))
}

pub(crate) async fn by_id(registry: Data<Registry>, id: Path<i32>, params: Params) -> Answer {
    let subject = named_subject(&registry, &params).await?;
    let service = &registry.service;
    let place = service.place_of(*id, subject.as_ref()).await?;
    let schema = service.schema(*id, &place, params.flag("fetchMaxId"));
    let schema = params.with_tags(schema.await?);
    let schema = service.in_format_within(&place.context, schema, params.format());
    Ok(json(&schema.await?))
}

pub(crate) async fn text_by_id(registry: Data<Registry>, id: Path<i32>, params: Params) -> Answer {
    let subject = named_subject(&registry, &params).await?;
    let service = &registry.service;
    let place = service.place_of(*id, subject.as_ref()).await?;
    let schema = service.schema(*id, &place, false).await?;
    let schema = service.in_format_within(&place.context, schema, params.format());
    Ok(text(schema.await?.schema))
}

pub(crate) async fn subjects(registry: Data<Registry>, id: Path<i32>, params: Params) -> Answer {
    let subject = named_subject(&registry, &params).await?;
    let holders =
        registry
            .service
            .holders(id.into_inner(), subject.as_ref(), params.flag("deleted"));
    let subjects: BTreeSet<String> = holders
        .await?
        .into_iter()
        .map(|holder| holder.subject)
        .collect();
    Ok(json(&params.page().of(subjects.into_iter().collect())))
}

pub(crate) async fn versions(registry: Data<Registry>, id: Path<i32>, params: Params) -> Answer {
    let subject = named_subject(&registry, &params).await?;
    let holders =
        registry
            .service
            .holders(id.into_inner(), subject.as_ref(), params.flag("deleted"));
    Ok(json(&params.page().of(holders.await?)))
}

pub(crate) async fn by_guid(
    registry: Data<Registry>,
    guid: Path<String>,
    params: Params,
) -> Answer {
    let (schema, _) = registry.service.schema_with_guid(&guid).await?;
    let schema = registry.service.in_format(schema, params.format());
    Ok(json(&schema.await?))
}

pub(crate) async fn ids_by_guid(registry: Data<Registry>, guid: Path<String>) -> Answer {
    let (_, places) = registry.service.schema_with_guid(&guid).await?;
    Ok(json(&places))
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
        Err(RegistryError::Store(_)) => Ok(Some(subject)),
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
