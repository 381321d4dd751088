//! What the registry says about itself, and the routes that clients probe.

use actix_web::web::{Data, Path};
use avouch_registry_api::rest::ChangesBody;
use serde_json::json as value;

use crate::Registry;
use crate::error::RegistryError;
use crate::rest::answer::{Answer, json};
use crate::rest::openapi;

pub(crate) async fn root() -> Answer {
    Ok(json(&value!({})))
}

pub(crate) async fn contexts() -> Answer {
    Ok(json(&value!(["."])))
}

pub(crate) async fn id(registry: Data<Registry>) -> Answer {
    let clusters = value!({
        "kafka-cluster": registry.cluster_id(),
        "schema-registry-cluster": "schema-registry",
    });
    Ok(json(
        &value!({ "scope": { "path": [], "clusters": clusters } }),
    ))
}

pub(crate) async fn version() -> Answer {
    let commit = option_env!("AVOUCH_COMMIT").unwrap_or("unknown");
    Ok(json(
        &value!({ "version": env!("CARGO_PKG_VERSION"), "commitId": commit }),
    ))
}

/// `since` is the caller's last number. It changes nothing yet: the answer never waits.
pub(crate) async fn changes(registry: Data<Registry>) -> Answer {
    Ok(json(&ChangesBody {
        seq: registry.service.change_seq(),
    }))
}

pub(crate) async fn document() -> Answer {
    Ok(json(&openapi::document()))
}

/// Nothing is associated with anything: a topic finds its subject by the naming strategies.
pub(crate) async fn associations(path: Path<Vec<String>>) -> Answer {
    Err(RegistryError::AssociationNotFound(path.join("/")))
}
