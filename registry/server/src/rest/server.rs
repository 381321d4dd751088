//! Endpoints about the registry itself: contexts, metadata, and the probes of clients.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use avouch_http::Endpoint;
use avouch_registry_api::rest::{
    BuildBody, ChangesBody, ClusterIdBody, ClusterScope, DeploymentBody, EmptyBody,
};
use serde::Serialize;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, Schema, empty};

use crate::Registry;
use crate::rest::context_path::context_named;
use crate::rest::error_responses::ContextNotEmpty;
use crate::rest::parameters::{path, query};
use crate::rest::request::Params;
use crate::rest::response::{HandlerResult, json};

/// Maximum time that `GET /v1/changes` waits.
const WAIT_MAX: Duration = Duration::from_secs(30);

pub(super) fn endpoints() -> Vec<Endpoint> {
    avouch_http::endpoints![
        root,
        contexts,
        delete_context,
        cluster_id,
        version,
        changes,
        deployment,
        associations,
        associations_of_subject,
        associations_of_resource,
        associations_of_named_resource,
    ]
}

/// Report that the registry is running
#[utoipa::path(method(get, post), path = "/", responses((status = 200, body = EmptyBody)))]
async fn root() -> HandlerResult {
    Ok(json(&EmptyBody {}))
}

/// List contexts
#[utoipa::path(
    get,
    path = "/contexts",
    params(query::ContextPrefix, query::Offset, query::Limit),
    responses((status = 200, body = Vec<String>))
)]
async fn contexts(registry: Data<Registry>, params: Params) -> HandlerResult {
    let mut contexts = registry.service.contexts().await?;
    let prefix = params.text(query::ContextPrefix).unwrap_or_default();
    // There are few contexts, so they are filtered and paged here.
    contexts.retain(|context| context.starts_with(prefix));
    Ok(json(&params.page().of(contexts)))
}

/// Delete a context that has no versions
#[utoipa::path(
    delete,
    path = "/contexts/{context}",
    params(path::Context),
    responses((status = 204), ContextNotEmpty)
)]
async fn delete_context(registry: Data<Registry>, context: Path<String>) -> HandlerResult {
    let context = context_named(&context);
    registry
        .write(|service| async move { service.delete_context(&context).await })
        .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Get the IDs of the Kafka cluster and of the registry
#[utoipa::path(
    get,
    path = "/v1/metadata/id",
    responses((status = 200, body = ClusterIdBody))
)]
async fn cluster_id(registry: Data<Registry>) -> HandlerResult {
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

/// Get the version and the commit of the server
#[utoipa::path(
    get,
    path = "/v1/metadata/version",
    responses((status = 200, body = BuildBody))
)]
async fn version() -> HandlerResult {
    let commit = option_env!("AVOUCH_COMMIT").unwrap_or("unknown");
    Ok(json(&BuildBody {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit_id: commit.to_owned(),
    }))
}

/// Get the deployment attributes, of which there are none
#[utoipa::path(
    get,
    path = "/v1/metadata/deployment",
    responses((status = 200, body = DeploymentBody))
)]
async fn deployment() -> HandlerResult {
    let attributes = Vec::new();
    Ok(json(&DeploymentBody { attributes }))
}

/// Get the change sequence number, optionally after waiting for a change
///
/// The response is sent once the number is above `since`, after `wait_ms` at the latest. It names
/// the schemas that may have changed after `since`.
#[utoipa::path(
    get,
    path = "/v1/changes",
    params(query::Since, query::WaitMs),
    responses((status = 200, body = ChangesBody))
)]
async fn changes(registry: Data<Registry>, params: Params) -> HandlerResult {
    let since = params.number(query::Since).unwrap_or(0);
    let wait_ms = params.number(query::WaitMs).unwrap_or(0);
    // A waiting request occupies a connection, but no thread and no database connection.
    let wait = Duration::from_millis(wait_ms).min(WAIT_MAX);
    Ok(json(&registry.service.changes(since, wait).await))
}

/// An empty list of associations. Clients that receive it find a topic's subject by a naming
/// strategy.
#[derive(Serialize)]
struct Associations([(); 0]);

impl utoipa::PartialSchema for Associations {
    fn schema() -> RefOr<Schema> {
        let none = ArrayBuilder::new().items(RefOr::from(empty()));
        none.max_items(Some(0)).into()
    }
}

impl utoipa::ToSchema for Associations {}

fn no_associations() -> HandlerResult {
    Ok(json(&Associations([])))
}

/// List associations, of which there are none
#[utoipa::path(
    get,
    path = "/associations",
    params(
        query::ResourceName, query::ResourceNamespace, query::ResourceType, query::AssociationType,
        query::Lifecycle, query::Offset, query::Limit
    ),
    responses((status = 200, body = Associations))
)]
async fn associations() -> HandlerResult {
    no_associations()
}

/// List the associations of a subject, of which there are none
#[utoipa::path(
    get,
    path = "/associations/subjects/{subject}",
    params(
        path::Subject, query::ResourceType, query::AssociationType, query::Lifecycle, query::Offset,
        query::Limit
    ),
    responses((status = 200, body = Associations))
)]
async fn associations_of_subject() -> HandlerResult {
    no_associations()
}

/// List the associations of a resource by ID, of which there are none
#[utoipa::path(
    get,
    path = "/associations/resources/{resource}",
    params(
        path::Resource, query::ResourceType, query::AssociationType, query::Lifecycle,
        query::Offset, query::Limit
    ),
    responses((status = 200, body = Associations))
)]
async fn associations_of_resource() -> HandlerResult {
    no_associations()
}

/// List the associations of a resource by name, of which there are none
#[utoipa::path(
    get,
    path = "/associations/resources/{namespace}/{name}",
    params(
        path::Namespace, path::Name, query::ResourceType, query::AssociationType, query::Lifecycle,
        query::Offset, query::Limit
    ),
    responses((status = 200, body = Associations))
)]
async fn associations_of_named_resource() -> HandlerResult {
    no_associations()
}
