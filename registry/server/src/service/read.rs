//! Reads: subjects, versions, schemas by ID. Each uses one snapshot.

use avouch_registry_api::rest::{ContextIdBody, SchemaBody, SubjectVersionBody, VersionBody};
use avouch_registry_api::types::{SchemaId, SchemaType, VersionSelector};

use crate::decide::content::{Content, Format, Parsed, Resolved};
use crate::decide::draft::invalid_schema;
use crate::decide::register::VersionRow;
use crate::decide::subject::{DEFAULT_CONTEXT, Prefix, Subject, Visibility, plain_name};
use crate::error::RegistryError;
use crate::service::{Service, body_of, compute, content_body, reference_error};
use crate::store::versions::Entry;
use crate::store::{Connection, Page, counters, edges, schemas, settings, versions};

/// Maximum number of schemas in a listing, whatever the limit of the request.
const MAX_LISTED: i64 = 1_000;

/// Selection of `GET /schemas`.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    pub(crate) prefix: Prefix,
    pub(crate) with_deleted: bool,
    pub(crate) latest_only: bool,
    /// Include aliases, and select subjects by the prefix of an alias too.
    pub(crate) with_aliases: bool,
    /// Only versions with a rule of this type.
    pub(crate) rule_type: Option<String>,
    pub(crate) page: Page,
}

impl Service {
    pub(crate) async fn subjects(
        &self,
        prefix: &Prefix,
        visibility: Visibility,
        page: Page,
    ) -> Result<Vec<String>, RegistryError> {
        let mut snapshot = self.store.read().await?;
        let subjects = versions::subjects(&mut snapshot, prefix, visibility, page).await?;
        Ok(subjects)
    }

    /// Returns the `shown` versions of a subject in ascending order. The subject exists if it has a
    /// `counted` version.
    pub(crate) async fn versions(
        &self,
        subject: &Subject,
        counted: Visibility,
        shown: Visibility,
    ) -> Result<Vec<VersionRow>, RegistryError> {
        let mut snapshot = self.store.read().await?;
        let subject = &locate(&mut snapshot, subject).await?;
        let mut rows = versions::rows(&mut snapshot, subject).await?;
        if !rows.iter().any(|row| counted.shows(row.deleted)) {
            return Err(RegistryError::SubjectNotFound(subject.name.clone()));
        }
        rows.retain(|row| shown.shows(row.deleted));
        Ok(rows)
    }

    pub(crate) async fn version(
        &self,
        subject: &Subject,
        spec: VersionSelector,
        with_deleted: bool,
    ) -> Result<SchemaBody, RegistryError> {
        let mut snapshot = self.store.read().await?;
        let subject = &locate(&mut snapshot, subject).await?;
        let row = find(&mut snapshot, subject, spec, with_deleted).await?;
        let entry = versions::entry(&mut snapshot, subject, row.version).await?;
        entry
            .map(body_of)
            .ok_or(RegistryError::VersionNotFound(row.version.into()))
    }

    /// Returns a page of a subject's versions, soft-deleted ones included, in ascending order,
    /// without their schemas.
    pub(crate) async fn history(
        &self,
        subject: &Subject,
        page: Page,
    ) -> Result<Vec<VersionBody>, RegistryError> {
        let mut snapshot = self.store.read().await?;
        let rows = versions::rows(&mut snapshot, subject).await?;
        if rows.is_empty() {
            return Err(RegistryError::SubjectNotFound(subject.name.clone()));
        }
        let limit = page.limit.min(MAX_LISTED);
        let mut history = Vec::new();
        for row in (Page { limit, ..page }).of(rows) {
            let entry = versions::entry(&mut snapshot, subject, row.version).await?;
            history.extend(entry.map(|entry| VersionBody {
                guid: entry.content.guid().to_string(),
                schema_type: entry.content.schema_type,
                subject: entry.subject,
                version: row.version,
                id: row.id,
                deleted: row.deleted,
                created_at_ms: entry.created_at_ms,
            }));
        }
        Ok(history)
    }

