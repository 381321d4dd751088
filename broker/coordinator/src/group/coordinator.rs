//! The shell around the machine: tickets, the timer, the log. Decides nothing.
//!
//! One lock holds the machine and the tickets, never across an await; appends are handed to the log
//! under it, so that they stand there in the machine's order. Outcomes of appends come from the
//! log's own thread into a queue, and one task feeds them, and the time, to the machine. A caller
//! that gives up drops its future; its ticket is answered into the void.

use std::collections::HashMap;
use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use avouch_protocol::types::{PartitionIndex, TimestampMs};
use bytes::Bytes;
use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

use super::config::GroupConfig;
use super::error::{GroupError, StoreFailed};
use super::ids::{GroupId, Ticket, Token, TopicName};
use super::machine::GroupMachine;
use super::record::{GroupRecord, RecordError};
use super::reply::{
    FetchedOffsets, GroupDescription, GroupListing, GroupReply, GroupSurvey, JoinReply, SyncReply,
};
use super::request::{
    CommitOffsets, DeleteOffsets, GroupRequest, Heartbeat, JoinGroup, LeaveGroup, ListGroups,
    OffsetsQuery, SyncGroup,
};
use super::turn::Effects;

/// A record as it stands in the log: its key, and its value or `None` for a tombstone.
pub type KeyValue = (Bytes, Option<Bytes>);

/// What the log calls, from any thread, once it knows what became of an append. Dropping it
/// uncalled counts as a failure.
pub type StoreDone = Box<dyn FnOnce(Result<(), StoreFailed>) + Send>;

/// Milliseconds since the epoch that never step back, whatever the system's clock does: sessions
/// are counted by them.
pub type Clock = Arc<dyn Fn() -> TimestampMs + Send + Sync>;

/// `__consumer_offsets` as the coordinator needs it.
pub trait OffsetsLog: Send + Sync {
    /// Appends `records`, all or none, in the order of the calls, and calls `done` once they are
    /// durable or cannot become so; in one partition in the order of the calls too. Must not block:
    /// all groups wait meanwhile.
    fn append(&self, partition: PartitionIndex, records: Vec<KeyValue>, done: StoreDone);
}

/// The group coordinator of this broker.
pub struct Coordinator {
    log: Arc<dyn OffsetsLog>,
    clock: Clock,
    state: Mutex<State>,
    outcomes: Arc<Outcomes>,
}

struct State {
    machine: GroupMachine,
    waiting: HashMap<Ticket, oneshot::Sender<Result<GroupReply, GroupError>>>,
    next_ticket: u64,
    /// When the timer task will look again by itself.
    armed: Option<TimestampMs>,
}

/// What became of appends, on its way to the machine. Holds no more than there are appends in
/// flight.
#[derive(Default)]
struct Outcomes {
    queue: Mutex<Vec<(Token, Result<(), StoreFailed>)>>,
    wake: Notify,
}

impl Coordinator {
    /// A coordinator that knows what was replayed, and serves from now on. Must be called within a
    /// tokio runtime, which runs its timer.
    pub fn start(replayed: Replay, log: Arc<dyn OffsetsLog>, clock: Clock) -> Arc<Self> {
        let mut machine = replayed.finish();
        machine.loaded(clock());
        let state = State {
            machine,
            waiting: HashMap::new(),
            next_ticket: 0,
            armed: None,
        };
        let outcomes = Arc::new(Outcomes::default());
        let coordinator = Arc::new(Self {
            log,
            clock,
            state: Mutex::new(state),
            outcomes: outcomes.clone(),
        });
        tokio::spawn(drive(Arc::downgrade(&coordinator), outcomes));
        coordinator
    }

