//! The table of endpoints. The router and the OpenAPI document are both made from it, so that
//! neither can know a route that the other does not.

use actix_web::http::Method;
use actix_web::{Route, web};
use avouch_registry_api::error::ErrorCode as Code;

use crate::rest::{checks, schemas, server, settings, subjects};

/// One method of one path.
pub(crate) struct Endpoint {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    /// What it does, for the document.
    pub(crate) summary: &'static str,
    /// Names of the query parameters.
    pub(crate) query: &'static [&'static str],
    /// Name of the body it takes, a component of the document.
    pub(crate) body: Option<&'static str>,
    /// Name of its answer, a component of the document.
    pub(crate) answer: &'static str,
    /// Codes it answers with, besides those that any request can get.
    pub(crate) errors: &'static [Code],
    pub(crate) route: Route,
}

/// All of them.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    let mut endpoints = of_server();
    endpoints.extend(of_subjects());
    endpoints.extend(of_versions());
    endpoints.extend(of_version());
    endpoints.extend(of_schemas());
    endpoints.extend(of_guids());
    endpoints.extend(of_compatibility());
    endpoints.extend(of_config());
    endpoints.extend(of_mode());
    endpoints.extend(of_associations());
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

fn of_server() -> Vec<Endpoint> {
    vec![
        get(
            "/",
            "Whether the registry answers",
            "Empty",
            web::get().to(server::root),
        ),
        post(
            "/",
            "Whether the registry answers",
            "Empty",
            web::post().to(server::root),
        ),
        get(
            "/contexts",
            "The contexts",
            "Names",
            web::get().to(server::contexts),
        ),
        get(
            "/v1/metadata/id",
            "The cluster's identity",
            "Any",
            web::get().to(server::id),
        ),
        get(
            "/v1/metadata/version",
            "The version",
            "Any",
            web::get().to(server::version),
        ),
        get(
            "/v1/changes",
            "How far changes went",
            "Changes",
            web::get().to(server::changes),
        )
        .query(&["since", "wait_ms"]),
        get(
            "/openapi.json",
            "This document",
            "Any",
            web::get().to(server::document),
        ),
    ]
}