    /// Returns a live version with its content.
    pub(super) async fn find_entry(
        &self,
        connection: &mut Connection,
        subject: &Subject,
        spec: VersionSelector,
    ) -> Result<Entry, RegistryError> {
        let row = find(connection, subject, spec, false).await?;
        let entry = versions::entry(connection, subject, row.version).await?;
        entry.ok_or(RegistryError::VersionNotFound(row.version.into()))
    }

    /// Returns the latest version whose metadata has all the properties.
    pub(crate) async fn with_properties(
        &self,
        subject: &Subject,
        wanted: &[(&str, &str)],
        with_deleted: bool,
    ) -> Result<SchemaBody, RegistryError> {
        let mut snapshot = self.store.read().await?;
        let subject = &locate(&mut snapshot, subject).await?;
        let mut rows = versions::rows(&mut snapshot, subject).await?;
        rows.retain(|row| with_deleted || !row.deleted);
        if rows.is_empty() {
            return Err(RegistryError::SubjectNotFound(subject.name.clone()));
        }
        // Newest first: the latest version with the properties wins.
        for row in rows.iter().rev() {
            let entry = versions::entry(&mut snapshot, subject, row.version).await?;
            let Some(entry) = entry else { continue };
            if wanted
                .iter()
                .all(|&(key, value)| entry.content.property(key) == Some(value))
            {
                return Ok(body_of(entry));
            }
        }
        Err(RegistryError::SchemaNotFound { closest: None })
    }

    /// Returns the IDs of schemas that reference a version, in ascending order.
    pub(crate) async fn referrers(
        &self,
        subject: &Subject,
        spec: VersionSelector,
        with_deleted: bool,
    ) -> Result<Vec<SchemaId>, RegistryError> {
        let mut snapshot = self.store.read().await?;
        let subject = &locate(&mut snapshot, subject).await?;
        let row = find(&mut snapshot, subject, spec, true).await?;
        let name = &subject.name;
        let referrers = edges::referrers(&mut snapshot, name, row.version, with_deleted).await?;
        Ok(referrers)
    }

    pub(crate) async fn schemas(&self, listing: Listing) -> Result<Vec<SchemaBody>, RegistryError> {
        let mut snapshot = self.store.read().await?;
        // A response of more versions would need too much memory.
        let limit = listing.page.limit.min(MAX_LISTED);
        if !listing.with_aliases && listing.rule_type.is_none() {
            let page = Page {
                limit,
                ..listing.page
            };
            let entries = listed(&mut snapshot, &listing.prefix, &listing, page).await?;
            return Ok(entries.into_iter().map(body_of).collect());
        }
        let aliases = if listing.with_aliases {
            let context = listing.prefix.context.as_deref();
            settings::aliases(&mut snapshot, context.unwrap_or(DEFAULT_CONTEXT)).await?
        } else {
            Vec::new()
        };
        // Aliases and rule types are no columns, so the filter runs here, page by page.
        let everything = Prefix {
            plain: String::new(),
            ..listing.prefix.clone()
        };
        let mut skip = listing.page.offset;
        let mut found = Vec::new();
        let mut page = Page {
            offset: 0,
            limit: MAX_LISTED,
        };
        loop {
            let entries = listed(&mut snapshot, &everything, &listing, page).await?;
            let read = i64::try_from(entries.len()).unwrap_or(i64::MAX);
            for entry in entries {
                let Some(body) = selected(entry, &listing, &aliases) else {
                    continue;
                };
                if skip > 0 {
                    skip -= 1;
                    continue;
                }
                found.push(body);
                if i64::try_from(found.len()).unwrap_or(i64::MAX) >= limit {
                    return Ok(found);
                }
            }
            if read < MAX_LISTED {
                return Ok(found);
            }
            // By offset in one snapshot, so that no version is skipped or repeated.
            page.offset += MAX_LISTED;
        }
    }

    /// Returns the schema with an ID in the subject's context, with subject and version if the
    /// subject has the ID.
    pub(crate) async fn schema(
        &self,
        id: SchemaId,
        subject: &Subject,
        with_max_id: bool,
    ) -> Result<SchemaBody, RegistryError> {
        let schema = self.cached_schema(&subject.context, id).await?;
        let schema = schema.ok_or(RegistryError::IdNotFound(id.get()))?;
        let max_id = if with_max_id {
            let mut snapshot = self.store.read().await?;
            Some(counters::highest_id(&mut snapshot, &subject.context).await?)
        } else {
            None
        };
        Ok(schema.body_for(&subject.name, max_id))
    }

