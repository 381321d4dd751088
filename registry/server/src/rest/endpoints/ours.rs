//! Endpoints that Confluent's registry does not have, under `/v1/`.

use actix_web::web;
use avouch_registry_api::error::ErrorCode as Code;

use super::{Endpoint, get, post};
use crate::rest::{bodies, ours, parameters as query};

/// All of them.
pub(super) fn of_ours() -> Vec<Endpoint> {
    const STEP: &[Code] = &[
        Code::BadRequest,
        Code::Incompatible,
        Code::Unprocessable,
        Code::InvalidSchema,
        Code::NotPermitted,
        Code::IdDoesNotMatch,
        Code::InvalidSubject,
        Code::SchemaTooLarge,
        Code::InvalidRuleSet,
    ];
    vec![
        post(
            "/v1/plan",
            "What registering several schemas would do; nothing is written",
            bodies::PLAN,
            web::post().to(ours::plan),
        )
        .body(bodies::PLAN_REQUEST)
        .errors(&[Code::BadRequest, Code::Unprocessable]),
        post(
            "/v1/apply",
            "Register several schemas, all of them or none",
            bodies::PLAN,
            web::post().to(ours::apply),
        )
        .body(bodies::PLAN_REQUEST)
        .errors(STEP),
        get(
            "/v1/subjects/{subject}/versions",
            "A subject's versions with when they were created",
            bodies::VERSIONS,
            web::get().to(ours::history),
        )
        .query(&[query::OFFSET, query::LIMIT])
        .errors(&[Code::SubjectNotFound, Code::Unprocessable]),
        post(
            "/v1/subjects/{subject}/versions/{version}/undelete",
            "Bring a soft-deleted version back",
            bodies::SCHEMA,
            web::post().to(ours::undelete),
        )
        .query(&[query::FORCE, query::EXPLAIN])
        .errors(&[
            Code::SubjectNotFound,
            Code::VersionNotFound,
            Code::Incompatible,
            Code::InvalidVersion,
            Code::NotPermitted,
            Code::Unprocessable,
        ]),
        get(
            "/v1/export",
            "The content as records of the topic _schemas, in one state",
            bodies::RECORDS,
            web::get().to(ours::export),
        ),
        post(
            "/v1/import",
            "Store records of the topic _schemas as they come, in mode IMPORT",
            bodies::IMPORTED,
            web::post().to(ours::import),
        )
        .body(bodies::IMPORT_REQUEST)
        .errors(&[Code::BadRequest, Code::Unprocessable, Code::NotPermitted]),
    ]
}
