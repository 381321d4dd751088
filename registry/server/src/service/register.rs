//! Registration and look-up by content.

use avouch_registry_api::rest::{ConfigBody, RegisterRequest, SchemaBody, TagRequest};
use avouch_registry_api::types::{SchemaId, Version, VersionSelector};

use crate::decide::content::{Content, Strictness};
use crate::decide::draft::Draft;
use crate::decide::register::{
    Plan, VersionRow, Wanted, WantedVersion, answers, next_version, plan, registered, replaced,
};
use crate::decide::settings::{adds_to_content, permit_registration};
use crate::decide::subject::Subject;
use crate::error::RegistryError;
use crate::metrics::Outcome;
use crate::service::identity::{closest, lookalike};
use crate::service::read::locate;
use crate::service::settings::InForce;
use crate::service::{Prepared, Service, body_of};
use crate::store::versions::Entry;
use crate::store::{Connection, counters, edges, schemas, versions};

/// Whether a registration must agree with earlier versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checks {
    /// At the level in force.
    Compatibility,
    /// With nothing: the caller forces it.
    Skipped,
}

/// How a registration ended.
#[derive(Debug)]
pub(super) struct Registered {
    pub(super) body: SchemaBody,
    pub(super) outcome: Outcome,
}

/// A registration, judged as far as reading goes.
enum Proposal {
    /// It is registered already.
    Registered(VersionRow),
    /// It is to be added.
    New(Box<Addition>),
}

/// A version to add.
struct Addition {
    prepared: Prepared,
    rows: Vec<VersionRow>,
    version: Version,
    id: Option<SchemaId>,
    in_force: InForce,
}

impl Service {
    /// Registers a schema, or finds it registered. Answered from a snapshot when there is nothing
    /// to write, so that serializers starting up do not queue for the write lock.
    pub(crate) async fn register(
        &self,
        subject: &Subject,
        request: RegisterRequest,
        normalize: bool,
        checks: Checks,
    ) -> Result<SchemaBody, RegistryError> {
        let draft = Draft::of(request, normalize)?;
        draft.check_size()?;
        if let Some(body) = self.registered_already(subject, &draft).await? {
            self.metrics.registered(Outcome::Existing);
            return Ok(body);
        }
        let mut transaction = self.store.write().await?;
        let registered = self
            .register_within(&mut transaction, subject, draft, checks)
            .await;
        let Registered { body, outcome } = self.counted(registered)?;
        if outcome == Outcome::Added {
            self.commit(transaction).await?;
        }
        Ok(body)
    }

    /// What a registration would answer now; nothing is written.
    pub(crate) async fn try_out(
        &self,
        subject: &Subject,
        request: RegisterRequest,
        normalize: bool,
        checks: Checks,
    ) -> Result<SchemaBody, RegistryError> {
        let draft = Draft::of(request, normalize)?;
        draft.check_size()?;
        let mut undone = self.store.write().await?;
        let registered = self.register_within(&mut undone, subject, draft, checks);
        Ok(registered.await?.body)
    }

    /// Registers a new version of a subject: the given one with other tags, metadata or rules.
    pub(crate) async fn retag(
        &self,
        subject: &Subject,
        spec: VersionSelector,
        request: TagRequest,
    ) -> Result<SchemaBody, RegistryError> {
        let mut transaction = self.store.write().await?;
        let base = self.find_entry(&mut transaction, subject, spec).await?;
        let before = request
            .new_version
            .and_then(|version| version.checked_sub(1));
        let before = before.and_then(Version::new);
        let before = before.map_or(VersionSelector::Latest, VersionSelector::Number);
        let before = self.find_entry(&mut transaction, subject, before).await?;
        let draft = Draft::retagged(base.content, request, before.content.rule_set)?;
        let checks = Checks::Compatibility;
        let registered = self
            .register_within(&mut transaction, subject, draft, checks)
            .await;
        let Registered { body, outcome } = self.counted(registered)?;
        if outcome == Outcome::Added {
            self.commit(transaction).await?;
        }
        Ok(body)
    }

