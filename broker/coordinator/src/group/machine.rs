//! The state machine of all groups: requests, time and append results in, responses and records
//! out.
//!
//! Invariants: every ticket receives exactly one response, at the latest from
//! [`GroupMachine::close`]; a group is in the map exactly while it has state; its timer is its
//! earliest deadline. Time and randomness are arguments.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use avouch_protocol::types::TimestampMs;
use uuid::Uuid;

use super::config::{GroupConfig, MEMBER_BYTES};
use super::error::{GroupError, OffsetsOwner};
use super::ids::{GroupId, TopicName};
use super::join;
use super::member::{Group, Waiting};
use super::offsets::{self, Growth};
use super::record::GroupRecord;
use super::request::{CommitOffsets, GroupRequest, JoinGroup, OffsetsQuery};
use super::response::{GroupResponse, GroupSurvey};
use super::turn::{Effects, Then, Turn, Writes};
use crate::shell::{KeyValue, Machine, StoreFailed, Ticket, Token};

/// Maximum size of a group id in bytes.
const GROUP_ID_BYTES_MAX: usize = 1_024;

/// All groups. [`replay`](Self::replay) fills them, and [`loaded`](Self::loaded) starts serving.
pub struct GroupMachine {
    config: GroupConfig,
    unique: Box<dyn FnMut() -> Uuid + Send>,
    stage: Stage,
    groups: BTreeMap<GroupId, Group>,
    timers: BTreeSet<(TimestampMs, GroupId)>,
    retention_check_at: TimestampMs,
    writes: Writes,
    /// Memory of the members of all groups.
    members_bytes: usize,
    /// Memory of the durable offsets of all groups.
    offsets_bytes: usize,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Loading,
    Serving,
    Closed,
}

/// The immediate result of a request; `None` if the response follows later.
type Immediate = Result<Option<GroupResponse>, GroupError>;

impl Machine for GroupMachine {
    type Request = GroupRequest;
    type Response = GroupResponse;
    type Error = GroupError;
    type Record = GroupRecord;

    const UNAVAILABLE: GroupError = GroupError::CoordinatorNotAvailable;

    fn encode(record: &GroupRecord) -> Option<KeyValue> {
        record
            .encode()
            .inspect_err(|error| tracing::warn!(%error, "cannot encode a record of a group"))
            .ok()
    }

    fn handle(
        &mut self,
        now: TimestampMs,
        ticket: Ticket,
        request: GroupRequest,
        effects: &mut Effects,
    ) {
        // Before all records are replayed, a group could be incomplete.
        let outcome = match self.stage {
            Stage::Loading => Err(GroupError::CoordinatorLoading),
            Stage::Closed => Err(GroupError::CoordinatorNotAvailable),
            Stage::Serving => self.serve(now, ticket, request, effects),
        };
        if let Some(outcome) = outcome.transpose() {
            effects.responses.push((ticket, outcome));
        }
    }

    fn persisted(
        &mut self,
        now: TimestampMs,
        token: Token,
        outcome: Result<(), StoreFailed>,
        effects: &mut Effects,
    ) {
        // State changes here and not in `handle`: before, a crash could lose the record.
        let Some(write) = self.writes.take(token) else {
            return;
        };
        if outcome.is_ok() {
            for record in write.records {
                self.apply(record);
            }
        }
        let outcome = outcome.map_err(GroupError::from);
        match write.then {
            Then::Nothing => {}
            Then::Response(ticket, response) => {
                effects.responses.push((ticket, outcome.map(|()| response)));
            }
            Then::RespondToSuccessor(ticket, response) => {
                let outcome = outcome.map(|()| response);
                let group = self.groups.get(&write.group);
                effects
                    .responses
                    .push((ticket, join::successor_response(group, outcome)));
            }
            Then::Assign(assignments) => {
                let outcome = outcome.map(|()| assignments);
                self.on_group(now, &write.group, effects, |group, turn| {
                    group.assign(turn, token, outcome);
                });
            }
        }
        self.settle(&write.group);
    }

