//! What can be read: subjects, versions, schemas by id. Each answer is one snapshot.

use avouch_registry_api::rest::{SchemaBody, SubjectVersionBody};
use avouch_registry_api::vocabulary::SchemaType;

use crate::decide::content::{Content, Format, Parsed, Resolved};
use crate::decide::register::VersionRow;
use crate::decide::subject::{DEFAULT_CONTEXT, Subject, VersionSpec, Visibility};
use crate::error::RegistryError;
use crate::service::{Service, body_of, compute, content_body};
use crate::store::versions::Entry;
use crate::store::{Connection, Page, counters, edges, schemas, settings, versions};

/// Schemas in one answer of the listing, whatever the request asks for.
const MAX_LISTED: i64 = 1_000;

/// What `GET /schemas` selects.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    pub(crate) prefix: String,
    pub(crate) with_deleted: bool,
    pub(crate) latest_only: bool,
    /// Whether aliases are told, and a prefix also means aliases that start with it.
    pub(crate) with_aliases: bool,
    /// Only versions with a rule of this type.
    pub(crate) rule_type: Option<String>,
    pub(crate) page: Page,
}

impl Service {
    pub(crate) async fn subjects(
        &self,
        prefix: &str,
        visibility: Visibility,
        page: Page,
    ) -> Result<Vec<String>, RegistryError> {
        let mut snapshot = self.store.read().await?;
        let subjects =
            versions::subjects(&mut snapshot, DEFAULT_CONTEXT, prefix, visibility, page).await?;
        Ok(subjects)
    }

    /// All versions of a subject that the call may see, ascending.
    pub(crate) async fn versions(
        &self,
        subject: &Subject,
        visibility: Visibility,
    ) -> Result<Vec<VersionRow>, RegistryError> {
        let mut snapshot = self.store.read().await?;
        let mut rows = versions::rows(&mut snapshot, &subject.context, &subject.name).await?;
        rows.retain(|row| visibility.shows(row.deleted));
        if rows.is_empty() {
            return Err(RegistryError::SubjectNotFound(subject.name.clone()));
        }
        Ok(rows)
    }

    pub(crate) async fn version(
        &self,
        subject: &Subject,
        spec: VersionSpec,
        with_deleted: bool,
    ) -> Result<SchemaBody, RegistryError> {
        let mut snapshot = self.store.read().await?;
        let row = find(&mut snapshot, subject, spec, with_deleted).await?;
        let Subject { context, name } = subject;
        let entry = versions::entry(&mut snapshot, context, name, row.version).await?;
        entry
            .map(body_of)
            .ok_or(RegistryError::VersionNotFound(row.version))
    }

    /// A live version with everything about it.
    pub(super) async fn find_entry(
        &self,
        connection: &mut Connection,
        subject: &Subject,
        spec: VersionSpec,
    ) -> Result<Entry, RegistryError> {
        let row = find(connection, subject, spec, false).await?;
        let Subject { context, name } = subject;
        let entry = versions::entry(connection, context, name, row.version).await?;
        entry.ok_or(RegistryError::VersionNotFound(row.version))
    }

