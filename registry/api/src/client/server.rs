//! Contexts, associations, and what the registry reports about itself.

use super::request::Request;
use super::{ClientError, Page, RegistryClient};
use crate::rest::{AssociationBody, BuildBody, ClusterIdBody, DeploymentBody};

/// Filters of a listing of associations.
#[derive(Clone, Copy, Debug, Default)]
pub struct AssociationOptions<'a> {
    /// Only those of this kind of resource, such as `topic`.
    pub resource_type: Option<&'a str>,
    /// Only those of these types: `key` or `value`.
    pub association_types: &'a [&'a str],
    /// Only those of this lifecycle: `STRONG` or `WEAK`.
    pub lifecycle: Option<&'a str>,
    /// The part of the listing.
    pub page: Page,
}

impl RegistryClient {
    /// Returns when the registry responds: `GET /`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn ping(&self) -> Result<(), ClientError> {
        self.get(&[]).send_for_nothing().await
    }

    /// Returns the names of the contexts: `GET /contexts`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn contexts(
        &self,
        prefix: Option<&str>,
        page: Page,
    ) -> Result<Vec<String>, ClientError> {
        let request = self.get(&["contexts"]).optional("contextPrefix", prefix);
        request.page(page).send().await
    }

    /// Deletes a context without versions: `DELETE /contexts/{context}`.
    ///
    /// # Errors
    /// Code 42211 when the context has versions; see [`ClientError`].
    pub async fn delete_context(&self, context: &str) -> Result<(), ClientError> {
        self.delete(&["contexts", context]).send_for_nothing().await
    }

    /// Returns the associations of a subject: `GET /associations/subjects/{subject}`.
    ///
    /// # Errors
    /// Code 404 when the registry has no associations; see [`ClientError`].
    pub async fn subject_associations(
        &self,
        subject: &str,
        options: AssociationOptions<'_>,
    ) -> Result<Vec<AssociationBody>, ClientError> {
        let request = self.get(&["associations", "subjects", subject]);
        associations(request, options).await
    }

    /// Returns the associations of a resource by its id: `GET /associations/resources/{id}`.
    ///
    /// # Errors
    /// Code 404 when the registry has no associations; see [`ClientError`].
    pub async fn resource_associations(
        &self,
        resource_id: &str,
        options: AssociationOptions<'_>,
    ) -> Result<Vec<AssociationBody>, ClientError> {
        let request = self.get(&["associations", "resources", resource_id]);
        associations(request, options).await
    }

    /// Returns the associations of a resource by its name, such as a topic in a Kafka cluster:
    /// `GET /associations/resources/{namespace}/{name}`.
    ///
    /// # Errors
    /// Code 404 when the registry has no associations; see [`ClientError`].
    pub async fn named_resource_associations(
        &self,
        namespace: &str,
        name: &str,
        options: AssociationOptions<'_>,
    ) -> Result<Vec<AssociationBody>, ClientError> {
        let request = self.get(&["associations", "resources", namespace, name]);
        associations(request, options).await
    }

    /// Returns the cluster that the registry serves: `GET /v1/metadata/id`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn cluster_id(&self) -> Result<ClusterIdBody, ClientError> {
        self.get(&["v1", "metadata", "id"]).send().await
    }

    /// Returns the registry's software version: `GET /v1/metadata/version`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn build(&self) -> Result<BuildBody, ClientError> {
        self.get(&["v1", "metadata", "version"]).send().await
    }

    /// Returns the attributes of the deployment: `GET /v1/metadata/deployment`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn deployment(&self) -> Result<DeploymentBody, ClientError> {
        self.get(&["v1", "metadata", "deployment"]).send().await
    }
}

async fn associations(
    request: Request<'_>,
    options: AssociationOptions<'_>,
) -> Result<Vec<AssociationBody>, ClientError> {
    request
        .optional("resourceType", options.resource_type)
        .each("associationType", options.association_types)
        .optional("lifecycle", options.lifecycle)
        .page(options.page)
        .send()
        .await
}
