//! The state of a group and its members.
//!
//! Invariants: a group in state Empty has no members; every member in `statics` is in `members`;
//! the leader, if there is one, is a member; a member waits in at most one request; all members
//! share a protocol. The transitions are in `join`, `session` and `rebalance`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use avouch_protocol::types::TimestampMs;
use bytes::Bytes;

use super::config::MEMBER_BYTES;
use super::error::GroupError;
use super::ids::{Generation, GroupId, InstanceId, MemberId, ProtocolName, ProtocolType};
use super::offsets::Offsets;
use super::record::{GroupMetadata, StoredMember};
use super::request::JoinGroup;
use super::response::{JoinResponse, JoinedMember, SyncResponse};
use crate::shell::{Ticket, Token};

/// The state of a group, as in DescribeGroups. A deleted group is `Dead` in Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupState {
    /// No members, possibly offsets. A join starts a rebalance.
    Empty,
    /// Waits for the members to rejoin; heartbeats return REBALANCE_IN_PROGRESS.
    PreparingRebalance,
    /// All members have joined. Waits for the leader's assignments to become durable.
    CompletingRebalance,
    /// All members can fetch their assignments.
    Stable,
}

impl fmt::Display for GroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        })
    }
}

/// A state with its data.
#[derive(Clone, Copy, Debug)]
pub(super) enum Phase {
    Empty,
    /// Ends at `until`, without the members that have not joined.
    Preparing {
        until: TimestampMs,
        gathering: Option<Gathering>,
    },
    /// Members that have not synced at `until` are removed. `storing` is the append of the leader's
    /// assignments.
    Completing {
        until: TimestampMs,
        storing: Option<Token>,
    },
    /// Members that have not synced at `until` are removed. `None` after all have synced.
    Stable {
        until: Option<TimestampMs>,
    },
}

/// The initial delay of an empty group (`group.initial.rebalance.delay.ms`).
#[derive(Clone, Copy, Debug)]
pub(super) struct Gathering {
    /// True if a member has joined since the last extension.
    pub(super) newcomer: bool,
    /// Maximum of further extensions, in ms.
    pub(super) remaining_ms: i32,
}

impl Phase {
    /// Returns the time at which the phase ends by itself.
    pub(super) fn until(&self) -> Option<TimestampMs> {
        match *self {
            Self::Empty => None,
            Self::Preparing { until, .. } | Self::Completing { until, .. } => Some(until),
            Self::Stable { until } => until,
        }
    }
}

#[derive(Debug)]
pub(super) struct Group {
    pub(super) id: GroupId,
    pub(super) phase: Phase,
    /// Time of the last change of `phase`, -1 if unknown.
    pub(super) phase_since: TimestampMs,
    pub(super) generation: Generation,
    pub(super) protocol_type: Option<ProtocolType>,
    /// The protocol of the generation, from its first JoinGroup response on.
    pub(super) protocol: Option<ProtocolName>,
    pub(super) leader: Option<MemberId>,
    pub(super) members: BTreeMap<MemberId, Member>,
    pub(super) statics: BTreeMap<InstanceId, MemberId>,
    /// Issued ids whose members have not joined yet, and the time of their expiry.
    pub(super) pending: BTreeMap<MemberId, TimestampMs>,
    /// True if the log contains, or can contain, a metadata record of the group.
    pub(super) stored: bool,
    pub(super) offsets: Offsets,
    /// The machine's timer for the group.
    pub(super) timer: Option<TimestampMs>,
    /// The part of the machine's `members_bytes` for this group.
    pub(super) accounted_bytes: usize,
    /// The part of the machine's `offsets_bytes` for this group.
    pub(super) accounted_offsets_bytes: usize,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: MemberId,
    pub(super) instance_id: Option<InstanceId>,
    pub(super) client_id: Arc<str>,
    pub(super) client_host: Arc<str>,
    pub(super) session_timeout_ms: i32,
    pub(super) rebalance_timeout_ms: i32,
    pub(super) protocols: Vec<(ProtocolName, Bytes)>,
    pub(super) assignment: Bytes,
    pub(super) waiting: Waiting,
    /// True until the member receives its id in a JoinGroup response.
    pub(super) is_new: bool,
    /// True if the member has sent SyncGroup in this generation.
    pub(super) synced: bool,
    pub(super) expires_at: TimestampMs,
}

