//! Registration, and lookup by content.

use avouch_registry_api::rest::{ConfigBody, RegisterRequest, SchemaBody, TagRequest};
use avouch_registry_api::types::{SchemaId, Version, VersionSelector};

use crate::decide::content::{Content, Strictness};
use crate::decide::draft::Draft;
use crate::decide::register::{
    Plan, VersionRow, Wanted, WantedVersion, next_version, plan, registered, replaced, satisfies,
};
use crate::decide::settings::{adds_to_content, permit_registration};
use crate::decide::subject::Subject;
use crate::error::RegistryError;
use crate::metrics::Outcome;
use crate::service::identity::{closest, equivalent_version};
use crate::service::read::locate;
use crate::service::settings::EffectiveSettings;
use crate::service::{Prepared, Service, body_of};
use crate::store::versions::Entry;
use crate::store::{Connection, Write, counters, edges, schemas, versions};

/// Compatibility checks of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checks {
    /// The schema must be compatible at the effective level.
    Compatibility,
    /// The request skips the check.
    Skipped,
}

/// The result of a registration.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(crate) body: SchemaBody,
    pub(crate) outcome: Outcome,
}

/// The effect of a registration, before the compatibility check.
enum Proposal {
    /// The schema is registered already.
    Registered(VersionRow),
    /// The schema becomes a new version.
    New(Box<Addition>),
}

/// A new version.
struct Addition {
    prepared: Prepared,
    rows: Vec<VersionRow>,
    version: Version,
    id: Option<SchemaId>,
    settings: EffectiveSettings,
}

impl Service {
    /// Registers a schema, or finds the version that has it. Uses a snapshot if there is nothing to
    /// write, so that starting serializers do not queue for the write lock.
    pub(crate) async fn register(
        &self,
        subject: &Subject,
        request: RegisterRequest,
        normalize: bool,
        checks: Checks,
    ) -> Result<Registered, RegistryError> {
        let draft = Draft::of(request, normalize)?;
        // Another request may register the schema after this snapshot; the transaction below looks
        // it up again.
        if let Some(body) = self.find_registered(subject, &draft).await? {
            let outcome = Outcome::Existing;
            self.metrics.registered(outcome);
            return Ok(Registered { body, outcome });
        }
        let transaction = self.store.write().await?;
        self.register_and_commit(transaction, subject, draft, checks)
            .await
    }

    /// Returns the response of a registration without writing anything.
    pub(crate) async fn dry_run(
        &self,
        subject: &Subject,
        request: RegisterRequest,
        normalize: bool,
        checks: Checks,
    ) -> Result<SchemaBody, RegistryError> {
        let draft = Draft::of(request, normalize)?;
        let mut transaction = self.store.write().await?;
        let registered = self.register_within(&mut transaction, subject, draft, checks);
        Ok(registered.await?.body)
    }

    /// Registers a version of a subject again with other tags, metadata or rules.
    pub(crate) async fn retag(
        &self,
        subject: &Subject,
        spec: VersionSelector,
        request: TagRequest,
    ) -> Result<SchemaBody, RegistryError> {
        let mut transaction = self.store.write().await?;
        let base = self.find_entry(&mut transaction, subject, spec).await?;
        // Rules are merged into those of the version before the new one, tags are changed in the
        // version of the path.
        let before = request
            .new_version
            .and_then(|version| version.checked_sub(1));
        let before = before.and_then(Version::new);
        let before = before.map_or(VersionSelector::Latest, VersionSelector::Number);
        let before = self.find_entry(&mut transaction, subject, before).await?;
        let draft = Draft::retagged(base.content, request, before.content.rule_set)?;
        let checks = Checks::Compatibility;
        let registered = self.register_and_commit(transaction, subject, draft, checks);
        Ok(registered.await?.body)
    }

    /// Registers a schema and commits the transaction if there is something to write.
    async fn register_and_commit(
        &self,
        mut transaction: Write,
        subject: &Subject,
        draft: Draft,
        checks: Checks,
    ) -> Result<Registered, RegistryError> {
        let registered = self
            .register_within(&mut transaction, subject, draft, checks)
            .await;
        let registered = self.counted(registered)?;
        if registered.outcome == Outcome::Added {
            self.commit(transaction).await?;
        }
        Ok(registered)
    }

