//! Endpoints of schemas by id and GUID, and of their listing.

use actix_web::web;
use avouch_registry_api::error::ErrorCode as Code;

use super::{Endpoint, get};
use crate::rest::schemas;

/// All of them.
pub(super) fn of_schemas() -> Vec<Endpoint> {
    let mut endpoints = of_ids();
    endpoints.extend(of_guids());
    endpoints
}

fn of_ids() -> Vec<Endpoint> {
    const ERRORS: &[Code] = &[Code::SchemaNotFound, Code::Unprocessable];
    vec![
        get(
            "/schemas",
            "Versions of all subjects",
            "Schemas",
            web::get().to(schemas::list),
        )
        .query(&[
            "subjectPrefix",
            "aliases",
            "deleted",
            "latestOnly",
            "ruleType",
            "offset",
            "limit",
        ])
        .errors(&[Code::Unprocessable]),
        get(
            "/schemas/types",
            "The schema types",
            "Names",
            web::get().to(schemas::types),
        ),
        get(
            "/schemas/ids/{id}",
            "A schema by its id",
            "Schema",
            web::get().to(schemas::by_id),
        )
        .query(&[
            "subject",
            "format",
            "referenceFormat",
            "findTags",
            "fetchMaxId",
        ])
        .errors(ERRORS),
        get(
            "/schemas/ids/{id}/schema",
            "The text of a schema by its id",
            "Any",
            web::get().to(schemas::text_by_id),
        )
        .query(&["subject", "format"])
        .errors(ERRORS),
        get(
            "/schemas/ids/{id}/subjects",
            "Subjects that hold an id",
            "Names",
            web::get().to(schemas::subjects),
        )
        .query(&["subject", "deleted", "offset", "limit"])
        .errors(ERRORS),
        get(
            "/schemas/ids/{id}/versions",
            "Subject versions that hold an id",
            "SubjectVersions",
            web::get().to(schemas::versions),
        )
        .query(&["subject", "deleted", "offset", "limit"])
        .errors(ERRORS),
    ]
}

fn of_guids() -> Vec<Endpoint> {
    const ERRORS: &[Code] = &[Code::SchemaNotFound, Code::Unprocessable];
    vec![
        get(
            "/schemas/guids/{guid}",
            "A schema by its GUID",
            "Schema",
            web::get().to(schemas::by_guid),
        )
        .query(&["format"])
        .errors(ERRORS),
        get(
            "/schemas/guids/{guid}/ids",
            "Ids that stand for a GUID",
            "ContextIds",
            web::get().to(schemas::ids_by_guid),
        )
        .errors(ERRORS),
    ]
}