fn of_subjects() -> Vec<Endpoint> {
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
        .query(&["normalize", "format", "force", "explain"])
        .body("SchemaRequest")
        .errors(&[
            Code::BadRequest,
            Code::Incompatible,
            Code::Unprocessable,
            Code::InvalidSchema,
            Code::NotPermitted,
            Code::IdDoesNotMatch,
            Code::InvalidSubject,
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

fn of_schemas() -> Vec<Endpoint> {
    const ERRORS: &[Code] = &[Code::SchemaNotFound, Code::Unprocessable];
    vec![
        get(
            "/schemas",
            "Versions of all subjects",
            "Schemas",
            web::get().to(schemas::list),
        )
        .query(&["subjectPrefix", "deleted", "latestOnly", "offset", "limit"])
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
        .query(&["format"])
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

fn of_config() -> Vec<Endpoint> {
    const GLOBAL: &str = "/config";
    const OWN: &str = "/config/{subject}";
    const PUT: &[Code] = &[
        Code::BadRequest,
        Code::Unprocessable,
        Code::InvalidCompatibilityLevel,
        Code::NotPermitted,
        Code::InvalidSubject,
        Code::InvalidRuleSet,
    ];
    vec![
        get(
            GLOBAL,
            "The configuration",
            "Config",
            web::get().to(settings::config),
        )
        .query(&["defaultToGlobal"]),
        put(
            GLOBAL,
            "Change it",
            "StoredConfig",
            web::put().to(settings::put_config),
        )
        .body("ConfigRequest")
        .errors(PUT),
        delete(
            GLOBAL,
            "Forget it",
            "Config",
            web::delete().to(settings::delete_config),
        )
        .errors(&[Code::NotPermitted]),
        get(
            OWN,
            "A subject's configuration",
            "Config",
            web::get().to(settings::config),
        )
        .query(&["defaultToGlobal"])
        .errors(&[Code::SubjectConfigNotFound, Code::Unprocessable]),
        put(
            OWN,
            "Change it",
            "StoredConfig",
            web::put().to(settings::put_config),
        )
        .body("ConfigRequest")
        .errors(PUT),
        delete(
            OWN,
            "Forget it",
            "Config",
            web::delete().to(settings::delete_config),
        )
        .errors(&[
            Code::SubjectNotFound,
            Code::NotPermitted,
            Code::Unprocessable,
        ]),
    ]
}

fn of_mode() -> Vec<Endpoint> {
    const GLOBAL: &str = "/mode";
    const OWN: &str = "/mode/{subject}";
    const PUT: &[Code] = &[
        Code::BadRequest,
        Code::Unprocessable,
        Code::InvalidMode,
        Code::NotPermitted,
        Code::ReferenceExists,
        Code::InvalidSubject,
    ];
    vec![
        get(GLOBAL, "The mode", "Mode", web::get().to(settings::mode)).query(&["defaultToGlobal"]),
        put(
            GLOBAL,
            "Change it",
            "Mode",
            web::put().to(settings::put_mode),
        )
        .query(&["force"])
        .body("Mode")
        .errors(PUT),
        delete(
            GLOBAL,
            "Forget it",
            "Mode",
            web::delete().to(settings::delete_mode),
        )
        .query(&["recursive"]),
        get(
            OWN,
            "A subject's mode",
            "Mode",
            web::get().to(settings::mode),
        )
        .query(&["defaultToGlobal"])
        .errors(&[Code::SubjectModeNotFound, Code::Unprocessable]),
        put(OWN, "Change it", "Mode", web::put().to(settings::put_mode))
            .query(&["force"])
            .body("Mode")
            .errors(PUT),
        delete(
            OWN,
            "Forget it",
            "Mode",
            web::delete().to(settings::delete_mode),
        )
        .query(&["recursive"])
        .errors(&[Code::SubjectNotFound, Code::Unprocessable]),
    ]
}

/// Clients probe these, and go on with their naming strategy when there is nothing.
fn of_associations() -> Vec<Endpoint> {
    const PATHS: [&str; 3] = [
        "/associations/subjects/{subject}",
        "/associations/resources/{id}",
        "/associations/resources/{namespace}/{name}",
    ];
    let probe = |path| {
        get(
            path,
            "Associations",
            "Any",
            web::get().to(server::associations),
        )
        .query(&[
            "resourceType",
            "associationType",
            "lifecycle",
            "offset",
            "limit",
        ])
        .errors(&[Code::AssociationNotFound])
    };
    PATHS.map(probe).into()
}

fn get(path: &'static str, summary: &'static str, answer: &'static str, route: Route) -> Endpoint {
    Endpoint::new(Method::GET, path, summary, answer, route)
}

fn post(path: &'static str, summary: &'static str, answer: &'static str, route: Route) -> Endpoint {
    Endpoint::new(Method::POST, path, summary, answer, route)
}

fn put(path: &'static str, summary: &'static str, answer: &'static str, route: Route) -> Endpoint {
    Endpoint::new(Method::PUT, path, summary, answer, route)
}

fn delete(
    path: &'static str,
    summary: &'static str,
    answer: &'static str,
    route: Route,
) -> Endpoint {
    Endpoint::new(Method::DELETE, path, summary, answer, route)
}

impl Endpoint {
    fn new(
        method: Method,
        path: &'static str,
        summary: &'static str,
        answer: &'static str,
        route: Route,
    ) -> Self {
        Self {
            method,
            path,
            summary,
            query: &[],
            body: None,
            answer,
            errors: &[],
            route,
        }
    }

    fn query(self, query: &'static [&'static str]) -> Self {
        Self { query, ..self }
    }

    fn body(self, body: &'static str) -> Self {
        Self {
            body: Some(body),
            ..self
        }
    }

    fn errors(self, errors: &'static [Code]) -> Self {
        Self { errors, ..self }
    }
}