    /// Returns the version of a subject with this content, as sent or as completed by a
    /// registration.
    pub(crate) async fn look_up(
        &self,
        subject: &Subject,
        request: RegisterRequest,
        normalize: bool,
        with_deleted: bool,
    ) -> Result<SchemaBody, RegistryError> {
        let mut draft = Draft::of(request, normalize)?;
        let mut snapshot = self.store.read().await?;
        let subject = &locate(&mut snapshot, subject).await?;
        let settings = self.effective_settings(&mut snapshot, subject).await?;
        // A stored schema must be found even if it was imported without validation.
        let legacy = Strictness::Legacy;
        let rows = versions::rows(&mut snapshot, subject).await?;
        let exists = rows.iter().any(|row| with_deleted || !row.deleted);
        if !draft.has_text() {
            // Not 42201, as for a registration: nothing is registered under an empty schema.
            return Err(if exists {
                RegistryError::SchemaNotFound { closest: None }
            } else {
                RegistryError::SubjectNotFound(subject.name.clone())
            });
        }
        let (sent, ids) = self
            .identify(&mut snapshot, subject, draft.clone(), &settings, legacy)
            .await?;
        if !exists {
            return Err(RegistryError::SubjectNotFound(subject.name.clone()));
        }
        let mut found =
            same_content(&mut snapshot, subject, &sent, &ids, &rows, with_deleted).await?;
        if found.is_none() {
            // The registration of the same request may have added metadata or rules.
            let latest = latest(&mut snapshot, subject, &rows).await?;
            let config = &settings.config.properties;
            if latest.is_some() && draft.complete(latest.as_ref(), config, None) {
                let completed = self.identify(&mut snapshot, subject, draft, &settings, legacy);
                let (completed, ids) = completed.await?;
                let (snapshot, rows) = (&mut snapshot, &rows);
                let again = same_content(snapshot, subject, &completed, &ids, rows, with_deleted);
                found = again.await?;
            }
        }
        let Some(row) = found else {
            let closest = closest(&mut snapshot, subject, &sent, with_deleted).await?;
            return Err(RegistryError::SchemaNotFound { closest });
        };
        let entry = versions::entry(&mut snapshot, subject, row.version).await?;
        entry
            .map(body_of)
            .ok_or(RegistryError::VersionNotFound(row.version.into()))
    }

    /// Registers a schema in a transaction that the caller commits. An error means that nothing was
    /// written.
    pub(super) async fn register_within(
        &self,
        connection: &mut Connection,
        subject: &Subject,
        draft: Draft,
        checks: Checks,
    ) -> Result<Registered, RegistryError> {
        let rows = versions::rows(connection, subject).await?;
        match self.propose(connection, subject, draft, rows).await? {
            Proposal::Registered(row) => Ok(Registered {
                body: registration(connection, subject, row.version).await?,
                outcome: Outcome::Existing,
            }),
            Proposal::New(addition) => {
                let Addition { prepared, rows, .. } = &*addition;
                let EffectiveSettings { config, mode } = &addition.settings;
                // A first version can only conflict with the fields that it reserves itself.
                let can_conflict =
                    has_live(rows) || config.properties.validate_fields == Some(true);
                if checks == Checks::Compatibility && !mode.is_import() && can_conflict {
                    self.require_compatibility(connection, subject, prepared, config)
                        .await?;
                }
                Ok(Registered {
                    body: registration_body(self.add(connection, subject, *addition).await?),
                    outcome: Outcome::Added,
                })
            }
        }
    }

    /// Counts the outcome of a registration.
    pub(super) fn counted(
        &self,
        registered: Result<Registered, RegistryError>,
    ) -> Result<Registered, RegistryError> {
        match &registered {
            Ok(registered) => self.metrics.registered(registered.outcome),
            Err(RegistryError::Incompatible { .. }) => {
                self.metrics.registered(Outcome::Incompatible);
            }
            Err(_) => {}
        }
        registered
    }