    /// The version of the subject that has this content: as it was sent, or completed as a
    /// registration would complete it.
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
        let in_force = self.in_force(&mut snapshot, subject).await?;
        let legacy = Strictness::Legacy;
        let (sent, ids) = self
            .identify(&mut snapshot, subject, draft.clone(), &in_force, legacy)
            .await?;
        let rows = versions::rows(&mut snapshot, subject).await?;
        if !rows.iter().any(|row| with_deleted || !row.deleted) {
            return Err(RegistryError::SubjectNotFound(subject.name.clone()));
        }
        let mut found =
            same_content(&mut snapshot, subject, &sent, &ids, &rows, with_deleted).await?;
        if found.is_none() {
            let latest = latest(&mut snapshot, subject, &rows).await?;
            let config = &in_force.config.properties;
            if latest.is_some() && draft.complete(latest.as_ref(), config, None) {
                let completed = self.identify(&mut snapshot, subject, draft, &in_force, legacy);
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

    /// Registers within a transaction that the caller commits. A refusal wrote nothing.
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
                let InForce { config, mode } = &addition.in_force;
                // One that comes first can only contradict itself, by a field that it reserves.
                let can_object = has_live(rows) || config.properties.validate_fields == Some(true);
                if checks == Checks::Compatibility && !mode.is_import() && can_object {
                    self.require_agreement(connection, subject, prepared, config)
                        .await?;
                }
                Ok(Registered {
                    body: answer(self.add(connection, subject, *addition).await?),
                    outcome: Outcome::Added,
                })
            }
        }
    }

    /// Counts how a registration ended.
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

    /// The answer to a registration that has nothing to write. One of a first version writes unless
    /// it is refused, which is found here only if it takes time to find.
    async fn registered_already(
        &self,
        subject: &Subject,
        draft: &Draft,
    ) -> Result<Option<SchemaBody>, RegistryError> {
        let mut snapshot = self.store.read().await?;
        let rows = versions::rows(&mut snapshot, subject).await?;
        if rows.is_empty() && draft.is_read_soon() {
            return Ok(None);
        }
        let seen = self.propose(&mut snapshot, subject, draft.clone(), rows);
        match seen.await? {
            Proposal::New(_) => Ok(None),
            Proposal::Registered(row) => {
                let body = registration(&mut snapshot, subject, row.version);
                body.await.map(Some)
            }
        }
    }

    /// Looks for the draft as it was sent, then for what it becomes when it is completed. `rows`
    /// are all versions of the subject.
    async fn propose(
        &self,
        connection: &mut Connection,
        subject: &Subject,
        mut draft: Draft,
        rows: Vec<VersionRow>,
    ) -> Result<Proposal, RegistryError> {
        let in_force = self.in_force(connection, subject).await?;
        let config = &in_force.config.properties;
        let wanted = Wanted {
            version: draft.version,
            id: draft.id,
        };
        let strictness = in_force.strictness();
        let mut sent = None;
        if draft.has_text() && draft.is_untagged() {
            let draft = draft.clone();
            let identified = self.identify(connection, subject, draft, &in_force, strictness);
            let (prepared, ids) = identified.await?;
            if !adds_to_content(config) {
                let live = latest_only(&rows, wanted.version);
                let found = same_content(connection, subject, &prepared, &ids, live, false).await?;
                if let Some(row) = found.filter(|&row| answers(row, wanted)) {
                    return Ok(Proposal::Registered(row));
                }
            }
            sent = Some((prepared, ids));
        }
        permit_registration(in_force.mode, &subject.name, draft.id.is_some())?;
        let mut changed = false;
        if !in_force.mode.is_import() {
            let latest = latest(connection, subject, &rows).await?;
            let next = next_version(&rows)?;
            changed = draft.complete(latest.as_ref(), config, Some(next));
        }
        let (prepared, ids) = match sent {
            Some(sent) if !changed => sent,
            _ => {
                self.identify(connection, subject, draft, &in_force, strictness)
                    .await?
            }
        };
        let (version, id) = match plan(&rows, &ids, wanted, in_force.mode.is_import())? {
            Plan::Registered(row) => return Ok(Proposal::Registered(row)),
            Plan::Add { version, id } => (version, id),
        };
        if wanted.version == WantedVersion::Any
            && let Some(row) = lookalike(connection, subject, &prepared, &rows, false).await?
            && answers(row, wanted)
        {
            return Ok(Proposal::Registered(row));
        }
        Ok(Proposal::New(Box::new(Addition {
            prepared,
            rows,
            version,
            id,
            in_force,
        })))
    }

    /// Prepares the draft, and finds the ids that stand for exactly its content.
    async fn identify(
        &self,
        connection: &mut Connection,
        subject: &Subject,
        draft: Draft,
        in_force: &InForce,
        strictness: Strictness,
    ) -> Result<(Prepared, Vec<SchemaId>), RegistryError> {
        let prepared = self.prepare(connection, subject, draft, in_force, strictness);
        let prepared = prepared.await?;
        let content = &prepared.resolved.content;
        let ids = schemas::ids_of(connection, &subject.context, content).await?;
        Ok((prepared, ids))
    }

    /// Refuses a schema that does not agree with the live versions.
    pub(super) async fn require_agreement(
        &self,
        connection: &mut Connection,
        subject: &Subject,
        prepared: &Prepared,
        config: &ConfigBody,
    ) -> Result<(), RegistryError> {
        let objections = self.objections(connection, subject, prepared, config);
        let objections = objections.await?;
        if objections.messages.is_empty() {
            return Ok(());
        }
        let error_code = self.config.incompatible_code;
        Err(RegistryError::Incompatible {
            subject: subject.name.clone(),
            details: objections.messages,
            findings: objections.findings,
            error_code,
        })
    }

    /// Writes the new version, its content if the id is new, and takes away what it replaces.
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

/// The content of the subject's latest version. `rows` are all its versions.
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

/// The versions among which a registration looks for its content.
fn latest_only(rows: &[VersionRow], wanted: WantedVersion) -> &[VersionRow] {
    match wanted {
        WantedVersion::Any | WantedVersion::Exactly(_) => rows,
        WantedVersion::Next => {
            let latest = rows.iter().rposition(|row| !row.deleted);
            latest.map_or(&[], |latest| &rows[latest..=latest])
        }
    }
}

/// The version among `rows` that has the content, live ones first. `ids` stand for exactly this
/// content.
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
    lookalike(connection, subject, prepared, rows, with_deleted).await
}

/// Stores content under the given id, or under a new one, and returns the id. An id that stands for
/// other content cannot be given.
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
                None => counters::raise_ids(connection, context, id).await?,
            }
            id
        }
    };
    schemas::insert(connection, context, id, content).await?;
    edges::insert(connection, context, id, &content.references).await?;
    Ok(id)
}

/// The answer to a registration that found its version.
async fn registration(
    connection: &mut Connection,
    subject: &Subject,
    version: Version,
) -> Result<SchemaBody, RegistryError> {
    let entry = versions::entry(connection, subject, version).await?;
    entry
        .map(answer)
        .ok_or(RegistryError::VersionNotFound(version.into()))
}

/// The answer to a registration: the version without its subject.
fn answer(entry: Entry) -> SchemaBody {
    SchemaBody {
        subject: None,
        ..body_of(entry)
    }
}
