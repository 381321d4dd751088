//! `/subjects` and `/compatibility`: versions, registration, lookup, deletes, checks.

use super::{ClientError, Deleted, Format, Page, RegistryClient};
use crate::rest::{CompatibilityBody, RegisterRequest, SchemaBody, TagRequest};
use crate::types::{SchemaId, Version, VersionSelector};

/// Options of a registration.
#[derive(Clone, Copy, Debug, Default)]
pub struct RegisterOptions {
    /// Normalize the schema first.
    pub normalize: bool,
    /// Skip the compatibility check. Avouch only.
    pub force: bool,
    /// Return the outcome without writing anything.
    pub dry_run: bool,
    /// Include structured findings in a rejection. Avouch only.
    pub explain: bool,
    /// The form of the schema in the response.
    pub format: Format,
}

/// Options of a lookup by content.
#[derive(Clone, Copy, Debug, Default)]
pub struct LookupOptions {
    /// Normalize the schema first.
    pub normalize: bool,
    /// Find soft-deleted versions too.
    pub deleted: bool,
    /// Name the closest version in a rejection. Avouch only.
    pub explain: bool,
    /// The form of the schema in the response.
    pub format: Format,
}

/// Options of a lookup of one version.
#[derive(Clone, Copy, Debug, Default)]
pub struct VersionOptions<'a> {
    /// Find a soft-deleted version too.
    pub deleted: bool,
    /// The form of the schema.
    pub format: Format,
    /// Name the context of references outside the default one.
    pub qualified_references: bool,
    /// Tags to report from the schema; `*` reports all.
    pub find_tags: &'a [&'a str],
}

/// Options of a compatibility check.
#[derive(Clone, Copy, Debug, Default)]
pub struct CompatibilityOptions {
    /// Normalize the schema first.
    pub normalize: bool,
    /// Return a message for each incompatibility.
    pub verbose: bool,
    /// Return structured findings. Avouch only.
    pub explain: bool,
}

/// Kind of a delete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeleteMode {
    /// Hides versions; they stay readable by id.
    #[default]
    Soft,
    /// Removes versions that are soft-deleted.
    Permanent,
}