/// The request in which a member waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    No,
    Join(Ticket),
    Sync(Ticket),
}

impl Group {
    pub(super) fn new(id: GroupId) -> Self {
        Self {
            id,
            phase: Phase::Empty,
            phase_since: TimestampMs(-1),
            generation: Generation(0),
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            statics: BTreeMap::new(),
            pending: BTreeMap::new(),
            stored: false,
            offsets: Offsets::default(),
            timer: None,
            accounted_bytes: 0,
            accounted_offsets_bytes: 0,
        }
    }

    /// Replaces the group's state by its stored metadata. Sessions are not started.
    pub(super) fn load(&mut self, metadata: GroupMetadata) {
        self.stored = true;
        self.protocol_type = Some(metadata.protocol_type).filter(|kind| !kind.is_empty());
        self.generation = metadata.generation;
        self.phase_since = metadata.since;
        self.members.clear();
        self.statics.clear();
        for stored in metadata.members {
            if let Some(instance) = &stored.instance_id {
                self.statics
                    .insert(instance.clone(), stored.member_id.clone());
            }
            let member = Member::load(stored, metadata.protocol.as_ref());
            self.members.insert(member.id.clone(), member);
        }
        // A record of another broker version can name a leader that is not a member.
        let leader = metadata.leader.filter(|id| self.members.contains_key(id));
        self.leader = leader.or_else(|| self.members.keys().next().cloned());
        self.protocol = metadata.protocol;
        self.phase = if self.members.is_empty() {
            Phase::Empty
        } else {
            Phase::Stable { until: None }
        };
    }

    /// Applies the deletion of the stored metadata. Members that joined later stay.
    pub(super) fn unload(&mut self) {
        self.stored = false;
        if matches!(self.phase, Phase::Empty) {
            self.protocol_type = None;
        }
    }

    pub(super) fn state(&self) -> GroupState {
        match self.phase {
            Phase::Empty => GroupState::Empty,
            Phase::Preparing { .. } => GroupState::PreparingRebalance,
            Phase::Completing { .. } => GroupState::CompletingRebalance,
            Phase::Stable { .. } => GroupState::Stable,
        }
    }

    /// Returns true if the group has no state.
    pub(super) fn is_unused(&self) -> bool {
        matches!(self.phase, Phase::Empty)
            && self.pending.is_empty()
            && self.offsets.is_empty()
            && !self.stored
    }

    /// Returns the memory of members and issued ids in bytes.
    pub(super) fn members_bytes(&self) -> usize {
        let members = self.members.values();
        let members = members.map(|member| member.bytes() + member.assignment.len());
        let pending = self
            .pending
            .keys()
            .map(|id| MEMBER_BYTES + id.as_str().len());
        members.chain(pending).sum()
    }

    /// Returns the memory of the member that sent a JoinGroup, without its assignment.
    pub(super) fn bytes_before(&self, join: &JoinGroup) -> usize {
        let holder = join
            .instance_id
            .as_ref()
            .and_then(|id| self.statics.get(id));
        let member = self.members.get(holder.unwrap_or(&join.member_id));
        member.map_or(0, Member::bytes)
    }

    /// Returns the size of all assignments in bytes.
    pub(super) fn assignments_bytes(&self) -> usize {
        self.members
            .values()
            .map(|member| member.assignment.len())
            .sum()
    }

    /// Returns the time at which the group changes by itself.
    pub(super) fn deadline(&self) -> Option<TimestampMs> {
        let members = self.members.values().filter_map(Member::deadline);
        members
            .chain(self.pending.values().copied())
            .chain(self.phase.until())
            .min()
    }

    /// Checks that the group has the member, with its group instance id if it sends one.
    pub(super) fn check_member(
        &self,
        id: &MemberId,
        instance: Option<&InstanceId>,
    ) -> Result<(), GroupError> {
        if let Some(instance) = instance {
            match self.statics.get(instance) {
                None => return Err(GroupError::UnknownMember),
                // Another process uses the same instance id.
                Some(holder) if holder != id => return Err(GroupError::FencedInstance),
                Some(_) => {}
            }
        }
        if self.members.contains_key(id) {
            Ok(())
        } else {
            Err(GroupError::UnknownMember)
        }
    }

