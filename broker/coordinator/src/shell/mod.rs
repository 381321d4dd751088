//! Runs a coordinator's state machine: tickets of requests that wait, the timer, appends to the
//! internal topic and their outcomes. Independent of the requests, records and rules of a machine.
//!
//! One lock holds the machine and the tickets, and is never held across an await. Appends are
//! handed to the log under it, so the log has them in the machine's order. The log reports outcomes
//! from its own thread into a queue; one task feeds them, and the time, to the machine. A caller
//! that drops its future discards the response.

use std::collections::HashMap;
use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use avouch_protocol::types::{PartitionIndex, TimestampMs};
use bytes::Bytes;
use thiserror::Error;
use tokio::sync::{Notify, oneshot};

/// One request that waits for its response; each gets exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// One append to the internal topic whose outcome the machine waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// An append to an internal topic that did not become durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the record could not be made durable")]
pub struct StoreFailed;

/// A record in its stored form: its key, and its value or `None` for a tombstone.
pub type KeyValue = (Bytes, Option<Bytes>);

/// The callback for the outcome of an append. The log calls it from any thread; dropping it without
/// a call counts as a failure.
pub type StoreDone = Box<dyn FnOnce(Result<(), StoreFailed>) + Send>;

/// Returns milliseconds since the epoch that never step back, even if the system clock does:
/// session timeouts are measured with them.
pub type Clock = Arc<dyn Fn() -> TimestampMs + Send + Sync>;

/// The internal topic as a coordinator sees it.
pub trait RecordLog: Send + Sync {
    /// Appends `records` to `partition`, all or none, in the order of the calls, and calls `done`
    /// once they are durable or cannot become so; within one partition also in the order of the
    /// calls. Must not block: the whole coordinator waits meanwhile.
    fn append(&self, partition: PartitionIndex, records: Vec<KeyValue>, done: StoreDone);
}

/// A pure state machine: requests and the time in, responses and records out.
pub trait Machine: Send + 'static {
    /// A client's request.
    type Request: Send;
    /// The response to a request.
    type Response: fmt::Debug + Send;
    /// The error of a rejected request.
    type Error: fmt::Debug + Send;
    /// A record of the internal topic.
    type Record: fmt::Debug + Send;

    /// The error for a request that arrives after the coordinator is gone.
    const UNAVAILABLE: Self::Error;

    /// Encodes a record; `None` if it has no stored form, which fails the append.
    fn encode(record: &Self::Record) -> Option<KeyValue>;

    /// Handles one request; its response is among the effects of this call or of a later one.
    fn handle(
        &mut self,
        now: TimestampMs,
        ticket: Ticket,
        request: Self::Request,
        effects: &mut Effects<Self>,
    );

    /// Takes the outcome of an append. Tokens of one partition arrive in the order in which the
    /// machine issued them.
    fn persisted(
        &mut self,
        now: TimestampMs,
        token: Token,
        outcome: Result<(), StoreFailed>,
        effects: &mut Effects<Self>,
    );

    /// Applies the timeouts that have expired at `now`.
    fn expire(&mut self, now: TimestampMs, effects: &mut Effects<Self>);

    /// Returns the time of the next call of [`expire`](Self::expire), `None` for never.
    fn deadline(&self) -> Option<TimestampMs>;
}

/// The outcome of a request.
type Outcome<M> = Result<<M as Machine>::Response, <M as Machine>::Error>;

/// The results of one call of a machine. The shell appends first and then sends the responses; a
/// response that depends on a record is among the effects of [`Machine::persisted`].
#[derive(Debug)]
pub struct Effects<M: Machine + ?Sized> {
    /// Responses, at most one for each ticket.
    pub responses: Vec<(Ticket, Outcome<M>)>,
    /// Records to append to a partition of the internal topic, in this order. The records of one
    /// entry are appended together or not at all.
    pub persist: Vec<(Token, PartitionIndex, Vec<M::Record>)>,
}

impl<M: Machine + ?Sized> Default for Effects<M> {
    fn default() -> Self {
        Self {
            responses: Vec::new(),
            persist: Vec::new(),
        }
    }
}

/// A running machine.
pub struct Shell<M: Machine> {
    log: Arc<dyn RecordLog>,
    clock: Clock,
    state: Mutex<State<M>>,
    outcomes: Arc<Outcomes>,
}

struct State<M: Machine> {
    machine: M,
    waiting: HashMap<Ticket, oneshot::Sender<Outcome<M>>>,
    next_ticket: u64,
    /// The time at which the timer task runs again without a wake-up.
    armed: Option<TimestampMs>,
}

/// Outcomes of appends that the machine has not taken yet: at most as many as appends in flight.
#[derive(Default)]
struct Outcomes {
    queue: Mutex<Vec<(Token, Result<(), StoreFailed>)>>,
    wake: Notify,
}