    /// Returns the response of a registration that has nothing to write. Skipped for the first
    /// version of a subject, which always writes, unless parsing the schema is expensive: an
    /// invalid one is then rejected without the write lock.
    async fn find_registered(
        &self,
        subject: &Subject,
        draft: &Draft,
    ) -> Result<Option<SchemaBody>, RegistryError> {
        let mut snapshot = self.store.read().await?;
        let rows = versions::rows(&mut snapshot, subject).await?;
        if rows.is_empty() && draft.is_cheap_to_parse() {
            return Ok(None);
        }
        let proposal = self.propose(&mut snapshot, subject, draft.clone(), rows);
        match proposal.await? {
            Proposal::New(_) => Ok(None),
            Proposal::Registered(row) => {
                let body = registration(&mut snapshot, subject, row.version);
                body.await.map(Some)
            }
        }
    }

    /// Looks up the draft as sent and then as completed. `rows` are all versions of the subject.
    async fn propose(
        &self,
        connection: &mut Connection,
        subject: &Subject,
        mut draft: Draft,
        rows: Vec<VersionRow>,
    ) -> Result<Proposal, RegistryError> {
        let settings = self.effective_settings(connection, subject).await?;
        let config = &settings.config.properties;
        let wanted = Wanted {
            version: draft.version,
            id: draft.id,
        };
        let strictness = settings.strictness();
        let mut sent = None;
        // First as sent: read-only modes permit the registration of a schema that exists.
        if draft.has_text() && draft.is_untagged() {
            let draft = draft.clone();
            let identified = self.identify(connection, subject, draft, &settings, strictness);
            let (prepared, ids) = identified.await?;
            prepared.check_limits(&self.config)?;
            if !adds_to_content(config) {
                let candidates = candidates(&rows, wanted.version);
                let found =
                    same_content(connection, subject, &prepared, &ids, candidates, false).await?;
                if let Some(row) = found.filter(|&row| satisfies(row, wanted)) {
                    return Ok(Proposal::Registered(row));
                }
            }
            sent = Some((prepared, ids));
        }
        permit_registration(settings.mode, &subject.name, draft.id.is_some())?;
        let mut changed = false;
        if !settings.mode.is_import() {
            let latest = latest(connection, subject, &rows).await?;
            let next = next_version(&rows)?;
            changed = draft.complete(latest.as_ref(), config, Some(next));
        }
        let (prepared, ids) = match sent {
            // Parsing again is the expensive part.
            Some(sent) if !changed => sent,
            _ => {
                self.identify(connection, subject, draft, &settings, strictness)
                    .await?
            }
        };
        prepared.check_limits(&self.config)?;
        let (version, id) = match plan(&rows, &ids, wanted, settings.mode.is_import())? {
            Plan::Registered(row) => return Ok(Proposal::Registered(row)),
            Plan::Add { version, id } => (version, id),
        };
        if wanted.version == WantedVersion::Any
            && let Some(row) =
                equivalent_version(connection, subject, &prepared, &rows, false).await?
            && satisfies(row, wanted)
        {
            return Ok(Proposal::Registered(row));
        }
        Ok(Proposal::New(Box::new(Addition {
            prepared,
            rows,
            version,
            id,
            settings,
        })))
    }

    /// Prepares the draft and returns the IDs with exactly its content.
    async fn identify(
        &self,
        connection: &mut Connection,
        subject: &Subject,
        draft: Draft,
        settings: &EffectiveSettings,
        strictness: Strictness,
    ) -> Result<(Prepared, Vec<SchemaId>), RegistryError> {
        let prepared = self.prepare(connection, subject, draft, settings, strictness);
        let prepared = prepared.await?;
        let content = &prepared.resolved.content;
        let ids = schemas::ids_of(connection, &subject.context, content).await?;
        Ok((prepared, ids))
    }

    /// Rejects a schema that is incompatible with the live versions.
    pub(super) async fn require_compatibility(
        &self,
        connection: &mut Connection,
        subject: &Subject,
        prepared: &Prepared,
        config: &ConfigBody,
    ) -> Result<(), RegistryError> {
        let incompatibilities = self.incompatibilities(connection, subject, prepared, config);
        let incompatibilities = incompatibilities.await?;
        if incompatibilities.messages.is_empty() {
            return Ok(());
        }
        let error_code = self.config.incompatible_code;
        Err(RegistryError::Incompatible {
            subject: subject.name.clone(),
            details: incompatibilities.messages,
            findings: incompatibilities.findings,
            error_code,
        })
    }