impl RegistryClient {
    /// Returns the names of subjects: `GET /subjects`. Without a prefix, those of all contexts;
    /// `:.context:` selects one.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn subjects(
        &self,
        prefix: Option<&str>,
        deleted: Deleted,
        page: Page,
    ) -> Result<Vec<String>, ClientError> {
        let request = self.get(&["subjects"]).optional("subjectPrefix", prefix);
        request.deleted(deleted).page(page).send().await
    }

    /// Returns the versions of a subject, ascending: `GET /subjects/{subject}/versions`.
    ///
    /// # Errors
    /// Code 40401 when the subject has no such version; see [`ClientError`].
    pub async fn versions(
        &self,
        subject: &str,
        deleted: Deleted,
        page: Page,
    ) -> Result<Vec<Version>, ClientError> {
        let request = self.get(&["subjects", subject, "versions"]);
        request.deleted(deleted).page(page).send().await
    }

    /// Returns one version: `GET /subjects/{subject}/versions/{version}`.
    ///
    /// # Errors
    /// Codes 40401 and 40402 when there is no such version; see [`ClientError`].
    pub async fn version(
        &self,
        subject: &str,
        version: impl Into<VersionSelector>,
        options: VersionOptions<'_>,
    ) -> Result<SchemaBody, ClientError> {
        let references = options.qualified_references.then_some("qualified");
        self.get(&version_path(subject, &version.into().to_string(), &[]))
            .flag("deleted", options.deleted)
            .format(options.format)
            .optional("referenceFormat", references)
            .each("findTags", options.find_tags)
            .send()
            .await
    }

    /// Returns the text of one version: `GET /subjects/{subject}/versions/{version}/schema`.
    ///
    /// # Errors
    /// Codes 40401 and 40402 when there is no such version; see [`ClientError`].
    pub async fn version_text(
        &self,
        subject: &str,
        version: impl Into<VersionSelector>,
        deleted: bool,
        format: Format,
    ) -> Result<String, ClientError> {
        self.get(&version_path(
            subject,
            &version.into().to_string(),
            &["schema"],
        ))
        .flag("deleted", deleted)
        .format(format)
        .send_for_text()
        .await
    }

    /// Returns the latest version whose metadata has these properties, as pairs of key and value:
    /// `GET /subjects/{subject}/metadata`.
    ///
    /// # Errors
    /// Code 40403 when no version has them; see [`ClientError`].
    pub async fn version_with_metadata(
        &self,
        subject: &str,
        properties: &[(&str, &str)],
        deleted: bool,
        format: Format,
    ) -> Result<SchemaBody, ClientError> {
        let request = self.get(&["subjects", subject, "metadata"]);
        let request = properties.iter().fold(request, |request, (key, value)| {
            request.text("key", key).text("value", value)
        });
        request.flag("deleted", deleted).format(format).send().await
    }

    /// Returns the ids of the schemas that refer to a version, ascending:
    /// `GET /subjects/{subject}/versions/{version}/referencedby`.
    ///
    /// # Errors
    /// Codes 40401 and 40402 when there is no such version; see [`ClientError`].
    pub async fn referenced_by(
        &self,
        subject: &str,
        version: impl Into<VersionSelector>,
        deleted: bool,
        page: Page,
    ) -> Result<Vec<SchemaId>, ClientError> {
        self.get(&version_path(
            subject,
            &version.into().to_string(),
            &["referencedby"],
        ))
        .flag("deleted", deleted)
        .page(page)
        .send()
        .await
    }

    /// Registers a schema and returns its id and version, or those that it has already:
    /// `POST /subjects/{subject}/versions`.
    ///
    /// # Errors
    /// Code 409 or 40901 when the schema is incompatible, 42201 when it is invalid; see
    /// [`ClientError`].
    pub async fn register(
        &self,
        subject: &str,
        request: &RegisterRequest,
        options: RegisterOptions,
    ) -> Result<SchemaBody, ClientError> {
        self.post(&["subjects", subject, "versions"])
            .flag("normalize", options.normalize)
            .flag("force", options.force)
            .flag("dryRun", options.dry_run)
            .flag("explain", options.explain)
            .format(options.format)
            .json(request)
            .send()
            .await
    }

    /// Returns the version of a subject that has this schema: `POST /subjects/{subject}`.
    ///
    /// # Errors
    /// Code 40403 when no version has it; see [`ClientError`].
    pub async fn look_up(
        &self,
        subject: &str,
        request: &RegisterRequest,
        options: LookupOptions,
    ) -> Result<SchemaBody, ClientError> {
        self.post(&["subjects", subject])
            .flag("normalize", options.normalize)
            .flag("deleted", options.deleted)
            .flag("explain", options.explain)
            .format(options.format)
            .json(request)
            .send()
            .await
    }

    /// Registers a new version: an existing one with other tags, metadata or rules.
    /// `POST /subjects/{subject}/versions/{version}/tags`.
    ///
    /// # Errors
    /// Codes 40401 and 40402 when there is no such version; see [`ClientError`].
    pub async fn update_tags(
        &self,
        subject: &str,
        version: impl Into<VersionSelector>,
        request: &TagRequest,
    ) -> Result<SchemaBody, ClientError> {
        self.post(&version_path(
            subject,
            &version.into().to_string(),
            &["tags"],
        ))
        .json(request)
        .send()
        .await
    }

    /// Deletes all versions of a subject and returns their numbers: `DELETE /subjects/{subject}`.
    ///
    /// # Errors
    /// Code 40401 when there is no such subject, 42206 when a schema refers to it; see
    /// [`ClientError`].
    pub async fn delete_subject(
        &self,
        subject: &str,
        mode: DeleteMode,
    ) -> Result<Vec<Version>, ClientError> {
        let request = self.delete(&["subjects", subject]);
        let permanent = mode == DeleteMode::Permanent;
        request.flag("permanent", permanent).send().await
    }

    /// Deletes one version and returns its number:
    /// `DELETE /subjects/{subject}/versions/{version}`.
    ///
    /// # Errors
    /// Codes 40401 and 40402 when there is no such version; see [`ClientError`].
    pub async fn delete_version(
        &self,
        subject: &str,
        version: impl Into<VersionSelector>,
        mode: DeleteMode,
    ) -> Result<Version, ClientError> {
        let request = self.delete(&version_path(subject, &version.into().to_string(), &[]));
        let permanent = mode == DeleteMode::Permanent;
        request.flag("permanent", permanent).send().await
    }

    /// Checks a schema against the versions of a subject, as a registration would:
    /// `POST /compatibility/subjects/{subject}/versions`.
    ///
    /// # Errors
    /// Code 42201 when the schema is invalid; see [`ClientError`].
    pub async fn check_compatibility(
        &self,
        subject: &str,
        request: &RegisterRequest,
        options: CompatibilityOptions,
    ) -> Result<CompatibilityBody, ClientError> {
        let path = ["compatibility", "subjects", subject, "versions"];
        self.check(&path, request, options).await
    }

    /// Checks a schema against one version, at the subject's compatibility level:
    /// `POST /compatibility/subjects/{subject}/versions/{version}`.
    ///
    /// # Errors
    /// Code 40402 when there is no such version; see [`ClientError`].
    pub async fn check_version_compatibility(
        &self,
        subject: &str,
        version: impl Into<VersionSelector>,
        request: &RegisterRequest,
        options: CompatibilityOptions,
    ) -> Result<CompatibilityBody, ClientError> {
        let version = version.into().to_string();
        let path = ["compatibility", "subjects", subject, "versions", &version];
        self.check(&path, request, options).await
    }

    async fn check(
        &self,
        path: &[&str],
        request: &RegisterRequest,
        options: CompatibilityOptions,
    ) -> Result<CompatibilityBody, ClientError> {
        self.post(path)
            .flag("normalize", options.normalize)
            .flag("verbose", options.verbose)
            .flag("explain", options.explain)
            .json(request)
            .send()
            .await
    }
}

fn version_path<'a>(subject: &'a str, version: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    [&["subjects", subject, "versions", version], rest].concat()
}