impl<M: Machine> Shell<M> {
    /// Starts the timer of `machine`. Must be called within a tokio runtime, which runs the timer
    /// until the shell is dropped.
    pub fn start(machine: M, log: Arc<dyn RecordLog>, clock: Clock) -> Arc<Self> {
        let state = State {
            machine,
            waiting: HashMap::new(),
            next_ticket: 0,
            armed: None,
        };
        let outcomes = Arc::new(Outcomes::default());
        let shell = Arc::new(Self {
            log,
            clock,
            state: Mutex::new(state),
            outcomes: outcomes.clone(),
        });
        tokio::spawn(drive(Arc::downgrade(&shell), outcomes));
        shell
    }

    /// Returns the machine's response to `request`, after as long as the machine delays it.
    /// Dropping the future is safe.
    ///
    /// # Errors
    /// The error with which the machine rejects the request.
    pub async fn request(&self, request: M::Request) -> Result<M::Response, M::Error> {
        let (response, responded) = oneshot::channel();
        {
            let mut state = self.state();
            let ticket = Ticket(state.next_ticket);
            state.next_ticket += 1;
            state.waiting.insert(ticket, response);
            self.with_effects(&mut state, |machine, now, effects| {
                machine.handle(now, ticket, request, effects);
            });
        }
        // The sender is dropped only with the shell.
        responded.await.unwrap_or(Err(M::UNAVAILABLE))
    }

    /// Applies a change that no client requested, such as the deletion of a topic.
    pub fn apply(&self, change: impl FnOnce(&mut M, TimestampMs, &mut Effects<M>)) {
        self.with_effects(&mut self.state(), change);
    }

    /// Reads the machine's state. Requests wait meanwhile.
    pub fn inspect<T>(&self, read: impl FnOnce(&M) -> T) -> T {
        read(&self.state().machine)
    }

    fn state(&self) -> MutexGuard<'_, State<M>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `act` on the machine and carries out its effects.
    fn with_effects(
        &self,
        state: &mut State<M>,
        act: impl FnOnce(&mut M, TimestampMs, &mut Effects<M>),
    ) {
        let mut effects = Effects::default();
        act(&mut state.machine, (self.clock)(), &mut effects);
        // Appended under the lock, so that the log has the machine's order.
        for (token, partition, records) in effects.persist {
            let done = Done {
                token,
                outcomes: Some(self.outcomes.clone()),
            };
            match records.iter().map(M::encode).collect() {
                Some(encoded) => {
                    self.log
                        .append(partition, encoded, Box::new(|outcome| done.report(outcome)));
                }
                None => done.report(Err(StoreFailed)),
            }
        }
        for (ticket, outcome) in effects.responses {
            if let Some(response) = state.waiting.remove(&ticket) {
                // The caller can have dropped the receiver; the machine does not depend on it.
                drop(response.send(outcome));
            }
        }
        // The timer task sleeps until `armed`; wake it only for an earlier deadline.
        let deadline = state.machine.deadline();
        if deadline.is_some_and(|at| state.armed.is_none_or(|armed| at < armed)) {
            self.outcomes.wake.notify_one();
        }
    }

    /// Feeds outcomes and the time to the machine. Returns the time until the next deadline.
    fn tick(&self) -> Option<Duration> {
        let mut state = self.state();
        // The queue's lock is released before the machine runs: the log's thread must not wait.
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

    /// Makes the timer task run now.
    #[cfg(test)]
    pub(crate) fn wake(&self) {
        self.outcomes.wake.notify_one();
    }
}

impl<M: Machine> Drop for Shell<M> {
    fn drop(&mut self) {
        // The timer task ends when it finds the shell gone.
        self.outcomes.wake.notify_one();
    }
}

impl<M: Machine> fmt::Debug for Shell<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shell").finish_non_exhaustive()
    }
}

impl Outcomes {
    fn queue(&self) -> MutexGuard<'_, Vec<(Token, Result<(), StoreFailed>)>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The outcome of one append, reported at the latest when this is dropped.
struct Done {
    token: Token,
    outcomes: Option<Arc<Outcomes>>,
}

impl Done {
    fn report(mut self, outcome: Result<(), StoreFailed>) {
        self.report_once(outcome);
    }

    fn report_once(&mut self, outcome: Result<(), StoreFailed>) {
        if let Some(outcomes) = self.outcomes.take() {
            outcomes.queue().push((self.token, outcome));
            outcomes.wake.notify_one();
        }
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        self.report_once(Err(StoreFailed));
    }
}

async fn drive<M: Machine>(shell: Weak<Shell<M>>, outcomes: Arc<Outcomes>) {
    loop {
        // Upgraded for one tick only, so that the task does not keep the shell alive.
        let Some(wait) = shell.upgrade().map(|shell| shell.tick()) else {
            return;
        };
        match wait {
            None => outcomes.wake.notified().await,
            Some(wait) => {
                // The error of the timeout means that the deadline has passed.
                let woken = outcomes.wake.notified();
                tokio::time::timeout(wait, woken).await.unwrap_or(());
            }
        }
    }
}
