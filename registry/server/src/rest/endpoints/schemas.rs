//! Endpoints of schemas by id and GUID, and of their listing.

use actix_web::web;
use avouch_registry_api::error::ErrorCode as Code;

use super::{Endpoint, get};
use crate::metrics::SCHEMA_BY_ID;
use crate::rest::{bodies, parameters as query, schemas};

/// All of them.
pub(super) fn of_schemas() -> Vec<Endpoint> {
    let mut endpoints = of_all();
    endpoints.extend(of_ids());
    endpoints.extend(of_guids());
    endpoints
}

fn of_all() -> Vec<Endpoint> {
    vec![
        get(
            "/schemas",
            "Versions of all subjects",
            bodies::SCHEMAS,
            web::get().to(schemas::list),
        )
        .query(&[
            query::SUBJECT_PREFIX,
            query::ALIASES,
            query::DELETED,
            query::LATEST_ONLY,
            query::RULE_TYPE,
            query::OFFSET,
            query::LIMIT,
        ])
        .errors(&[Code::Unprocessable]),
        get(
            "/schemas/types",
            "The schema types",
            bodies::NAMES,
            web::get().to(schemas::types),
        ),
    ]
}

fn of_ids() -> Vec<Endpoint> {
    const ERRORS: &[Code] = &[Code::SchemaNotFound, Code::Unprocessable];
    vec![
        get(
            SCHEMA_BY_ID,
            "A schema by its id",
            bodies::SCHEMA,
            web::get().to(schemas::by_id),
        )
        .query(&[
            query::SUBJECT_WITH_ID,
            query::FORMAT,
            query::REFERENCE_FORMAT,
            query::FIND_TAGS,
            query::FETCH_MAX_ID,
        ])
        .errors(ERRORS),
        get(
            "/schemas/ids/{id}/schema",
            "The text of a schema by its id",
            bodies::TEXT,
            web::get().to(schemas::text_by_id),
        )
        .query(&[query::SUBJECT_WITH_ID, query::FORMAT])
        .errors(ERRORS),
        get(
            "/schemas/ids/{id}/subjects",
            "Subjects that hold an id",
            bodies::NAMES,
            web::get().to(schemas::subjects),
        )
        .query(&[
            query::SUBJECT_WITH_ID,
            query::DELETED,
            query::OFFSET,
            query::LIMIT,
        ])
        .errors(ERRORS),
        get(
            "/schemas/ids/{id}/versions",
            "Subject versions that hold an id",
            bodies::SUBJECT_VERSIONS,
            web::get().to(schemas::versions),
        )
        .query(&[
            query::SUBJECT_WITH_ID,
            query::DELETED,
            query::OFFSET,
            query::LIMIT,
        ])
        .errors(ERRORS),
    ]
}

fn of_guids() -> Vec<Endpoint> {
    const ERRORS: &[Code] = &[Code::SchemaNotFound, Code::Unprocessable];
    vec![
        get(
            "/schemas/guids/{guid}",
            "A schema by its GUID",
            bodies::SCHEMA,
            web::get().to(schemas::by_guid),
        )
        .query(&[query::FORMAT])
        .errors(ERRORS),
        get(
            "/schemas/guids/{guid}/ids",
            "Ids that stand for a GUID",
            bodies::CONTEXT_IDS,
            web::get().to(schemas::ids_by_guid),
        )
        .errors(ERRORS),
    ]
}
