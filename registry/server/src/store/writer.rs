//! Group commit. Writes run one after the other; those that wait while a write runs join its
//! transaction, and one sync of the disk commits them all. A write that fails rolls back to its
//! savepoint. Invariant: no write completes before its commit.

use std::io;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};

use crate::error::is_timeout;
use crate::store::CHANGES_CHANNEL;
use crate::store::connection::Connection;
use crate::store::counters;
use crate::store::engine::Engine;
use crate::store::ids_file::IdsFile;
use crate::store::statements::{BEGIN_MEMBER, NOTIFY};

/// The write lock.
#[derive(Debug)]
pub(super) struct Writer {
    group: Arc<Mutex<Group>>,
}

/// The writes that share the open transaction.
#[derive(Debug, Default)]
struct Group {
    open: Option<Connection>,
    /// The change sequence that the commit will reach.
    seq: u64,
    /// Writes that wait for the commit.
    members: Vec<oneshot::Sender<Outcome>>,
    /// The last write failed or was dropped; its changes must be rolled back first.
    is_abandoned: bool,
    /// The file with the bounds of the IDs, for an SQLite database.
    ids: Option<IdsFile>,
}

/// The change sequence of a commit, or the reason why it failed.
type Outcome = Result<u64, Failure>;

/// The reason why a transaction failed, for each of its writes.
#[derive(Clone, Debug)]
struct Failure {
    reason: String,
    is_timeout: bool,
}

impl From<&sqlx::Error> for Failure {
    fn from(error: &sqlx::Error) -> Self {
        Self {
            reason: error.to_string(),
            is_timeout: is_timeout(error),
        }
    }
}

impl Failure {
    fn aborted() -> Self {
        Self {
            reason: "the transaction was aborted".to_owned(),
            is_timeout: false,
        }
    }
}

impl Writer {
    pub(super) fn new(ids: Option<IdsFile>) -> Self {
        let group = Group {
            ids,
            ..Group::default()
        };
        Self {
            group: Arc::new(Mutex::new(group)),
        }
    }

    /// Waits for the write lock. The transaction is on the current state of the database.
    pub(super) async fn begin(&self, engine: &Engine) -> Result<Write, sqlx::Error> {
        let mut group = Arc::clone(&self.group).lock_owned().await;
        if let Err(error) = group.join(engine).await {
            group.fail((&error).into());
            return Err(error);
        }
        Ok(Write {
            group,
            writer: Arc::clone(&self.group),
            is_committing: false,
        })
    }
}

/// A write in the open transaction, which holds the write lock. Dropping it without
/// [`Write::commit`] discards its changes.
#[derive(Debug)]
pub(crate) struct Write {
    group: OwnedMutexGuard<Group>,
    writer: Arc<Mutex<Group>>,
    is_committing: bool,
}

impl Write {
    /// Makes the write durable and visible, and returns its change sequence.
    ///
    /// # Errors
    /// If the database fails. The changes are discarded.
    pub(crate) async fn commit(mut self) -> Result<u64, sqlx::Error> {
        let (sender, mut outcome) = oneshot::channel();
        // Before the lock is released, so that whichever write commits includes this one.
        self.group.members.push(sender);
        self.is_committing = true;
        let writer = Arc::clone(&self.writer);
        // Queues for the lock again: writes that wait already come first and join the transaction.
        drop(self);
        tokio::select! {
            // A commit by another member may have completed both; its outcome counts.
            biased;
            outcome = &mut outcome => return outcome_of(outcome),
            mut group = writer.lock_owned() => {
                // Another member committed while this one waited for the lock.
                if outcome.is_empty() {
                    group.commit().await;
                }
            }
        }
        outcome_of(outcome.await)
    }
}

impl Deref for Write {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        let open = self.group.open.as_ref();
        open.expect("a write holds the lock, and the transaction stays open until it releases it")
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut Connection {
        let open = self.group.open.as_mut();
        open.expect("a write holds the lock, and the transaction stays open until it releases it")
    }
}

impl Drop for Write {
    fn drop(&mut self) {
        if self.is_committing {
            return;
        }
        // A rollback to the savepoint would keep an empty transaction open, and with it the lock of
        // the database.
        if self.group.members.is_empty() {
            self.group.open = None;
        } else {
            // Each member is queued for the lock, and the next one rolls back.
            self.group.is_abandoned = true;
        }
    }
}

impl Group {
    async fn join(&mut self, engine: &Engine) -> Result<(), sqlx::Error> {
        self.undo_abandoned().await?;
        match &mut self.open {
            // The first write needs no savepoint: if it fails, the whole transaction is dropped.
            Some(open) => open.execute(BEGIN_MEMBER, &[]).await,
            None => {
                let mut open = engine.begin_write().await?;
                // The first statement, because in PostgreSQL it locks out the writers of other
                // nodes.
                self.seq = counters::next_change(&mut open).await?;
                self.open = Some(open);
                Ok(())
            }
        }
    }

    async fn commit(&mut self) {
        // Taken before anything can fail: if this future is dropped, no later commit confirms them.
        let members = mem::take(&mut self.members);
        let undone = self.undo_abandoned().await;
        let committed = match (undone, self.open.take()) {
            (Err(error), _) => Err((&error).into()),
            (Ok(()), Some(open)) => {
                let committed = announce_and_commit(open, self.ids.as_mut()).await;
                committed.map_err(|error| (&error).into())
            }
            (Ok(()), None) => Err(Failure::aborted()),
        };
        self.open = None;
        send(members, &committed.map(|()| self.seq));
    }

    async fn undo_abandoned(&mut self) -> Result<(), sqlx::Error> {
        let is_abandoned = mem::take(&mut self.is_abandoned);
        match &mut self.open {
            Some(open) if is_abandoned => open.undo_member().await,
            Some(_) | None => Ok(()),
        }
    }

    /// Aborts the transaction for all its writes.
    fn fail(&mut self, failure: Failure) {
        self.open = None;
        send(mem::take(&mut self.members), &Err(failure));
    }
}

fn send(members: Vec<oneshot::Sender<Outcome>>, outcome: &Outcome) {
    for member in members {
        // A member that was dropped needs no outcome.
        let _dropped = member.send(outcome.clone());
    }
}

async fn announce_and_commit(
    mut open: Connection,
    file: Option<&mut IdsFile>,
) -> Result<(), sqlx::Error> {
    match &open {
        Connection::Sqlite(_, _, assigned) => {
            // Before the commit: a bound that is too high only skips IDs. The file is written once
            // in many IDs, so this thread may wait for it.
            file.map_or(Ok(()), |file| file.cover(assigned, false))?;
        }
        // PostgreSQL delivers it only if the transaction commits.
        Connection::Postgres(_) => open.execute(NOTIFY, &[CHANGES_CHANNEL.into()]).await?,
    }
    open.commit().await
}

fn outcome_of(received: Result<Outcome, oneshot::error::RecvError>) -> Result<u64, sqlx::Error> {
    let outcome = received.unwrap_or_else(|_dropped| Err(Failure::aborted()));
    outcome.map_err(|failure| {
        if failure.is_timeout {
            sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, failure.reason))
        } else {
            sqlx::Error::Protocol(failure.reason)
        }
    })
}