    /// Returns the subject of a lookup by ID in the context of the lookup: the context that the
    /// request names, the default one if the subject has the ID there, or the first one in which it
    /// does.
    pub(crate) async fn subject_of_id(
        &self,
        id: SchemaId,
        subject: Option<&Subject>,
    ) -> Result<Subject, RegistryError> {
        let Some(subject) = subject else {
            return Ok(Subject::existing(""));
        };
        // A context in the name is a demand; without one, Confluent searches the others.
        if subject.context != DEFAULT_CONTEXT || self.holds(subject, id).await? {
            return Ok(subject.clone());
        }
        // Without the database, only the default context can be searched, from the cache.
        for context in self.contexts().await.unwrap_or_default() {
            let elsewhere = Subject::within(&context, &subject.name);
            if self.holds(&elsewhere, id).await? {
                return Ok(elsewhere);
            }
        }
        Ok(subject.clone())
    }

    async fn holds(&self, subject: &Subject, id: SchemaId) -> Result<bool, RegistryError> {
        let schema = self.cached_schema(&subject.context, id).await?;
        Ok(schema.is_some_and(|schema| schema.is_registered_under(&subject.name)))
    }

    /// Returns the default context and those that have a version.
    pub(crate) async fn contexts(&self) -> Result<Vec<String>, RegistryError> {
        let mut snapshot = self.store.read().await?;
        let mut contexts = counters::contexts(&mut snapshot).await?;
        // The default context exists without any version.
        if !contexts.iter().any(|context| context == DEFAULT_CONTEXT) {
            contexts.insert(0, DEFAULT_CONTEXT.to_owned());
        }
        Ok(contexts)
    }

    /// Converts the schema of a response to a format. Only Avro schemas have several formats.
    ///
    /// # Errors
    /// If the store fails; [`RegistryError::InvalidSchema`] if a reference is missing or invalid.
    pub(crate) async fn in_format(
        &self,
        body: SchemaBody,
        format: Format,
    ) -> Result<SchemaBody, RegistryError> {
        let subject = Subject::existing(body.subject.as_deref().unwrap_or_default());
        self.in_format_within(&subject.context, body, format).await
    }

    /// Converts the schema of a response without a subject, whose references are in `context`.
    ///
    /// # Errors
    /// See [`Self::in_format`].
    pub(crate) async fn in_format_within(
        &self,
        context: &str,
        body: SchemaBody,
        format: Format,
    ) -> Result<SchemaBody, RegistryError> {
        // A schema without references is its own resolved form.
        if format == Format::Stored || body.references.is_empty() {
            return Ok(body);
        }
        let content = Content {
            schema_type: body.schema_type.unwrap_or(SchemaType::Avro),
            text: body.schema.clone(),
            references: body.references.clone(),
            metadata: None,
            rule_set: None,
        };
        let name = body.subject.as_deref().unwrap_or_default();
        let unreadable = |reason: &str| invalid_schema(name, &content, reason);
        let mut snapshot = self.store.read().await?;
        let dependencies = edges::dependencies(&mut snapshot, context, &body.references)
            .await
            .map_err(|error| reference_error(error, unreadable))?;
        let resolved = Resolved {
            content: content.clone(),
            dependencies,
        };
        let parsed = compute(resolved.text_bytes(), move || resolved.parse()).await?;
        Ok(
            match parsed.map_err(|error| unreadable(&error.to_string()))? {
                Parsed::Avro(schema) => SchemaBody {
                    schema: schema.to_string(),
                    ..body
                },
                Parsed::Text => body,
            },
        )
    }

    /// Returns the schema with a GUID, and its contexts and IDs.
    pub(crate) async fn schema_with_guid(
        &self,
        guid: &str,
    ) -> Result<(SchemaBody, Vec<ContextIdBody>), RegistryError> {
        let mut snapshot = self.store.read().await?;
        // GUIDs are stored in lower case; UUIDs are compared without case.
        let guid = guid.to_ascii_lowercase();
        let found = schemas::with_guid_anywhere(&mut snapshot, &guid).await?;
        let places = found.iter().map(|(context, id, _)| ContextIdBody {
            context: context.clone(),
            id: *id,
        });
        let places = places.collect();
        let first = found.into_iter().next();
        let (_, _, content) = first.ok_or(RegistryError::GuidNotFound(guid))?;
        Ok((content_body(content), places))
    }

