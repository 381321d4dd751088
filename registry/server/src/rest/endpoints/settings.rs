//! Endpoints of configurations and modes.

use actix_web::web;
use avouch_registry_api::error::ErrorCode as Code;

use super::{Endpoint, delete, get, put};
use crate::rest::{bodies, parameters as query, settings};

/// All of them.
pub(super) fn of_settings() -> Vec<Endpoint> {
    let mut endpoints = of_config();
    endpoints.extend(of_mode());
    endpoints
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
            bodies::CONFIG,
            web::get().to(settings::config),
        )
        .query(&[query::DEFAULT_TO_GLOBAL]),
        put(
            GLOBAL,
            "Change the configuration",
            bodies::STORED_CONFIG,
            web::put().to(settings::put_config),
        )
        .body(bodies::STORED_CONFIG)
        .errors(PUT),
        delete(
            GLOBAL,
            "Forget the configuration",
            bodies::CONFIG,
            web::delete().to(settings::delete_config),
        )
        .errors(&[Code::NotPermitted]),
        get(
            OWN,
            "A subject's configuration",
            bodies::CONFIG,
            web::get().to(settings::config),
        )
        .query(&[query::DEFAULT_TO_GLOBAL])
        .errors(&[Code::SubjectConfigNotFound, Code::Unprocessable]),
        put(
            OWN,
            "Change a subject's configuration",
            bodies::STORED_CONFIG,
            web::put().to(settings::put_config),
        )
        .body(bodies::STORED_CONFIG)
        .errors(PUT),
        delete(
            OWN,
            "Forget a subject's configuration",
            bodies::CONFIG,
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
        get(
            GLOBAL,
            "The mode",
            bodies::MODE,
            web::get().to(settings::mode),
        )
        .query(&[query::DEFAULT_TO_GLOBAL]),
        put(
            GLOBAL,
            "Change the mode",
            bodies::MODE,
            web::put().to(settings::put_mode),
        )
        .query(&[query::FORCE])
        .body(bodies::MODE)
        .errors(PUT),
        delete(
            GLOBAL,
            "Forget the mode",
            bodies::MODE,
            web::delete().to(settings::delete_mode),
        )
        .query(&[query::RECURSIVE]),
        get(
            OWN,
            "A subject's mode",
            bodies::MODE,
            web::get().to(settings::mode),
        )
        .query(&[query::DEFAULT_TO_GLOBAL])
        .errors(&[Code::SubjectModeNotFound, Code::Unprocessable]),
        put(
            OWN,
            "Change a subject's mode",
            bodies::MODE,
            web::put().to(settings::put_mode),
        )
        .query(&[query::FORCE])
        .body(bodies::MODE)
        .errors(PUT),
        delete(
            OWN,
            "Forget a subject's mode",
            bodies::MODE,
            web::delete().to(settings::delete_mode),
        )
        .query(&[query::RECURSIVE])
        .errors(&[Code::SubjectNotFound, Code::Unprocessable]),
    ]
}
