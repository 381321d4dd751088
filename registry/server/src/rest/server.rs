//! What the registry says about itself, and the routes that clients probe.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use avouch_registry_api::rest::{
    BuildBody, ChangesBody, ClusterIdBody, ClusterScope, DeploymentBody, EmptyBody,
};

use crate::Registry;
use crate::rest::answer::{Answer, json};
use crate::rest::contexts::context_named;
use crate::rest::request::Params;

pub(crate) async fn root() -> Answer {
    Ok(json(&EmptyBody {}))
}

pub(crate) async fn contexts(registry: Data<Registry>, params: Params) -> Answer {
    let mut contexts = registry.service.contexts().await?;
    let prefix = params.text("contextPrefix").unwrap_or_default();
    contexts.retain(|context| context.starts_with(prefix));
    Ok(json(&params.page().of(contexts)))
}

pub(crate) async fn delete_context(registry: Data<Registry>, context: Path<String>) -> Answer {
    let context = context_named(&context);
    registry
        .write(|service| async move { service.delete_context(&context).await })
        .await?;
    Ok(HttpResponse::NoContent().finish())
}

pub(crate) async fn id(registry: Data<Registry>) -> Answer {
    let clusters = [
        ("kafka-cluster", registry.cluster_id()),
        ("schema-registry-cluster", "schema-registry"),
    ];
    let clusters = clusters.map(|(kind, name)| (kind.to_owned(), name.to_owned()));
    let scope = ClusterScope {
        path: Vec::new(),
        clusters: clusters.into(),
    };
    Ok(json(&ClusterIdBody { scope }))
}

pub(crate) async fn version() -> Answer {
    let commit = option_env!("AVOUCH_COMMIT").unwrap_or("unknown");
    Ok(json(&BuildBody {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit_id: commit.to_owned(),
    }))
}

pub(crate) async fn deployment() -> Answer {
    let attributes = Vec::new();
    Ok(json(&DeploymentBody { attributes }))
}

/// The longest time that an answer about changes waits.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// Waits until there are changes after `since`, but at most `wait_ms`: not at all unless it is
/// given.
pub(crate) async fn changes(registry: Data<Registry>, params: Params) -> Answer {
    let number = |name| params.text(name).and_then(|value| value.parse().ok());
    let since = number("since").unwrap_or(0);
    let patience = Duration::from_millis(number("wait_ms").unwrap_or(0)).min(MAX_WAIT);
    let seq = registry.service.change_beyond(since, patience).await;
    Ok(json(&ChangesBody { seq }))
}

/// Nothing is associated with anything: a topic finds its subject by the naming strategies. Clients
/// that ask take an empty list for that.
pub(crate) async fn associations() -> Answer {
    Ok(json(&[(); 0]))
}
