//! Endpoints of subjects, their versions, and compatibility with them.

use actix_web::web;
use avouch_registry_api::error::ErrorCode as Code;

use super::{Endpoint, delete, get, post};
use crate::rest::{checks, subjects};

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
            "Names",
            web::get().to(subjects::list),
        )
        .query(&["subjectPrefix", "deleted", "deletedOnly", "offset", "limit"])
        .errors(&[Code::Unprocessable]),
        post(
            SUBJECT,
            "Find a schema by its content",
            "Schema",
            web::post().to(subjects::look_up),
        )
        .query(&["normalize", "deleted", "format", "explain"])
        .body("SchemaRequest")
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
            "Numbers",
            web::delete().to(subjects::delete),
        )
        .query(&["permanent"])
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
            "Numbers",
            web::get().to(subjects::versions),
        )
        .query(&[
            "deleted",
            "deletedOnly",
            "deletedAsNegative",
            "offset",
            "limit",
        ])
        .errors(&[Code::SubjectNotFound, Code::Unprocessable]),
        post(
            VERSIONS,
            "Register a schema",
            "Schema",
            web::post().to(subjects::register),
        )
        .query(&["normalize", "format", "force", "dryRun", "explain"])
        .body("SchemaRequest")
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
            "Schema",
            web::get().to(subjects::by_metadata),
        )
        .query(&["key", "value", "deleted", "format"])
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
            "Schema",
            web::get().to(subjects::version),
        )
        .query(&["deleted", "format", "referenceFormat", "findTags"])
        .errors(NO_VERSION),
        delete(
            VERSION,
            "Delete a version",
            "Number",
            web::delete().to(subjects::delete_version),
        )
        .query(&["permanent"])
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
            "Any",
            web::get().to(subjects::version_text),
        )
        .query(&["deleted", "format"])
        .errors(NO_VERSION),
        post(
            "/subjects/{subject}/versions/{version}/tags",
            "Register a version again with other tags, metadata or rules",
            "Schema",
            web::post().to(subjects::retag),
        )
        .query(&["explain"])
        .body("TagRequest")
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
            "Numbers",
            web::get().to(subjects::referrers),
        )
        .query(&["deleted", "offset", "limit"])
        .errors(NO_VERSION),
    ]
}

fn of_compatibility() -> Vec<Endpoint> {
    vec![
        post(
            "/compatibility/subjects/{subject}/versions/{version}",
            "Whether a schema agrees with one version",
            "Compatibility",
            web::post().to(checks::with_version),
        )
        .query(&["normalize", "verbose", "explain"])
        .body("SchemaRequest")
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
            "Compatibility",
            web::post().to(checks::with_subject),
        )
        .query(&["normalize", "verbose", "explain"])
        .body("SchemaRequest")
        .errors(&[Code::BadRequest, Code::Unprocessable, Code::InvalidSchema]),
    ]
}