    fn expire(&mut self, now: TimestampMs, effects: &mut Effects) {
        while let Some(id) = self.due(now) {
            self.on_group(now, &id, effects, |group, turn| group.expire(turn));
        }
        if matches!(self.stage, Stage::Serving) && self.retention_check_at <= now {
            self.retention_check_at = after(now, self.config.retention_check_interval_ms);
            // A write in flight can bring offsets that would be missing from the tombstones.
            let busy: BTreeSet<GroupId> = self.writes.groups().cloned().collect();
            for id in self.ids().iter().filter(|id| !busy.contains(*id)) {
                self.on_group(now, id, effects, |group, turn| group.expire_offsets(turn));
            }
        }
    }

    fn deadline(&self) -> Option<TimestampMs> {
        let timer = self.timers.first().map(|(at, _)| *at);
        // Without groups there is nothing to expire, and an idle broker should not wake up.
        let serves_groups = matches!(self.stage, Stage::Serving) && !self.groups.is_empty();
        timer
            .into_iter()
            .chain(serves_groups.then_some(self.retention_check_at))
            .min()
    }
}

impl GroupMachine {
    /// Returns a machine without groups. `unique` returns the random part of a new member's id.
    pub fn new(config: GroupConfig, unique: impl FnMut() -> Uuid + Send + 'static) -> Self {
        Self {
            config,
            unique: Box::new(unique),
            stage: Stage::Loading,
            groups: BTreeMap::new(),
            timers: BTreeSet::new(),
            retention_check_at: TimestampMs(0),
            writes: Writes::default(),
            members_bytes: 0,
            offsets_bytes: 0,
        }
    }

    /// Applies one record of `__consumer_offsets`, in the order of its partition. Only this
    /// function changes durable state.
    pub fn replay(&mut self, record: GroupRecord) {
        match record {
            GroupRecord::Offset {
                group,
                topic,
                partition,
                value: Some(value),
            } => {
                self.ensure(&group).offsets.set(topic, partition, value);
                self.settle(&group);
            }
            GroupRecord::Offset {
                group,
                topic,
                partition,
                value: None,
            } => {
                if let Some(known) = self.groups.get_mut(&group) {
                    known.offsets.remove(&topic, partition);
                    self.settle(&group);
                }
            }
            GroupRecord::Group {
                group,
                value: Some(metadata),
            } => {
                self.ensure(&group).load(metadata);
            }
            GroupRecord::Group { group, value: None } => {
                if let Some(known) = self.groups.get_mut(&group) {
                    known.unload();
                    self.settle(&group);
                }
            }
        }
    }

    /// Starts serving after all records are replayed. Members stay in their generation, and their
    /// sessions start now.
    pub fn loaded(&mut self, now: TimestampMs) {
        self.stage = Stage::Serving;
        self.retention_check_at = after(now, self.config.retention_check_interval_ms);
        for id in &self.ids() {
            if let Some(group) = self.groups.get_mut(id) {
                group
                    .members
                    .values_mut()
                    .for_each(|member| member.touch(now));
            }
            self.settle(id);
        }
    }

    /// Returns the memory of the committed offsets of all groups, in bytes.
    pub fn offsets_bytes(&self) -> usize {
        self.offsets_bytes
    }

    /// Returns all groups by name, with at most `offsets_max` committed offsets in total.
    pub fn survey(&self, offsets_max: usize) -> Vec<GroupSurvey> {
        let mut left = offsets_max;
        let surveyed = self.groups.values().map(|group| {
            let survey = group.survey(left);
            left -= survey.offsets.len();
            survey
        });
        surveyed.collect()
    }

    /// Deletes the offsets of a deleted topic in all groups.
    pub fn topic_deleted(&mut self, now: TimestampMs, topic: &TopicName, effects: &mut Effects) {
        // A group whose first commit is in flight is not in the map yet.
        let in_flight = self.writes.groups().cloned();
        let ids: BTreeSet<GroupId> = self.ids().into_iter().chain(in_flight).collect();
        let Self {
            config,
            writes,
            groups,
            ..
        } = self;
        let mut turn = Turn {
            now,
            config,
            writes,
            effects,
        };
        for id in ids {
            offsets::delete_topic_offsets(&id, groups.get(&id), &mut turn, topic);
        }
    }

