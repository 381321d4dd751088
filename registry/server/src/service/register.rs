//! Registration and look-up by content.

use avouch_registry_api::rest::{RegisterRequest, SchemaBody, TagRequest};
use avouch_registry_api::vocabulary::Mode;

use crate::decide::content::{Content, Strictness};
use crate::decide::draft::Draft;
use crate::decide::register::{
    Plan, VersionRow, Wanted, WantedVersion, answers, next_version, plan, registered, replaced,
};
use crate::decide::settings::{adds_to_content, permit_registration, strictness};
use crate::decide::subject::{Subject, VersionSpec};
use crate::error::RegistryError;
use crate::metrics::Outcome;
use crate::service::identity::{closest, lookalike};
use crate::service::read::locate;
use crate::service::{Prepared, Service, body_of};
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
    version: i32,
    id: Option<i32>,
    mode: Mode,
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
        let mut snapshot = self.store.read().await?;
        let seen = self.propose(&mut snapshot, subject, draft.clone()).await?;
        if let Proposal::Registered(row) = seen {
            self.metrics.registered(Outcome::Existing);
            return registration(&mut snapshot, subject, row.version).await;
        }
        drop(snapshot);

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
        spec: VersionSpec,
        request: TagRequest,
    ) -> Result<SchemaBody, RegistryError> {
        let mut transaction = self.store.write().await?;
        let base = self.find_entry(&mut transaction, subject, spec).await?;
        let before = match request.new_version {
            Some(version) if version > 1 => VersionSpec::Number(version - 1),
            Some(_) | None => VersionSpec::Latest,
        };
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
        let Subject { context, name } = subject;
        let sent = self
            .prepare(&mut snapshot, subject, draft.clone(), Strictness::Legacy)
            .await?;
        let rows = versions::rows(&mut snapshot, context, name).await?;
        if !rows.iter().any(|row| with_deleted || !row.deleted) {
            return Err(RegistryError::SubjectNotFound(name.clone()));
        }
        let mut found = same_content(&mut snapshot, subject, &sent, &rows, with_deleted).await?;
        if found.is_none() {
            let config = self.config_in_force(&mut snapshot, subject).await?;
            let latest = versions::newest(&mut snapshot, context, name, 1)
                .await?
                .pop();
            let latest = latest.map(|entry| entry.content);
            if latest.is_some() && draft.complete(latest.as_ref(), &config.properties, None) {
                let legacy = Strictness::Legacy;
                let completed = self.prepare(&mut snapshot, subject, draft, legacy);
                let completed = completed.await?;
                let again = same_content(&mut snapshot, subject, &completed, &rows, with_deleted);
                found = again.await?;
            }
        }
        let Some(row) = found else {
            let closest = closest(&mut snapshot, subject, &sent, with_deleted).await?;
            return Err(RegistryError::SchemaNotFound { closest });
        };
        let entry = versions::entry(&mut snapshot, context, name, row.version).await?;
        entry
            .map(body_of)
            .ok_or(RegistryError::VersionNotFound(row.version))
    }

    /// Registers within a transaction that the caller commits. A refusal wrote nothing.
    pub(super) async fn register_within(
        &self,
        connection: &mut Connection,
        subject: &Subject,
        draft: Draft,
        checks: Checks,
    ) -> Result<Registered, RegistryError> {
        let (version, outcome) = match self.propose(connection, subject, draft).await? {
            Proposal::Registered(row) => (row.version, Outcome::Existing),
            Proposal::New(addition) => {
                if checks == Checks::Compatibility && !addition.mode.is_import() {
                    self.require_agreement(connection, subject, &addition.prepared)
                        .await?;
                }
                self.add(connection, subject, &addition).await?;
                (addition.version, Outcome::Added)
            }
        };
        let body = registration(connection, subject, version).await?;
        Ok(Registered { body, outcome })
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

    /// Looks for the draft as it was sent, then for what it becomes when it is completed.
    async fn propose(
        &self,
        connection: &mut Connection,
        subject: &Subject,
        mut draft: Draft,
    ) -> Result<Proposal, RegistryError> {
        let Subject { context, name } = subject;
        let config = self.config_in_force(connection, subject).await?;
        let rows = versions::rows(connection, context, name).await?;
        let wanted = Wanted {
            version: draft.version,
            id: draft.id,
        };
        let mode = self.mode_in_force(connection, subject).await?;
        let strictness = strictness(&config.properties, mode);
        let mut sent = None;
        if draft.has_text() && draft.is_untagged() {
            let prepared = self.prepare(connection, subject, draft.clone(), strictness);
            let prepared = prepared.await?;
            if !adds_to_content(&config.properties) {
                let live = latest_only(&rows, wanted.version);
                let found = same_content(connection, subject, &prepared, live, false).await?;
                if let Some(row) = found.filter(|&row| answers(row, wanted)) {
                    return Ok(Proposal::Registered(row));
                }
            }
            sent = Some(prepared);
        }
        permit_registration(mode, name, draft.id.is_some())?;
        let mut changed = false;
        if !mode.is_import() {
            let latest = versions::newest(connection, context, name, 1).await?.pop();
            let latest = latest.map(|entry| entry.content);
            let next = next_version(&rows)?;
            changed = draft.complete(latest.as_ref(), &config.properties, Some(next));
        }
        let prepared = match sent {
            Some(prepared) if !changed => prepared,
            _ => self.prepare(connection, subject, draft, strictness).await?,
        };
        self.plan(connection, subject, prepared, rows, wanted, mode)
            .await
    }

    async fn plan(
        &self,
        connection: &mut Connection,
        subject: &Subject,
        prepared: Prepared,
        rows: Vec<VersionRow>,
        wanted: Wanted,
        mode: Mode,
    ) -> Result<Proposal, RegistryError> {
        let content = &prepared.resolved.content;
        let ids = schemas::ids_of(connection, &subject.context, content).await?;
        let plan = plan(&rows, &ids, wanted, mode.is_import())?;
        let (version, id) = match plan {
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
            mode,
        })))
    }

    /// Refuses a schema that does not agree with the live versions.
    pub(super) async fn require_agreement(
        &self,
        connection: &mut Connection,
        subject: &Subject,
        prepared: &Prepared,
    ) -> Result<(), RegistryError> {
        let objections = self.objections(connection, subject, prepared).await?;
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
        addition: &Addition,
    ) -> Result<(), RegistryError> {
        let content = &addition.prepared.resolved.content;
        let id = store_content(connection, subject, addition.id, content).await?;
        let version = addition.version;
        let Subject { context, name } = subject;
        for replaced in replaced(&addition.rows, version, id) {
            let referrers = edges::referrers(connection, name, replaced, true).await?;
            if referrers.is_empty() {
                versions::remove(connection, context, name, replaced).await?;
            }
        }
        let row = VersionRow {
            version,
            id,
            deleted: false,
        };
        versions::put(connection, context, name, row, (self.config.clock)()).await?;
        let overwritten = addition.rows.iter().find(|row| row.version == version);
        if let Some(overwritten) = overwritten {
            schemas::remove_unused(connection, context, overwritten.id).await?;
        }
        Ok(())
    }
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