    /// Writes the new version and, if its ID is new, its content, and deletes the versions it
    /// replaces.
    async fn add(
        &self,
        connection: &mut Connection,
        subject: &Subject,
        addition: Addition,
    ) -> Result<Entry, RegistryError> {
        let Addition { rows, version, .. } = addition;
        let content = addition.prepared.resolved.content;
        let id = store_content(connection, subject, addition.id, &content).await?;
        for replaced in replaced(&rows, version, id) {
            let referrers = edges::referrers(connection, &subject.name, replaced, true).await?;
            // A referenced version must stay readable.
            if referrers.is_empty() {
                versions::remove(connection, subject, replaced).await?;
            }
        }
        let row = VersionRow {
            version,
            id,
            deleted: false,
        };
        let created_at_ms = (self.config.clock)();
        versions::put(connection, subject, row, created_at_ms).await?;
        // Only an import overwrites a version, whose ID may now be unused.
        let overwritten = rows.iter().find(|row| row.version == version);
        if let Some(overwritten) = overwritten {
            schemas::remove_unused(connection, &subject.context, overwritten.id).await?;
        }
        Ok(Entry {
            subject: subject.name.clone(),
            row,
            created_at_ms,
            content,
        })
    }
}

fn has_live(rows: &[VersionRow]) -> bool {
    rows.iter().any(|row| !row.deleted)
}

/// Returns the content of the subject's latest version. `rows` are all its versions.
async fn latest(
    connection: &mut Connection,
    subject: &Subject,
    rows: &[VersionRow],
) -> Result<Option<Content>, RegistryError> {
    if !has_live(rows) {
        return Ok(None);
    }
    let newest = versions::newest(connection, subject, 1).await?.pop();
    Ok(newest.map(|entry| entry.content))
}

/// Returns the versions that can satisfy a registration.
fn candidates(rows: &[VersionRow], wanted: WantedVersion) -> &[VersionRow] {
    match wanted {
        WantedVersion::Any | WantedVersion::Exactly(_) => rows,
        WantedVersion::Next => {
            let latest = rows.iter().rposition(|row| !row.deleted);
            latest.map_or(&[], |latest| &rows[latest..=latest])
        }
    }
}

/// Returns the version among `rows` that has the content, live ones first. `ids` are the IDs with
/// exactly this content.
async fn same_content(
    connection: &mut Connection,
    subject: &Subject,
    prepared: &Prepared,
    ids: &[SchemaId],
    rows: &[VersionRow],
    with_deleted: bool,
) -> Result<Option<VersionRow>, RegistryError> {
    let deleted = || {
        let mut newest_first = rows.iter().rev();
        newest_first.find(|row| with_deleted && ids.contains(&row.id))
    };
    if let Some(row) = registered(rows, ids).or_else(|| deleted().copied()) {
        return Ok(Some(row));
    }
    equivalent_version(connection, subject, prepared, rows, with_deleted).await
}

/// Stores content under the given ID or a new one, and returns the ID.
///
/// # Errors
/// [`RegistryError::NotPermitted`] if the ID has other content.
pub(super) async fn store_content(
    connection: &mut Connection,
    subject: &Subject,
    id: Option<SchemaId>,
    content: &Content,
) -> Result<SchemaId, RegistryError> {
    let context = &subject.context;
    let id = match id {
        None => counters::next_id(connection, context).await?,
        Some(id) => {
            match schemas::content(connection, context, id).await? {
                Some(known) if known == *content => return Ok(id),
                Some(_other) => {
                    return Err(RegistryError::NotPermitted(format!(
                        "Overwrite new schema with id {id} in context {context} is not permitted."
                    )));
                }
                // Otherwise a later registration would be assigned the same ID.
                None => counters::raise_ids(connection, context, id).await?,
            }
            id
        }
    };
    schemas::insert(connection, context, id, content).await?;
    edges::insert(connection, context, id, &content.references).await?;
    Ok(id)
}

/// Returns the response of a registration that found its version.
async fn registration(
    connection: &mut Connection,
    subject: &Subject,
    version: Version,
) -> Result<SchemaBody, RegistryError> {
    let entry = versions::entry(connection, subject, version).await?;
    entry
        .map(registration_body)
        .ok_or(RegistryError::VersionNotFound(version.into()))
}

/// Returns the response of a registration: the version without its subject.
fn registration_body(entry: Entry) -> SchemaBody {
    SchemaBody {
        subject: None,
        ..body_of(entry)
    }
}