    /// The latest version whose metadata has all the wanted properties.
    pub(crate) async fn with_properties(
        &self,
        subject: &Subject,
        wanted: &[(&str, &str)],
        with_deleted: bool,
    ) -> Result<SchemaBody, RegistryError> {
        let mut snapshot = self.store.read().await?;
        let Subject { context, name } = subject;
        let mut rows = versions::rows(&mut snapshot, context, name).await?;
        rows.retain(|row| with_deleted || !row.deleted);
        if rows.is_empty() {
            return Err(RegistryError::SubjectNotFound(name.clone()));
        }
        for row in rows.iter().rev() {
            let entry = versions::entry(&mut snapshot, context, name, row.version).await?;
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

    /// Ids of the schemas that refer to a version, ascending.
    pub(crate) async fn referrers(
        &self,
        subject: &Subject,
        spec: VersionSpec,
        with_deleted: bool,
    ) -> Result<Vec<i32>, RegistryError> {
        let mut snapshot = self.store.read().await?;
        let row = find(&mut snapshot, subject, spec, true).await?;
        let Subject { context, name } = subject;
        let referrers =
            edges::referrers(&mut snapshot, context, name, row.version, with_deleted).await?;
        Ok(referrers)
    }

    pub(crate) async fn schemas(&self, listing: Listing) -> Result<Vec<SchemaBody>, RegistryError> {
        let mut snapshot = self.store.read().await?;
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
            settings::aliases(&mut snapshot, DEFAULT_CONTEXT).await?
        } else {
            Vec::new()
        };
        let mut skip = listing.page.offset;
        let mut found = Vec::new();
        let mut page = Page {
            offset: 0,
            limit: MAX_LISTED,
        };
        loop {
            let entries = listed(&mut snapshot, "", &listing, page).await?;
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
            page.offset += MAX_LISTED;
        }
    }

    /// What an id stands for. Subject and version are told when the request named a subject that
    /// holds the id; one that does not is as good as none.
    pub(crate) async fn schema(
        &self,
        id: i32,
        subject: Option<&Subject>,
        with_max_id: bool,
    ) -> Result<SchemaBody, RegistryError> {
        let known = self.known(DEFAULT_CONTEXT, id).await?;
        let known = known.ok_or(RegistryError::IdNotFound(id))?;
        let holders = &known.holders;
        let named = subject
            .and_then(|subject| holders.iter().rfind(|(holder, ..)| *holder == subject.name));
        let first_live = || holders.iter().find(|(_, row, _)| !row.deleted);
        let shown = named.or_else(first_live).or(holders.first());
        let max_id = if with_max_id {
            let mut snapshot = self.store.read().await?;
            Some(counters::highest_id(&mut snapshot, DEFAULT_CONTEXT).await?)
        } else {
            None
        };
        Ok(SchemaBody {
            subject: named.map(|(subject, ..)| subject.clone()),
            version: named.map(|(_, row, _)| row.version),
            max_id,
            ts: shown.map(|&(_, _, created_at_ms)| created_at_ms),
            deleted: shown.map(|(_, row, _)| row.deleted),
            ..known.body.clone()
        })
    }

    /// An answer with its text in the format that was asked for. Other schemas than Avro have one
    /// format.
    ///
    /// # Errors
    /// When the store fails, or what a reference leads to is not there.
    pub(crate) async fn in_format(
        &self,
        body: SchemaBody,
        format: Format,
    ) -> Result<SchemaBody, RegistryError> {
        if format == Format::Kept || body.references.is_empty() {
            return Ok(body);
        }
        let mut snapshot = self.store.read().await?;
        let dependencies = edges::dependencies(&mut snapshot, DEFAULT_CONTEXT, &body.references)
            .await
            .map_err(|error| RegistryError::Store(error.to_string()))?;
        let content = Content {
            schema_type: body.schema_type.unwrap_or(SchemaType::Avro),
            text: body.schema.clone(),
            references: body.references.clone(),
            metadata: None,
            rule_set: None,
        };
        let resolved = Resolved {
            content,
            dependencies,
        };
        let parsed = compute(resolved.text_bytes(), move || resolved.parse()).await?;
        Ok(match parsed.map_err(RegistryError::Store)? {
            Parsed::Avro(schema) => SchemaBody {
                schema: schema.resolved_text(),
                ..body
            },
            Parsed::Text => body,
        })
    }

    /// The schemas with a GUID: one content, and the ids that stand for it.
    pub(crate) async fn schema_with_guid(
        &self,
        guid: &str,
    ) -> Result<(SchemaBody, Vec<i32>), RegistryError> {
        let mut snapshot = self.store.read().await?;
        let guid = guid.to_ascii_lowercase();
        let found = schemas::with_guid(&mut snapshot, DEFAULT_CONTEXT, &guid).await?;
        let ids = found.iter().map(|(id, _)| *id).collect();
        let first = found.into_iter().next();
        let (_, content) = first.ok_or(RegistryError::GuidNotFound(guid))?;
        Ok((content_body(content), ids))
    }

    /// Where an id is registered, by subject and version.
    pub(crate) async fn holders(
        &self,
        id: i32,
        subject: Option<&Subject>,
        with_deleted: bool,
    ) -> Result<Vec<SubjectVersionBody>, RegistryError> {
        let mut snapshot = self.store.read().await?;
        let holders = versions::holders(&mut snapshot, DEFAULT_CONTEXT, id).await?;
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
    prefix: &str,
    listing: &Listing,
    page: Page,
) -> Result<Vec<Entry>, sqlx::Error> {
    let (with_deleted, latest_only) = (listing.with_deleted, listing.latest_only);
    versions::list(
        connection,
        DEFAULT_CONTEXT,
        prefix,
        with_deleted,
        latest_only,
        page,
    )
    .await
}

/// The entry as an answer of the listing, if it belongs there. `aliases` are pairs of an alias and
/// the subject behind it.
fn selected(entry: Entry, listing: &Listing, aliases: &[(String, String)]) -> Option<SchemaBody> {
    let own: Vec<String> = aliases
        .iter()
        .filter(|(alias, subject)| *subject == entry.subject && alias.starts_with(&listing.prefix))
        .map(|(alias, _)| alias.clone())
        .collect();
    let has_type = |wanted: &String| entry.content.has_rule_of_type(wanted);
    let meant = entry.subject.starts_with(&listing.prefix) || !own.is_empty();
    (meant && listing.rule_type.as_ref().is_none_or(has_type)).then(|| SchemaBody {
        aliases: own,
        ..body_of(entry)
    })
}

/// The row a request means. `Latest` is the highest live one even when deleted ones are included.
async fn find(
    connection: &mut Connection,
    subject: &Subject,
    spec: VersionSpec,
    with_deleted: bool,
) -> Result<VersionRow, RegistryError> {
    let rows = versions::rows(connection, &subject.context, &subject.name).await?;
    let visible = |row: &&VersionRow| with_deleted || !row.deleted;
    let found = match spec {
        VersionSpec::Latest => rows.iter().rfind(|row| !row.deleted),
        VersionSpec::Number(number) => rows
            .iter()
            .filter(visible)
            .find(|row| row.version == number),
    };
    found.copied().ok_or_else(|| {
        if rows.iter().any(|row| visible(&row)) {
            RegistryError::VersionNotFound(spec.number())
        } else {
            RegistryError::SubjectNotFound(subject.name.clone())
        }
    })
}