/// The version among `rows` that has the content, live ones first.
async fn same_content(
    connection: &mut Connection,
    subject: &Subject,
    prepared: &Prepared,
    rows: &[VersionRow],
    with_deleted: bool,
) -> Result<Option<VersionRow>, RegistryError> {
    let content = &prepared.resolved.content;
    let ids = schemas::ids_of(connection, &subject.context, content).await?;
    let deleted = || {
        let mut newest_first = rows.iter().rev();
        newest_first.find(|row| with_deleted && ids.contains(&row.id))
    };
    if let Some(row) = registered(rows, &ids).or_else(|| deleted().copied()) {
        return Ok(Some(row));
    }
    lookalike(connection, subject, prepared, rows, with_deleted).await
}

/// Stores content under the given id, or under a new one, and returns the id. An id that stands for
/// other content cannot be given.
pub(super) async fn store_content(
    connection: &mut Connection,
    subject: &Subject,
    id: Option<i32>,
    content: &Content,
) -> Result<i32, RegistryError> {
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

/// The answer to a registration: the version without its subject.
async fn registration(
    connection: &mut Connection,
    subject: &Subject,
    version: i32,
) -> Result<SchemaBody, RegistryError> {
    let entry = versions::entry(connection, &subject.context, &subject.name, version).await?;
    let entry = entry.ok_or(RegistryError::VersionNotFound(version))?;
    Ok(SchemaBody {
        subject: None,
        ..body_of(entry)
    })
}