    /// Rejects all waiting and later requests. Responses that wait for records are still sent.
    pub fn close(&mut self, effects: &mut Effects) {
        self.stage = Stage::Closed;
        self.timers.clear();
        for member in self
            .groups
            .values_mut()
            .flat_map(|group| group.members.values_mut())
        {
            if let Some(ticket) = member.wait_on(Waiting::No) {
                effects
                    .responses
                    .push((ticket, Err(GroupError::CoordinatorNotAvailable)));
            }
        }
    }

    fn serve(
        &mut self,
        now: TimestampMs,
        ticket: Ticket,
        request: GroupRequest,
        effects: &mut Effects,
    ) -> Immediate {
        match request {
            GroupRequest::Join(join) => self.join(now, ticket, join, effects),
            GroupRequest::Sync(sync) => {
                let id = sync.group.clone();
                let before = self.groups.get(&id).map_or(0, Group::assignments_bytes);
                self.check_bytes(before, sync.assignments_bytes())?;
                self.on_members(now, &id, effects, |group, turn| {
                    Ok(group.sync(turn, ticket, sync)?.map(GroupResponse::Sync))
                })
            }
            GroupRequest::Heartbeat(beat) => {
                self.on_members(now, &beat.group, effects, |group, turn| {
                    group
                        .heartbeat(turn, &beat)
                        .map(|()| Some(GroupResponse::Heartbeat))
                })
            }
            GroupRequest::Leave(leave) => {
                self.on_members(now, &leave.group, effects, |group, turn| {
                    Ok(Some(GroupResponse::Leave(group.leave(turn, &leave))))
                })
            }
            GroupRequest::CommitOffsets(commit) => self.commit(now, ticket, commit, effects),
            GroupRequest::FetchOffsets(queries) => {
                let fetch = |query: OffsetsQuery| {
                    let group = self.groups.get(&query.group);
                    offsets::fetch(group, query)
                };
                Ok(Some(GroupResponse::FetchOffsets(
                    queries.into_iter().map(fetch).collect(),
                )))
            }
            GroupRequest::Describe(ids) => {
                let describe = |id: &GroupId| self.known(id).map(Group::describe);
                Ok(Some(GroupResponse::Describe(
                    ids.iter().map(describe).collect(),
                )))
            }
            GroupRequest::List(filter) => {
                let listed = self.groups.values().filter_map(|group| group.list(&filter));
                Ok(Some(GroupResponse::List(listed.collect())))
            }
            GroupRequest::DeleteGroup(id) => {
                self.known(&id)?;
                let deleted =
                    self.on_group(now, &id, effects, |group, turn| group.delete(turn, ticket));
                deleted
                    .unwrap_or(Err(GroupError::GroupIdNotFound))
                    .map(|()| None)
            }
            GroupRequest::DeleteOffsets(request) => {
                let deleted = self.on_group(now, &request.group, effects, |group, turn| {
                    group.delete_offsets(turn, ticket, &request)
                });
                let outcomes = deleted.unwrap_or(Err(GroupError::GroupIdNotFound))?;
                Ok(outcomes.map(GroupResponse::DeleteOffsets))
            }
        }
    }

    fn join(
        &mut self,
        now: TimestampMs,
        ticket: Ticket,
        join: JoinGroup,
        effects: &mut Effects,
    ) -> Immediate {
        check_group_id(&join.group)?;
        join::check(&self.config, &join)?;
        let group = self.groups.get(&join.group);
        let before = group.map_or(0, |group| group.bytes_before(&join));
        let names_bytes = join.client_id.len() + join.member_id.as_str().len();
        self.check_bytes(before, MEMBER_BYTES + join.bytes() + names_bytes)?;
        if !self.groups.contains_key(&join.group) {
            // Checked before the group is created, so that stale members create no groups.
            if !join.member_id.is_empty() {
                return Err(GroupError::UnknownMember);
            }
            self.check_group_count(&join.group)?;
            self.ensure(&join.group);
        }
        let id = join.group.clone();
        let new_id = join::member_id(&join.client_id, (self.unique)());
        self.on_members(now, &id, effects, |group, turn| {
            Ok(group
                .join(turn, ticket, join, new_id)?
                .map(GroupResponse::Join))
        })
    }

