//! Endpoints of subjects, their versions, and compatibility with them.

use actix_web::web;
use avouch_registry_api::error::ErrorCode as Code;

use super::{Endpoint, delete, get, post};
use crate::rest::{bodies, checks, parameters as query, subjects};

/// All of them.
pub(super) fn of_subjects() -> Vec<Endpoint> {
    let mut endpoints = of_names();
    endpoints.extend(of_versions());
    endpoints.extend(of_version());
    endpoints.extend(of_compatibility());
    endpoints
}

const SUBJECT: &str = "/subjects/{subject}";
const VERSIONS: &str = "/subjects/{subject}/versions";
const VERSION: &str = "/subjects/{subject}/versions/{version}";
const NO_VERSION: &[Code] = &[
    Code::SubjectNotFound,
    Code::VersionNotFound,
    Code::InvalidVersion,
    Code::Unprocessable,
];

fn of_names() -> Vec<Endpoint> {
    vec![
        get(
            "/subjects",
            "Names of the subjects",
            bodies::NAMES,
            web::get().to(subjects::list),
        )
        .query(&[
            query::SUBJECT_PREFIX,
            query::DELETED,
            query::DELETED_ONLY,
            query::OFFSET,
            query::LIMIT,
        ])
        .errors(&[Code::Unprocessable]),
        post(
            SUBJECT,
            "Find a schema by its content",
            bodies::SCHEMA,
            web::post().to(subjects::look_up),
        )
        .query(&[
            query::NORMALIZE,
            query::DELETED,
            query::FORMAT,
            query::EXPLAIN,
        ])
        .body(bodies::REGISTER_REQUEST)
        .errors(&[
            Code::BadRequest,
            Code::SubjectNotFound,
            Code::SchemaNotFound,
            Code::Unprocessable,
            Code::InvalidSchema,
            Code::InvalidRuleSet,
        ]),
        delete(
            SUBJECT,
            "Delete a subject",
            bodies::NUMBERS,
            web::delete().to(subjects::delete),
        )
        .query(&[query::PERMANENT])
        .errors(&[
            Code::SubjectNotFound,
            Code::SubjectSoftDeleted,
            Code::SubjectNotSoftDeleted,
            Code::Unprocessable,
            Code::NotPermitted,
            Code::ReferenceExists,
        ]),
    ]
}

fn of_versions() -> Vec<Endpoint> {
    vec![
        get(
            VERSIONS,
            "A subject's versions",
            bodies::NUMBERS,
            web::get().to(subjects::versions),
        )
        .query(&[
            query::DELETED,
            query::DELETED_ONLY,
            query::DELETED_AS_NEGATIVE,
            query::OFFSET,
            query::LIMIT,
        ])
        .errors(&[Code::SubjectNotFound, Code::Unprocessable]),
        post(
            VERSIONS,
            "Register a schema",
            bodies::SCHEMA,
            web::post().to(subjects::register),
        )
        .query(&[
            query::NORMALIZE,
            query::FORMAT,
            query::FORCE,
            query::DRY_RUN,
            query::EXPLAIN,
        ])
        .body(bodies::REGISTER_REQUEST)
        .errors(&[
            Code::BadRequest,
            Code::Incompatible,
            Code::Unprocessable,
            Code::InvalidSchema,
            Code::NotPermitted,
            Code::IdDoesNotMatch,
            Code::InvalidSubject,
            Code::SchemaTooLarge,
            Code::InvalidRuleSet,
        ]),
        get(
            "/subjects/{subject}/metadata",
            "The latest version with the given metadata",
            bodies::SCHEMA,
            web::get().to(subjects::by_metadata),
        )
        .query(&[query::KEY, query::VALUE, query::DELETED, query::FORMAT])
        .errors(&[
            Code::SubjectNotFound,
            Code::SchemaNotFound,
            Code::Unprocessable,
        ]),
    ]
}

fn of_version() -> Vec<Endpoint> {
    vec![
        get(
            VERSION,
            "One version",
            bodies::SCHEMA,
            web::get().to(subjects::version),
        )
        .query(&[
            query::DELETED,
            query::FORMAT,
            query::REFERENCE_FORMAT,
            query::FIND_TAGS,
        ])
        .errors(NO_VERSION),
        delete(
            VERSION,
            "Delete a version",
            bodies::NUMBER,
            web::delete().to(subjects::delete_version),
        )
        .query(&[query::PERMANENT])
        .errors(&[
            Code::SubjectNotFound,
            Code::VersionNotFound,
            Code::VersionSoftDeleted,
            Code::VersionNotSoftDeleted,
            Code::InvalidVersion,
            Code::NotPermitted,
            Code::ReferenceExists,
            Code::Unprocessable,
        ]),
        get(
            "/subjects/{subject}/versions/{version}/schema",
            "The text of one version",
            bodies::TEXT,
            web::get().to(subjects::version_text),
        )
        .query(&[query::DELETED, query::FORMAT])
        .errors(NO_VERSION),
        post(
            "/subjects/{subject}/versions/{version}/tags",
            "Register a version again with other tags, metadata or rules",
            bodies::SCHEMA,
            web::post().to(subjects::retag),
        )
        .query(&[query::EXPLAIN])
        .body(bodies::TAG_REQUEST)
        .errors(&[
            Code::BadRequest,
            Code::SubjectNotFound,
            Code::VersionNotFound,
            Code::Incompatible,
            Code::Unprocessable,
            Code::InvalidSchema,
            Code::InvalidVersion,
            Code::NotPermitted,
            Code::InvalidRuleSet,
        ]),
        get(
            "/subjects/{subject}/versions/{version}/referencedby",
            "Ids of the schemas that refer to a version",
            bodies::NUMBERS,
            web::get().to(subjects::referrers),
        )
        .query(&[query::DELETED, query::OFFSET, query::LIMIT])
        .errors(NO_VERSION),
    ]
}

fn of_compatibility() -> Vec<Endpoint> {
    vec![
        post(
            "/compatibility/subjects/{subject}/versions/{version}",
            "Whether a schema agrees with one version",
            bodies::COMPATIBILITY,
            web::post().to(checks::with_version),
        )
        .query(&[query::NORMALIZE, query::VERBOSE, query::EXPLAIN])
        .body(bodies::REGISTER_REQUEST)
        .errors(&[
            Code::BadRequest,
            Code::VersionNotFound,
            Code::Unprocessable,
            Code::InvalidSchema,
            Code::InvalidVersion,
        ]),
        post(
            "/compatibility/subjects/{subject}/versions",
            "Whether a schema could be registered",
            bodies::COMPATIBILITY,
            web::post().to(checks::with_subject),
        )
        .query(&[query::NORMALIZE, query::VERBOSE, query::EXPLAIN])
        .body(bodies::REGISTER_REQUEST)
        .errors(&[Code::BadRequest, Code::Unprocessable, Code::InvalidSchema]),
    ]
}