    /// Returns the versions with an ID, by subject and version.
    pub(crate) async fn holders(
        &self,
        id: SchemaId,
        subject: Option<&Subject>,
        with_deleted: bool,
    ) -> Result<Vec<SubjectVersionBody>, RegistryError> {
        let place = self.subject_of_id(id, subject).await?;
        let subject = subject
            .map(|_| &place)
            .filter(|place| !place.plain().is_empty());
        let mut snapshot = self.store.read().await?;
        let holders = versions::holders(&mut snapshot, &place.context, id).await?;
        if holders.is_empty() {
            return Err(RegistryError::SchemaNotFound { closest: None });
        }
        let places = holders
            .into_iter()
            .filter(|(_, row, _)| with_deleted || !row.deleted)
            .filter(|(holder, ..)| subject.is_none_or(|subject| *holder == subject.name))
            .map(|(subject, row, _)| SubjectVersionBody {
                subject,
                version: row.version,
            });
        Ok(places.collect())
    }
}

async fn listed(
    connection: &mut Connection,
    prefix: &Prefix,
    listing: &Listing,
    page: Page,
) -> Result<Vec<Entry>, sqlx::Error> {
    let (with_deleted, latest_only) = (listing.with_deleted, listing.latest_only);
    versions::list(connection, prefix, with_deleted, latest_only, page).await
}

/// Returns the entry as an item of the listing if it is selected. `aliases` are pairs of an alias
/// and its subject.
fn selected(entry: Entry, listing: &Listing, aliases: &[(String, String)]) -> Option<SchemaBody> {
    let starts = |name: &str| plain_name(name).starts_with(&listing.prefix.plain);
    let own: Vec<String> = aliases
        .iter()
        .filter(|(alias, subject)| *subject == entry.subject && starts(alias))
        .map(|(alias, _)| alias.clone())
        .collect();
    let has_type = |wanted: &String| entry.content.has_rule_of_type(wanted);
    let has_prefix = starts(&entry.subject) || !own.is_empty();
    (has_prefix && listing.rule_type.as_ref().is_none_or(has_type)).then(|| SchemaBody {
        aliases: own,
        ..body_of(entry)
    })
}

/// Returns the requested subject; if its name contains no context and the default context has no
/// such subject, the first one of that name in another context.
pub(super) async fn locate(
    connection: &mut Connection,
    subject: &Subject,
) -> Result<Subject, RegistryError> {
    let rows = async |connection: &mut Connection, subject: &Subject| {
        versions::rows(connection, subject).await
    };
    if subject.context != DEFAULT_CONTEXT || !rows(connection, subject).await?.is_empty() {
        return Ok(subject.clone());
    }
    for context in counters::contexts(connection).await? {
        let elsewhere = Subject::within(&context, &subject.name);
        if !rows(connection, &elsewhere).await?.is_empty() {
            return Ok(elsewhere);
        }
    }
    Ok(subject.clone())
}

/// Returns the requested version. `Latest` is the highest live one even if deleted ones are
/// included.
async fn find(
    connection: &mut Connection,
    subject: &Subject,
    spec: VersionSelector,
    with_deleted: bool,
) -> Result<VersionRow, RegistryError> {
    let rows = versions::rows(connection, subject).await?;
    let visible = |row: &&VersionRow| with_deleted || !row.deleted;
    // `latest` never selects a soft-deleted version, even if the request includes them.
    let found = match spec {
        VersionSelector::Latest => rows.iter().rfind(|row| !row.deleted),
        VersionSelector::Number(number) => rows
            .iter()
            .filter(visible)
            .find(|row| row.version == number),
    };
    found.copied().ok_or_else(|| {
        if rows.iter().any(|row| visible(&row)) {
            RegistryError::VersionNotFound(spec)
        } else {
            RegistryError::SubjectNotFound(subject.name.clone())
        }
    })
}