    /// Answers a request; waits as long as the group makes it wait. Safe to drop.
    ///
    /// # Errors
    /// What the group refuses the request for.
    pub async fn ask(&self, request: GroupRequest) -> Result<GroupReply, GroupError> {
        let (answer, answered) = oneshot::channel();
        {
            let mut state = self.state();
            let ticket = Ticket(state.next_ticket);
            state.next_ticket += 1;
            state.waiting.insert(ticket, answer);
            self.with_effects(&mut state, |machine, now, effects| {
                machine.handle(now, ticket, request, effects);
            });
        }
        answered
            .await
            .unwrap_or(Err(GroupError::CoordinatorNotAvailable))
    }

    /// Forgets all groups' offsets of a topic that was deleted.
    pub fn topic_deleted(&self, topic: &TopicName) {
        self.with_effects(&mut self.state(), |machine, now, effects| {
            machine.topic_deleted(now, topic, effects);
        });
    }

    /// Answers whoever is parked, and whoever comes, that the coordinator is gone. Commits under
    /// way are still answered when they are durable.
    pub fn shutdown(&self) {
        self.with_effects(&mut self.state(), |machine, _, effects| {
            machine.close(effects);
        });
    }

    /// All groups, by name, with `offsets_max` committed offsets between them.
    pub fn survey(&self, offsets_max: usize) -> Vec<GroupSurvey> {
        self.state().machine.survey(offsets_max)
    }

    /// Deletes empty groups with their offsets; an outcome for each, in order.
    pub async fn delete_groups(&self, groups: Vec<GroupId>) -> Vec<Result<(), GroupError>> {
        let deletions = groups.into_iter().map(|group| self.delete_group(group));
        futures_util::future::join_all(deletions).await
    }

    async fn delete_group(&self, group: GroupId) -> Result<(), GroupError> {
        self.ask(GroupRequest::DeleteGroup(group)).await.map(|_| ())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets `act` use the machine, then does what it wants done.
    fn with_effects(
        &self,
        state: &mut State,
        act: impl FnOnce(&mut GroupMachine, TimestampMs, &mut Effects),
    ) {
        let mut effects = Effects::default();
        act(&mut state.machine, (self.clock)(), &mut effects);
        for (token, partition, records) in effects.persist {
            let done = Done {
                token,
                outcomes: Some(self.outcomes.clone()),
            };
            match records.iter().map(GroupRecord::encode).collect() {
                Ok(encoded) => {
                    self.log
                        .append(partition, encoded, Box::new(|outcome| done.tell(outcome)));
                }
                Err(error) => {
                    let error: RecordError = error;
                    tracing::warn!(%error, "a group's record cannot be written");
                    done.tell(Err(StoreFailed));
                }
            }
        }
        for (ticket, outcome) in effects.replies {
            if let Some(answer) = state.waiting.remove(&ticket) {
                // Whoever asked may be gone; the machine's state does not depend on it.
                drop(answer.send(outcome));
            }
        }
        let deadline = state.machine.deadline();
        if deadline.is_some_and(|at| state.armed.is_none_or(|armed| at < armed)) {
            self.outcomes.wake.notify_one();
        }
    }

    /// Feeds outcomes and the time to the machine; returns how long nothing will happen by itself.
    fn tick(&self) -> Option<Duration> {
        let mut state = self.state();
        let outcomes = mem::take(&mut *self.outcomes.queue());
        self.with_effects(&mut state, |machine, now, effects| {
            for (token, outcome) in outcomes {
                machine.persisted(now, token, outcome, effects);
            }
            machine.expire(now, effects);
        });
        state.armed = state.machine.deadline();
        let wait_ms = state.armed?.0.saturating_sub((self.clock)().0);
        Some(Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0)))
    }
}

