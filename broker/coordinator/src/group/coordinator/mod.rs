//! The group coordinator: typed requests to the group machine, and the replay of
//! `__consumer_offsets` at startup.

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use super::config::GroupConfig;
use super::error::GroupError;
use super::ids::{GroupId, TopicName};
use super::machine::GroupMachine;
use super::record::GroupRecord;
use super::request::{
    CommitOffsets, DeleteOffsets, GroupRequest, Heartbeat, JoinGroup, LeaveGroup, ListGroups,
    OffsetsQuery, SyncGroup,
};
use super::response::{
    FetchedOffsets, GroupDescription, GroupListing, GroupResponse, GroupSurvey, JoinResponse,
    SyncResponse,
};
use crate::shell::{Clock, RecordLog, Shell};

/// The group coordinator of this broker.
#[derive(Debug)]
pub struct Coordinator {
    shell: Arc<Shell<GroupMachine>>,
}

impl Coordinator {
    /// Starts to serve the groups that were replayed. Must be called within a tokio runtime, which
    /// runs the timer.
    pub fn start(replayed: Replay, log: Arc<dyn RecordLog>, clock: Clock) -> Arc<Self> {
        let mut machine = replayed.finish();
        machine.loaded(clock());
        let shell = Shell::start(machine, log, clock);
        Arc::new(Self { shell })
    }

    /// Deletes all groups' offsets of a topic that was deleted.
    pub fn topic_deleted(&self, topic: &TopicName) {
        self.shell
            .apply(|machine, now, effects| machine.topic_deleted(now, topic, effects));
    }

    /// Rejects delayed and later requests, because the coordinator shuts down. Commits in flight
    /// still get their responses once they are durable.
    pub fn shutdown(&self) {
        self.shell
            .apply(|machine, _, effects| machine.close(effects));
    }

    /// Returns the memory of the committed offsets of all groups, in bytes.
    pub fn offsets_bytes(&self) -> usize {
        self.shell.inspect(GroupMachine::offsets_bytes)
    }

    /// Returns all groups by name, with at most `offsets_max` committed offsets in total.
    pub fn survey(&self, offsets_max: usize) -> Vec<GroupSurvey> {
        self.shell.inspect(|machine| machine.survey(offsets_max))
    }

    /// Deletes empty groups with their offsets; returns an outcome for each, in order.
    pub async fn delete_groups(&self, groups: Vec<GroupId>) -> Vec<Result<(), GroupError>> {
        // Concurrent, so that all tombstones share one sync of the log.
        let deletions = groups.into_iter().map(|group| self.delete_group(group));
        futures_util::future::join_all(deletions).await
    }

    async fn delete_group(&self, group: GroupId) -> Result<(), GroupError> {
        let request = GroupRequest::DeleteGroup(group);
        self.shell.request(request).await.map(|_| ())
    }
}

/// Defines the typed requests of [`Coordinator`].
macro_rules! typed {
    ($(
        $(#[$doc:meta])*
        $name:ident($request:ty) -> $response:ty = $variant:ident $(($value:ident))?;
    )*) => {
        impl Coordinator {$(
            $(#[$doc])*
            ///
            /// # Errors
            /// The reason why the group rejects the request.
            pub async fn $name(&self, request: $request) -> Result<$response, GroupError> {
                match self.shell.request(GroupRequest::$variant(request)).await? {
                    GroupResponse::$variant $(($value))? => Ok(typed!(@value $($value)?)),
                    other => unreachable!("response {other:?} is of another request"),
                }
            }
        )*}
    };
    (@value $value:ident) => { $value };
    (@value) => { () };
}

typed! {
    /// Adds a member to a group, or takes part in its rebalance.
    join(JoinGroup) -> JoinResponse = Join(response);
    /// Stores or returns the assignments of a generation.
    sync(SyncGroup) -> SyncResponse = Sync(response);
    /// Renews a member's session.
    heartbeat(Heartbeat) -> () = Heartbeat;
    /// Removes members from a group; returns an outcome for each.
    leave(LeaveGroup) -> Vec<Result<(), GroupError>> = Leave(outcomes);
    /// Commits offsets; returns an outcome for each.
    commit_offsets(CommitOffsets) -> Vec<Result<(), GroupError>> = CommitOffsets(outcomes);
    /// Returns the durable offsets of some groups.
    fetch_offsets(Vec<OffsetsQuery>) -> Vec<FetchedOffsets> = FetchOffsets(offsets);
    /// Describes some groups; returns an outcome for each.
    describe(Vec<GroupId>) -> Vec<Result<GroupDescription, GroupError>> = Describe(groups);
    /// Lists the groups.
    list(ListGroups) -> Vec<GroupListing> = List(groups);
    /// Deletes offsets; returns an outcome for each.
    delete_offsets(DeleteOffsets) -> Vec<Result<(), GroupError>> = DeleteOffsets(outcomes);
}

/// The state of all groups while `__consumer_offsets` is replayed. Holds only live state, however
/// many records are read.
pub struct Replay {
    machine: GroupMachine,
    unread: u64,
}

impl Replay {
    /// Returns a state without groups.
    #[must_use]
    pub fn new(config: GroupConfig) -> Self {
        Self {
            machine: GroupMachine::new(config, Uuid::new_v4),
            unread: 0,
        }
    }

    /// Applies the next record of a partition. An unreadable record is counted and skipped.
    pub fn record(&mut self, key: &[u8], value: Option<&[u8]>) {
        match GroupRecord::decode(key, value) {
            Ok(record) => self.machine.replay(record),
            Err(error) => {
                self.unread += 1;
                // One line at the end of the replay is enough at the default level.
                tracing::debug!(%error, "unreadable record of __consumer_offsets skipped");
            }
        }
    }

    fn finish(self) -> GroupMachine {
        let unread = self.unread;
        if unread > 0 {
            tracing::warn!(
                unread,
                "unreadable records of __consumer_offsets were skipped"
            );
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
