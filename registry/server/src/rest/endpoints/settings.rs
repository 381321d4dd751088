//! Endpoints of configurations and modes.

use actix_web::web;
use avouch_registry_api::error::ErrorCode as Code;

use super::{Endpoint, delete, get, put};
use crate::rest::settings;

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