    pub(super) fn check_generation(&self, generation: Generation) -> Result<(), GroupError> {
        if generation == self.generation {
            Ok(())
        } else {
            Err(GroupError::IllegalGeneration {
                current: self.generation,
            })
        }
    }

    /// Returns true if a member with these protocols, instead of `replaced`, shares a protocol with
    /// all other members.
    pub(super) fn accepts_protocols(&self, join: &JoinGroup, replaced: Option<&MemberId>) -> bool {
        if join.protocol_type.is_empty() || join.protocols.is_empty() {
            return false;
        }
        let others = || {
            self.members
                .values()
                .filter(|member| Some(&member.id) != replaced)
        };
        let shared = |name: &ProtocolName| others().all(|member| member.supports(name));
        let fits = self.protocol_type.as_ref() == Some(&join.protocol_type);
        // An empty group can change its protocol type.
        (fits || self.members.is_empty()) && join.protocols.iter().any(|(name, _)| shared(name))
    }

    /// Returns the protocol that all members support and most members prefer, and the first by name
    /// of several.
    pub(super) fn select_protocol(&self) -> Option<ProtocolName> {
        let shared = |name: &ProtocolName| self.members.values().all(|m| m.supports(name));
        let mut votes: BTreeMap<&ProtocolName, usize> = BTreeMap::new();
        for member in self.members.values() {
            if let Some((name, _)) = member.protocols.iter().find(|(name, _)| shared(name)) {
                *votes.entry(name).or_default() += 1;
            }
        }
        // The map is ordered by name, so the result does not depend on the order of members.
        let most = votes.values().max().copied();
        votes
            .into_iter()
            .find(|(_, count)| Some(*count) == most)
            .map(|(name, _)| name.clone())
    }

    /// Returns the maximum rebalance timeout of the members in ms.
    pub(super) fn rebalance_timeout_ms(&self) -> i32 {
        self.members
            .values()
            .map(|member| member.rebalance_timeout_ms)
            .max()
            .unwrap_or(1)
    }

    /// Returns the JoinGroup response of a member in the current generation.
    pub(super) fn joined(&self, id: &MemberId) -> JoinResponse {
        let leader = self.leader.clone().unwrap_or_else(|| id.clone());
        let protocol = self.protocol_name();
        let members = if leader == *id {
            self.joined_members()
        } else {
            Vec::new()
        };
        JoinResponse {
            generation: self.generation,
            protocol_type: self.protocol_type_name(),
            protocol,
            leader,
            member_id: id.clone(),
            skip_assignment: false,
            members,
        }
    }

    pub(super) fn joined_members(&self) -> Vec<JoinedMember> {
        let members = self.members.values().map(|member| JoinedMember {
            member_id: member.id.clone(),
            instance_id: member.instance_id.clone(),
            metadata: member.metadata(self.protocol.as_ref()),
        });
        members.collect()
    }

    pub(super) fn synced(&self, member: &Member) -> SyncResponse {
        SyncResponse {
            protocol_type: self.protocol_type_name(),
            protocol: self.protocol_name(),
            assignment: member.assignment.clone(),
        }
    }

    fn protocol_name(&self) -> ProtocolName {
        self.protocol
            .clone()
            .unwrap_or_else(|| ProtocolName::from(""))
    }

    fn protocol_type_name(&self) -> ProtocolType {
        self.protocol_type
            .clone()
            .unwrap_or_else(|| ProtocolType::from(""))
    }
}

impl Member {
    pub(super) fn new(id: MemberId, join: JoinGroup) -> Self {
        let mut member = Self {
            id,
            instance_id: join.instance_id.clone(),
            client_id: Arc::from(""),
            client_host: Arc::from(""),
            session_timeout_ms: 0,
            rebalance_timeout_ms: 0,
            protocols: Vec::new(),
            assignment: Bytes::new(),
            waiting: Waiting::No,
            is_new: true,
            synced: false,
            expires_at: TimestampMs(0),
        };
        member.update(join);
        member
    }

