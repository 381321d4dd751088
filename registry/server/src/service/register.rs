//! Registration and look-up by content.

use avouch_registry_api::rest::{RegisterRequest, SchemaBody};
use avouch_registry_api::vocabulary::Mode;

use crate::decide::draft::Draft;
use crate::decide::register::{Plan, VersionRow, Wanted, plan, registered, replaced};
use crate::decide::settings::permit_registration;
use crate::decide::subject::Subject;
use crate::error::RegistryError;
use crate::metrics::Outcome;
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

/// A registration, judged as far as reading goes.
struct Proposal {
    prepared: Prepared,
    rows: Vec<VersionRow>,
    plan: Plan,
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
        let mut snapshot = self.store.read().await?;
        let seen = self.propose(&mut snapshot, subject, draft.clone()).await?;
        if let Plan::Registered(row) = seen.plan {
            self.metrics.registered(Outcome::Existing);
            return registration(&mut snapshot, subject, row.version).await;
        }
        drop(snapshot);

        let mut transaction = self.store.write().await?;
        let proposal = self.propose(&mut transaction, subject, draft).await?;
        let version = match proposal.plan {
            Plan::Registered(row) => {
                self.metrics.registered(Outcome::Existing);
                return registration(&mut transaction, subject, row.version).await;
            }
            Plan::Add { version, id } => {
                if checks == Checks::Compatibility && proposal.mode != Mode::Import {
                    self.require_agreement(&mut transaction, subject, &proposal.prepared)
                        .await?;
                }
                self.add(&mut transaction, subject, &proposal, version, id)
                    .await?;
                version
            }
        };
        let body = registration(&mut transaction, subject, version).await?;
        self.commit(transaction).await?;
        self.metrics.registered(Outcome::Added);
        Ok(body)
    }

    /// The version of the subject that has exactly this content.
    pub(crate) async fn look_up(
        &self,
        subject: &Subject,
        request: RegisterRequest,
        normalize: bool,
        with_deleted: bool,
    ) -> Result<SchemaBody, RegistryError> {
        let draft = Draft::of(request, normalize)?;
        let mut snapshot = self.store.read().await?;
        let prepared = self.prepare(&mut snapshot, subject, draft).await?;
        let context = &subject.context;
        let content = &prepared.resolved.content;
        let ids = schemas::ids_of(&mut snapshot, context, content).await?;
        let rows = versions::rows(&mut snapshot, context, &subject.name).await?;
        if !rows.iter().any(|row| with_deleted || !row.deleted) {
            return Err(RegistryError::SubjectNotFound(subject.name.clone()));
        }
        let deleted = || {
            rows.iter()
                .rev()
                .find(|row| ids.contains(&row.id) && with_deleted)
        };
        let row = registered(&rows, &ids).or_else(|| deleted().copied());
        let version = row.ok_or(RegistryError::SchemaNotFound)?.version;
        let entry = versions::entry(&mut snapshot, context, &subject.name, version).await?;
        entry.map(body_of).ok_or(RegistryError::SchemaNotFound)
    }

    async fn propose(
        &self,
        connection: &mut Connection,
        subject: &Subject,
        mut draft: Draft,
    ) -> Result<Proposal, RegistryError> {
        let mode = self.mode_in_force(connection, subject).await?;
        permit_registration(mode, &subject.name, draft.id.is_some())?;
        let wanted = Wanted {
            version: draft.version,
            id: draft.id,
        };
        let importing = mode == Mode::Import;
        if !importing {
            let latest = versions::newest(connection, &subject.context, &subject.name, 1).await?;
            if let Some(latest) = latest.first() {
                draft.inherit(&latest.content);
            }
        }
        let prepared = self.prepare(connection, subject, draft).await?;
        let content = &prepared.resolved.content;
        let same_content = schemas::ids_of(connection, &subject.context, content).await?;
        let rows = versions::rows(connection, &subject.context, &subject.name).await?;
        let plan = plan(&rows, &same_content, wanted, importing)?;
        Ok(Proposal {
            prepared,
            rows,
            plan,
            mode,
        })
    }

    async fn require_agreement(
        &self,
        connection: &mut Connection,
        subject: &Subject,
        prepared: &Prepared,
    ) -> Result<(), RegistryError> {
        let details = self.objections(connection, subject, prepared).await?;
        if details.is_empty() {
            return Ok(());
        }
        self.metrics.registered(Outcome::Incompatible);
        let error_code = self.config.incompatible_code;
        Err(RegistryError::Incompatible {
            subject: subject.name.clone(),
            details,
            error_code,
        })
    }

    /// Writes the new version, its content if the id is new, and takes away what it replaces.
    async fn add(
        &self,
        connection: &mut Connection,
        subject: &Subject,
        proposal: &Proposal,
        version: i32,
        id: Option<i32>,
    ) -> Result<(), RegistryError> {
        let id = claim_id(connection, subject, proposal, id).await?;
        let Subject { context, name } = subject;
        for replaced in replaced(&proposal.rows, version, id) {
            let referrers = edges::referrers(connection, context, name, replaced, true).await?;
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
        let overwritten = proposal.rows.iter().find(|row| row.version == version);
        if let Some(overwritten) = overwritten {
            schemas::remove_unused(connection, context, overwritten.id).await?;
        }
        Ok(())
    }
}

/// The id that stands for the proposal's content: the given one, or a new one. An id that stands
/// for other content cannot be claimed.
async fn claim_id(
    connection: &mut Connection,
    subject: &Subject,
    proposal: &Proposal,
    id: Option<i32>,
) -> Result<i32, RegistryError> {
    let content = &proposal.prepared.resolved.content;
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