    fn commit(
        &mut self,
        now: TimestampMs,
        ticket: Ticket,
        commit: CommitOffsets,
        effects: &mut Effects,
    ) -> Immediate {
        check_group_id(&commit.group)?;
        self.check_group_count(&commit.group)?;
        self.check_offsets_bytes(&commit)?;
        let id = commit.group.clone();
        let Self {
            config,
            writes,
            groups,
            ..
        } = self;
        let mut turn = Turn {
            now,
            config,
            writes,
            effects,
        };
        let outcomes = offsets::commit(groups.get_mut(&id), &mut turn, ticket, commit)?;
        self.settle(&id);
        Ok(outcomes.map(GroupResponse::CommitOffsets))
    }

    /// Applies a durable record of this broker. The members in memory are newer than the record.
    fn apply(&mut self, record: GroupRecord) {
        match record {
            GroupRecord::Group {
                group,
                value: Some(_),
            } => self.ensure(&group).stored = true,
            GroupRecord::Group { value: None, .. } | GroupRecord::Offset { .. } => {
                self.replay(record);
            }
        }
    }

    /// Runs `act` on a group; an unknown group has no members.
    fn on_members(
        &mut self,
        now: TimestampMs,
        id: &GroupId,
        effects: &mut Effects,
        act: impl FnOnce(&mut Group, &mut Turn<'_>) -> Immediate,
    ) -> Immediate {
        self.on_group(now, id, effects, act)
            .unwrap_or(Err(GroupError::UnknownMember))
    }

    fn on_group<T>(
        &mut self,
        now: TimestampMs,
        id: &GroupId,
        effects: &mut Effects,
        act: impl FnOnce(&mut Group, &mut Turn<'_>) -> T,
    ) -> Option<T> {
        let Self {
            config,
            writes,
            groups,
            ..
        } = self;
        let outcome = act(
            groups.get_mut(id)?,
            &mut Turn {
                now,
                config,
                writes,
                effects,
            },
        );
        self.settle(id);
        Some(outcome)
    }

    /// Updates timer and memory accounting after a change, and removes the group if it has no
    /// state.
    fn settle(&mut self, id: &GroupId) {
        let Some(group) = self.groups.get_mut(id) else {
            return;
        };
        let deadline = match self.stage {
            Stage::Serving => group.deadline(),
            Stage::Loading | Stage::Closed => None,
        };
        if group.timer != deadline {
            if let Some(old) = group.timer {
                self.timers.remove(&(old, id.clone()));
            }
            self.timers.extend(deadline.map(|at| (at, id.clone())));
            group.timer = deadline;
        }
        // The old value is subtracted before the new one is added, so a shrinking group cannot
        // underflow the sum.
        let bytes = group.members_bytes();
        self.members_bytes = self.members_bytes - group.accounted_bytes + bytes;
        group.accounted_bytes = bytes;
        let bytes = group.offsets.bytes();
        self.offsets_bytes = self.offsets_bytes - group.accounted_offsets_bytes + bytes;
        group.accounted_offsets_bytes = bytes;
        if group.is_unused() {
            self.groups.remove(id);
        }
    }

    /// Checks the memory limit for members that grow from `before` to `after` bytes.
    fn check_bytes(&self, before: usize, after: usize) -> Result<(), GroupError> {
        let (bytes, limit) = (self.members_bytes + after, self.config.members_bytes_max);
        // A request that does not grow is accepted above the limit too, so that the members of a
        // group can leave or shrink after the limit was lowered.
        if after <= before || bytes <= limit + before {
            return Ok(());
        }
        let bytes = bytes - before;
        Err(GroupError::MembersTooLarge { bytes, limit })
    }

    /// Checks the memory limits of committed offsets. A commit that does not grow is accepted above
    /// them too.
    fn check_offsets_bytes(&self, commit: &CommitOffsets) -> Result<(), GroupError> {
        let group = self.groups.get(&commit.group);
        let growth = Growth::of(&self.config, group, commit);
        if growth.added <= growth.replaced {
            return Ok(());
        }
        let of_group = group.map_or(0, |group| group.offsets.bytes());
        // Commits in flight are counted in the total only, without what they replace.
        let of_all = self.offsets_bytes + self.writes.offsets_bytes();
        let limits = [
            (
                OffsetsOwner::Group,
                of_group,
                self.config.group_offsets_bytes_max,
            ),
            (
                OffsetsOwner::AllGroups,
                of_all,
                self.config.offsets_bytes_max,
            ),
        ];
        for (owner, held, limit) in limits {
            let bytes = held + growth.added - growth.replaced;
            if bytes > limit {
                return Err(GroupError::OffsetsTooLarge {
                    owner,
                    bytes,
                    limit,
                });
            }
        }
        Ok(())
    }

    fn due(&self, now: TimestampMs) -> Option<GroupId> {
        self.timers
            .first()
            .filter(|(at, _)| *at <= now)
            .map(|(_, id)| id.clone())
    }

    fn ids(&self) -> Vec<GroupId> {
        self.groups.keys().cloned().collect()
    }

    fn ensure(&mut self, id: &GroupId) -> &mut Group {
        self.groups
            .entry(id.clone())
            .or_insert_with(|| Group::new(id.clone()))
    }

    fn known(&self, id: &GroupId) -> Result<&Group, GroupError> {
        self.groups.get(id).ok_or(GroupError::GroupIdNotFound)
    }

    fn check_group_count(&self, id: &GroupId) -> Result<(), GroupError> {
        if self.groups.len() < self.config.groups_max || self.groups.contains_key(id) {
            Ok(())
        } else {
            Err(GroupError::TooManyGroups {
                limit: self.config.groups_max,
            })
        }
    }
}

impl fmt::Debug for GroupMachine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stage, groups, .. } = self;
        f.debug_struct("GroupMachine")
            .field("stage", stage)
            .field("groups", groups)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
impl GroupMachine {
    /// Asserts the invariants between calls.
    pub(super) fn assert_sound(&self) {
        use super::config::OFFSET_BYTES;
        self.groups.values().for_each(Group::assert_sound);
        let timers = self.groups.values().filter_map(|group| group.timer).count();
        assert_eq!(
            timers,
            self.timers.len(),
            "at most one timer for each group"
        );
        let bytes: usize = self.groups.values().map(Group::members_bytes).sum();
        assert_eq!(bytes, self.members_bytes, "all members are counted");
        let offsets = self.groups.values().flat_map(|group| group.offsets.iter());
        let topics: BTreeSet<_> = self
            .groups
            .iter()
            .flat_map(|(id, group)| {
                let topics = group.offsets.iter().map(|(topic, ..)| topic);
                topics.map(move |topic| (id, topic))
            })
            .collect();
        let texts = offsets
            .map(|(_, _, value)| value.metadata.len())
            .chain(topics.iter().map(|(_, topic)| topic.as_str().len()));
        let bytes: usize = texts.map(|bytes| OFFSET_BYTES + bytes).sum();
        assert_eq!(bytes, self.offsets_bytes, "all offsets are counted");
    }
}

fn check_group_id(id: &GroupId) -> Result<(), GroupError> {
    let (bytes, limit) = (id.as_str().len(), GROUP_ID_BYTES_MAX);
    if (1..=limit).contains(&bytes) {
        Ok(())
    } else {
        Err(GroupError::InvalidGroupId { bytes, limit })
    }
}

fn after(now: TimestampMs, delay_ms: i64) -> TimestampMs {
    // At least 1 ms later, so that a timer cannot fire in a loop.
    TimestampMs(now.0.saturating_add(delay_ms.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_before_loading_are_retriable() {
        let mut machine = GroupMachine::new(GroupConfig::default(), Uuid::new_v4);
        let mut effects = Effects::default();
        let request = GroupRequest::Describe(Vec::new());
        machine.handle(TimestampMs(0), Ticket(1), request, &mut effects);
        assert_eq!(
            effects.responses,
            [(Ticket(1), Err(GroupError::CoordinatorLoading))]
        );
        assert_eq!(machine.deadline(), None);
    }
}