/// Defines the typed forms of [`Coordinator::ask`].
macro_rules! typed {
    ($(
        $(#[$doc:meta])*
        $name:ident($request:ty) -> $reply:ty = $variant:ident $(($value:ident))?;
    )*) => {
        impl Coordinator {$(
            $(#[$doc])*
            ///
            /// # Errors
            /// What the group refuses the request for.
            pub async fn $name(&self, request: $request) -> Result<$reply, GroupError> {
                match self.ask(GroupRequest::$variant(request)).await? {
                    GroupReply::$variant $(($value))? => Ok(typed!(@value $($value)?)),
                    other => unreachable!("the machine answers in kind, not {other:?}"),
                }
            }
        )*}
    };
    (@value $value:ident) => { $value };
    (@value) => { () };
}

typed! {
    /// Enters a group or takes part in its rebalance.
    join(JoinGroup) -> JoinReply = Join(reply);
    /// Gives or fetches the assignments of a generation.
    sync(SyncGroup) -> SyncReply = Sync(reply);
    /// Says that a member is alive.
    heartbeat(Heartbeat) -> () = Heartbeat;
    /// Takes members out of a group; an outcome for each.
    leave(LeaveGroup) -> Vec<Result<(), GroupError>> = Leave(outcomes);
    /// Stores offsets; an outcome for each.
    commit_offsets(CommitOffsets) -> Vec<Result<(), GroupError>> = CommitOffsets(outcomes);
    /// The durable offsets of some groups.
    fetch_offsets(Vec<OffsetsQuery>) -> Vec<FetchedOffsets> = FetchOffsets(offsets);
    /// What some groups look like; an outcome for each.
    describe(Vec<GroupId>) -> Vec<Result<GroupDescription, GroupError>> = Describe(groups);
    /// Which groups there are.
    list(ListGroups) -> Vec<GroupListing> = List(groups);
    /// Forgets offsets; an outcome for each.
    delete_offsets(DeleteOffsets) -> Vec<Result<(), GroupError>> = DeleteOffsets(outcomes);
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        // The timer task notices that it has nobody left to serve.
        self.outcomes.wake.notify_one();
    }
}

impl fmt::Debug for Coordinator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coordinator").finish_non_exhaustive()
    }
}

impl Outcomes {
    fn queue(&self) -> MutexGuard<'_, Vec<(Token, Result<(), StoreFailed>)>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The outcome of one append, told at the latest when this is dropped.
struct Done {
    token: Token,
    outcomes: Option<Arc<Outcomes>>,
}

impl Done {
    fn tell(mut self, outcome: Result<(), StoreFailed>) {
        self.tell_once(outcome);
    }

    fn tell_once(&mut self, outcome: Result<(), StoreFailed>) {
        if let Some(outcomes) = self.outcomes.take() {
            outcomes.queue().push((self.token, outcome));
            outcomes.wake.notify_one();
        }
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        self.tell_once(Err(StoreFailed));
    }
}

async fn drive(coordinator: Weak<Coordinator>, outcomes: Arc<Outcomes>) {
    loop {
        let Some(wait) = coordinator.upgrade().map(|coordinator| coordinator.tick()) else {
            return;
        };
        match wait {
            None => outcomes.wake.notified().await,
            Some(wait) => {
                // Whichever comes first; the timer's error says that the time is up.
                let woken = outcomes.wake.notified();
                tokio::time::timeout(wait, woken).await.unwrap_or(());
            }
        }
    }
}

/// Groups while the records of `__consumer_offsets` are read. Holds what is live, however many
/// records there are.
pub struct Replay {
    machine: GroupMachine,
    unread: u64,
}

impl Replay {
    /// No groups yet.
    #[must_use]
    pub fn new(config: GroupConfig) -> Self {
        Self {
            machine: GroupMachine::new(config, Uuid::new_v4),
            unread: 0,
        }
    }

    /// Takes in the next record of a partition. One that cannot be read is counted and passed over.
    pub fn record(&mut self, key: &[u8], value: Option<&[u8]>) {
        match GroupRecord::decode(key, value) {
            Ok(record) => self.machine.replay(record),
            Err(error) => {
                self.unread += 1;
                tracing::debug!(%error, "a record of __consumer_offsets is passed over");
            }
        }
    }

    fn finish(self) -> GroupMachine {
        let unread = self.unread;
        if unread > 0 {
            tracing::warn!(unread, "records of __consumer_offsets could not be read");
        }
        self.machine
    }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
