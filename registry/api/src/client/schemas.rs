//! `/schemas`: schemas by id and GUID, and listings.

use super::request::Request;
use super::{ClientError, Format, Page, RegistryClient};
use crate::rest::{ContextIdBody, SchemaBody, SubjectVersionBody};
use crate::types::{SchemaId, SchemaType};

/// Options of a lookup by id.
#[derive(Clone, Copy, Debug, Default)]
pub struct SchemaOptions<'a> {
    /// A subject that has the schema; its context is the one whose ids are meant.
    pub subject: Option<&'a str>,
    /// The form of the schema.
    pub format: Format,
    /// Name the context of references outside the default one.
    pub qualified_references: bool,
    /// Tags to report from the schema; `*` reports all.
    pub find_tags: &'a [&'a str],
    /// Report the highest id assigned so far.
    pub max_id: bool,
}

/// Options of a listing of schemas.
#[derive(Clone, Copy, Debug, Default)]
pub struct SchemasOptions<'a> {
    /// Prefix of the subject names; `:.context:` selects a context, `:*:` all of them.
    pub subject_prefix: Option<&'a str>,
    /// List soft-deleted versions too.
    pub deleted: bool,
    /// List only the latest version of each subject.
    pub latest_only: bool,
    /// Report the aliases of each subject.
    pub aliases: bool,
    /// Lists only versions with a rule of this type.
    pub rule_type: Option<&'a str>,
    /// The part of the listing.
    pub page: Page,
}

impl RegistryClient {
    /// Returns a schema by its id: `GET /schemas/ids/{id}`.
    ///
    /// # Errors
    /// Code 40403 when no schema has the id; see [`ClientError`].
    pub async fn schema(
        &self,
        id: SchemaId,
        options: SchemaOptions<'_>,
    ) -> Result<SchemaBody, ClientError> {
        let references = options.qualified_references.then_some("qualified");
        self.schema_request(id, &[], options.subject)
            .format(options.format)
            .optional("referenceFormat", references)
            .each("findTags", options.find_tags)
            .flag("fetchMaxId", options.max_id)
            .send()
            .await
    }

    /// Returns the text of a schema by its id: `GET /schemas/ids/{id}/schema`.
    ///
    /// # Errors
    /// Code 40403 when no schema has the id; see [`ClientError`].
    pub async fn schema_text(
        &self,
        id: SchemaId,
        subject: Option<&str>,
        format: Format,
    ) -> Result<String, ClientError> {
        let request = self.schema_request(id, &["schema"], subject);
        request.format(format).send_for_text().await
    }

    /// Returns the subjects that have a schema: `GET /schemas/ids/{id}/subjects`.
    ///
    /// # Errors
    /// Code 40403 when no schema has the id; see [`ClientError`].
    pub async fn schema_subjects(
        &self,
        id: SchemaId,
        subject: Option<&str>,
        deleted: bool,
        page: Page,
    ) -> Result<Vec<String>, ClientError> {
        let request = self.schema_request(id, &["subjects"], subject);
        request.flag("deleted", deleted).page(page).send().await
    }

    /// Returns the subject versions that have a schema: `GET /schemas/ids/{id}/versions`.
    ///
    /// # Errors
    /// Code 40403 when no schema has the id; see [`ClientError`].
    pub async fn schema_versions(
        &self,
        id: SchemaId,
        subject: Option<&str>,
        deleted: bool,
        page: Page,
    ) -> Result<Vec<SubjectVersionBody>, ClientError> {
        let request = self.schema_request(id, &["versions"], subject);
        request.flag("deleted", deleted).page(page).send().await
    }

    /// Returns a schema by its GUID: `GET /schemas/guids/{guid}`.
    ///
    /// # Errors
    /// Code 40403 when no schema has the GUID; see [`ClientError`].
    pub async fn schema_by_guid(
        &self,
        guid: &str,
        format: Format,
    ) -> Result<SchemaBody, ClientError> {
        let request = self.get(&["schemas", "guids", guid]);
        request.format(format).send().await
    }

    /// Returns the ids of a GUID in every context: `GET /schemas/guids/{guid}/ids`.
    ///
    /// # Errors
    /// Code 40403 when no schema has the GUID; see [`ClientError`].
    pub async fn ids_by_guid(&self, guid: &str) -> Result<Vec<ContextIdBody>, ClientError> {
        self.get(&["schemas", "guids", guid, "ids"]).send().await
    }

    /// Returns the versions of several subjects: `GET /schemas`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn schemas(
        &self,
        options: SchemasOptions<'_>,
    ) -> Result<Vec<SchemaBody>, ClientError> {
        self.get(&["schemas"])
            .optional("subjectPrefix", options.subject_prefix)
            .flag("deleted", options.deleted)
            .flag("latestOnly", options.latest_only)
            .flag("aliases", options.aliases)
            .optional("ruleType", options.rule_type)
            .page(options.page)
            .send()
            .await
    }

    /// Returns the schema types that the registry accepts: `GET /schemas/types`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn schema_types(&self) -> Result<Vec<SchemaType>, ClientError> {
        self.get(&["schemas", "types"]).send().await
    }

    fn schema_request(&self, id: SchemaId, rest: &[&str], subject: Option<&str>) -> Request<'_> {
        // All routes of an ID accept the subject, which selects the context.
        let id = id.to_string();
        let segments = [&["schemas", "ids", &id], rest].concat();
        self.get(&segments).optional("subject", subject)
    }
}