    fn load(stored: StoredMember, protocol: Option<&ProtocolName>) -> Self {
        let subscription = stored.subscription;
        Self {
            id: stored.member_id,
            instance_id: stored.instance_id,
            client_id: stored.client_id,
            client_host: stored.client_host,
            session_timeout_ms: stored.session_timeout_ms,
            // Records come from disk and can contain any number.
            rebalance_timeout_ms: stored.rebalance_timeout_ms.max(1),
            protocols: protocol
                .map(|name| (name.clone(), subscription))
                .into_iter()
                .collect(),
            assignment: stored.assignment,
            waiting: Waiting::No,
            is_new: false,
            // A stored generation is complete: after a restart members only send heartbeats.
            synced: true,
            expires_at: TimestampMs(0),
        }
    }

    /// Returns the memory of the member without its assignment, in bytes.
    fn bytes(&self) -> usize {
        let protocols = self.protocols.iter();
        let protocols = protocols.map(|(name, data)| name.as_str().len() + data.len());
        let instance_bytes = self.instance_id.as_ref().map_or(0, |id| id.as_str().len());
        let names_bytes = self.id.as_str().len() + self.client_id.len() + instance_bytes;
        MEMBER_BYTES + protocols.sum::<usize>() + names_bytes
    }

    /// Updates the member from a JoinGroup. The instance id is set when the member enters.
    pub(super) fn update(&mut self, join: JoinGroup) {
        self.client_id = join.client_id;
        self.client_host = join.client_host;
        self.session_timeout_ms = join.session_timeout_ms;
        // Version 0 sends no rebalance timeout.
        self.rebalance_timeout_ms = match join.rebalance_timeout_ms {
            given @ 1.. => given,
            _ => join.session_timeout_ms,
        };
        self.protocols = join.protocols;
    }

    /// Restarts the member's session.
    pub(super) fn touch(&mut self, now: TimestampMs) {
        let session_ms = i64::from(self.session_timeout_ms.max(1));
        self.expires_at = TimestampMs(now.0.saturating_add(session_ms));
    }

    /// Returns the assignment in the current generation.
    pub(super) fn assigned(&self) -> Bytes {
        self.assignment.clone()
    }

    /// Returns the time at which the session expires, `None` for never.
    pub(super) fn deadline(&self) -> Option<TimestampMs> {
        // A client with a waiting request sends no heartbeats, so its session does not expire. A
        // new member's JoinGroup does, because its client could be gone unnoticed.
        match self.waiting {
            Waiting::No => Some(self.expires_at),
            Waiting::Join(_) => self.is_new.then_some(self.expires_at),
            Waiting::Sync(_) => None,
        }
    }

    pub(super) fn is_joining(&self) -> bool {
        matches!(self.waiting, Waiting::Join(_))
    }

    /// Sets the request in which the member waits. Returns the ticket of the previous one.
    pub(super) fn wait_on(&mut self, on: Waiting) -> Option<Ticket> {
        match std::mem::replace(&mut self.waiting, on) {
            Waiting::No => None,
            Waiting::Join(ticket) | Waiting::Sync(ticket) => Some(ticket),
        }
    }

    pub(super) fn supports(&self, protocol: &ProtocolName) -> bool {
        self.protocols.iter().any(|(name, _)| name == protocol)
    }

    pub(super) fn metadata(&self, protocol: Option<&ProtocolName>) -> Bytes {
        let found = self
            .protocols
            .iter()
            .find(|(name, _)| Some(name) == protocol);
        found
            .map(|(_, metadata)| metadata.clone())
            .unwrap_or_default()
    }
}

#[cfg(test)]
impl Group {
    /// Asserts the invariants of this module.
    pub(super) fn assert_sound(&self) {
        let members = &self.members;
        let is_empty = matches!(self.phase, Phase::Empty);
        assert!(
            !is_empty || members.is_empty(),
            "an empty group has no members: {self:?}"
        );
        assert!(
            self.leader.iter().all(|id| members.contains_key(id)),
            "leader is not a member: {self:?}"
        );
        let held = self.statics.iter().all(|(name, id)| {
            members
                .get(id)
                .is_some_and(|member| member.instance_id.as_ref() == Some(name))
        });
        let named = members
            .values()
            .filter(|member| member.instance_id.is_some())
            .count();
        assert!(
            held && named == self.statics.len(),
            "instance ids: {self:?}"
        );
        assert!(
            members.is_empty() || self.select_protocol().is_some(),
            "protocols: {self:?}"
        );
        assert!(
            !self.is_unused(),
            "a group without state is removed: {self:?}"
        );
    }
}
