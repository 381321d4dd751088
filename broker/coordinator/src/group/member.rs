//! A group and its members as data: the states, who is parked, which protocols they share.
//!
//! Invariants: a group in state Empty has no members; every member in `statics` is in `members`;
//! the leader, if there is one, is a member; a member is parked on at most one request; any two
//! members share a protocol with all the others. Knows no transition: those are in `join`,
//! `session` and `rebalance`.

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
use super::reply::{JoinReply, JoinedMember, SyncReply};
use super::request::JoinGroup;
use crate::shell::{Ticket, Token};

/// A group's state as tools see it. A group that is gone is Kafka's `Dead`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupState {
    /// No members, perhaps offsets. A join starts a rebalance.
    Empty,
    /// Waits for the members to join; heartbeats are told to.
    PreparingRebalance,
    /// All have joined; waits for the leader's assignments to arrive and become durable.
    CompletingRebalance,
    /// Everyone can have its assignment.
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

/// A state with what belongs to it alone.
#[derive(Clone, Copy, Debug)]
pub(super) enum Phase {
    Empty,
    /// Ends `until` at the latest, without those that have not joined.
    Preparing {
        until: TimestampMs,
        gathering: Option<Gathering>,
    },
    /// Members that have not synced `until` then are dropped. `storing` is the append of the
    /// leader's assignments.
    Completing {
        until: TimestampMs,
        storing: Option<Token>,
    },
    /// As long as some member has not fetched its assignment, `until` bounds it.
    Stable {
        until: Option<TimestampMs>,
    },
}

/// An empty group's wait for its first members (`group.initial.rebalance.delay.ms`).
#[derive(Clone, Copy, Debug)]
pub(super) struct Gathering {
    /// Whether someone has come since the wait was last extended.
    pub(super) newcomer: bool,
    /// How far the wait may still be extended.
    pub(super) remaining_ms: i32,
}

impl Phase {
    /// When the phase ends by itself.
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
    /// When `phase` last changed, -1 if unknown.
    pub(super) phase_since: TimestampMs,
    pub(super) generation: Generation,
    pub(super) protocol_type: Option<ProtocolType>,
    /// The protocol of the generation, from its first JoinGroup answer on.
    pub(super) protocol: Option<ProtocolName>,
    pub(super) leader: Option<MemberId>,
    pub(super) members: BTreeMap<MemberId, Member>,
    pub(super) statics: BTreeMap<InstanceId, MemberId>,
    /// Ids given out whose members have not come back yet, and how long they may take.
    pub(super) pending: BTreeMap<MemberId, TimestampMs>,
    /// Whether the log holds, or may hold, a metadata record of the group.
    pub(super) stored: bool,
    pub(super) offsets: Offsets,
    /// The machine's timer for the group.
    pub(super) timer: Option<TimestampMs>,
    /// What the machine has counted the group's members with.
    pub(super) counted_bytes: usize,
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
    pub(super) parked: Parked,
    /// Whether it has not been told its id by a JoinGroup answer yet.
    pub(super) is_new: bool,
    /// Whether it has sent SyncGroup in this generation.
    pub(super) synced: bool,
    pub(super) expires_at: TimestampMs,
}

/// The request a member waits in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parked {
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
            counted_bytes: 0,
        }
    }

    /// Becomes what its stored metadata says, whatever it was. Its members' sessions are not
    /// started.
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
        let leader = metadata.leader.filter(|id| self.members.contains_key(id));
        self.leader = leader.or_else(|| self.members.keys().next().cloned());
        self.protocol = metadata.protocol;
        self.phase = if self.members.is_empty() {
            Phase::Empty
        } else {
            Phase::Stable { until: None }
        };
    }

    /// Its stored metadata is deleted. Members that have come since stay.
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

    /// Whether nothing would be lost with the group.
    pub(super) fn is_blank(&self) -> bool {
        matches!(self.phase, Phase::Empty)
            && self.pending.is_empty()
            && self.offsets.is_empty()
            && !self.stored
    }

    /// What its members and those to be take, in bytes.
    pub(super) fn members_bytes(&self) -> usize {
        let members = self.members.values();
        let members = members.map(|member| member.bytes() + member.assignment.len());
        let pending = self
            .pending
            .keys()
            .map(|id| MEMBER_BYTES + id.as_str().len());
        members.chain(pending).sum()
    }

    /// What the member that a JoinGroup is from takes already, without its assignment.
    pub(super) fn bytes_before(&self, join: &JoinGroup) -> usize {
        let holder = join
            .instance_id
            .as_ref()
            .and_then(|id| self.statics.get(id));
        let member = self.members.get(holder.unwrap_or(&join.member_id));
        member.map_or(0, Member::bytes)
    }

    /// What its members have been assigned, in bytes.
    pub(super) fn assignments_bytes(&self) -> usize {
        self.members
            .values()
            .map(|member| member.assignment.len())
            .sum()
    }

    /// When something happens to the group by itself.
    pub(super) fn deadline(&self) -> Option<TimestampMs> {
        let members = self.members.values().filter_map(Member::deadline);
        members
            .chain(self.pending.values().copied())
            .chain(self.phase.until())
            .min()
    }

    /// Checks that the member is in the group under its static name, if it gives one.
    pub(super) fn check_member(
        &self,
        id: &MemberId,
        instance: Option<&InstanceId>,
    ) -> Result<(), GroupError> {
        if let Some(instance) = instance {
            match self.statics.get(instance) {
                None => return Err(GroupError::UnknownMember),
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

    /// Whether a member with these protocols, in the place of `replaced` if that is one, still
    /// shares a protocol with all others.
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
        (fits || self.members.is_empty()) && join.protocols.iter().any(|(name, _)| shared(name))
    }

    /// The protocol that all members support and most prefer; of equals the first by name.
    pub(super) fn select_protocol(&self) -> Option<ProtocolName> {
        let shared = |name: &ProtocolName| self.members.values().all(|m| m.supports(name));
        let mut votes: BTreeMap<&ProtocolName, usize> = BTreeMap::new();
        for member in self.members.values() {
            if let Some((name, _)) = member.protocols.iter().find(|(name, _)| shared(name)) {
                *votes.entry(name).or_default() += 1;
            }
        }
        let most = votes.values().max().copied();
        votes
            .into_iter()
            .find(|(_, count)| Some(*count) == most)
            .map(|(name, _)| name.clone())
    }

    /// The longest that any member may take to join again.
    pub(super) fn rebalance_timeout_ms(&self) -> i32 {
        self.members
            .values()
            .map(|member| member.rebalance_timeout_ms)
            .max()
            .unwrap_or(1)
    }

    /// The answer that puts a member into the current generation.
    pub(super) fn joined(&self, id: &MemberId) -> JoinReply {
        let leader = self.leader.clone().unwrap_or_else(|| id.clone());
        let protocol = self.protocol_name();
        let members = if leader == *id {
            self.joined_members()
        } else {
            Vec::new()
        };
        JoinReply {
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

    pub(super) fn synced(&self, member: &Member) -> SyncReply {
        SyncReply {
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
            parked: Parked::No,
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
            rebalance_timeout_ms: stored.rebalance_timeout_ms.max(1),
            protocols: protocol
                .map(|name| (name.clone(), subscription))
                .into_iter()
                .collect(),
            assignment: stored.assignment,
            parked: Parked::No,
            is_new: false,
            synced: true,
            expires_at: TimestampMs(0),
        }
    }

    /// What it takes but for its assignment.
    fn bytes(&self) -> usize {
        let protocols = self.protocols.iter();
        let protocols = protocols.map(|(name, data)| name.as_str().len() + data.len());
        let instance_bytes = self.instance_id.as_ref().map_or(0, |id| id.as_str().len());
        let names_bytes = self.id.as_str().len() + self.client_id.len() + instance_bytes;
        MEMBER_BYTES + protocols.sum::<usize>() + names_bytes
    }

    /// Takes over what the member says about itself now. Whether it is static was said when it
    /// entered.
    pub(super) fn update(&mut self, join: JoinGroup) {
        self.client_id = join.client_id;
        self.client_host = join.client_host;
        self.session_timeout_ms = join.session_timeout_ms;
        self.rebalance_timeout_ms = match join.rebalance_timeout_ms {
            given @ 1.. => given,
            _ => join.session_timeout_ms,
        };
        self.protocols = join.protocols;
    }

    /// Starts the member's session anew.
    pub(super) fn touch(&mut self, now: TimestampMs) {
        let session_ms = i64::from(self.session_timeout_ms.max(1));
        self.expires_at = TimestampMs(now.0.saturating_add(session_ms));
    }

    /// Its assignment in the current generation.
    pub(super) fn assigned(&self) -> Bytes {
        self.assignment.clone()
    }

    /// When the member counts as dead. Whoever is parked cannot send heartbeats and lives on; only
    /// a newcomer's parked join is bounded, since nobody would notice that its client is gone.
    pub(super) fn deadline(&self) -> Option<TimestampMs> {
        match self.parked {
            Parked::No => Some(self.expires_at),
            Parked::Join(_) => self.is_new.then_some(self.expires_at),
            Parked::Sync(_) => None,
        }
    }

    pub(super) fn is_joining(&self) -> bool {
        matches!(self.parked, Parked::Join(_))
    }

    /// Parks the member on a request; returns the one it was parked on before.
    pub(super) fn park(&mut self, on: Parked) -> Option<Ticket> {
        match std::mem::replace(&mut self.parked, on) {
            Parked::No => None,
            Parked::Join(ticket) | Parked::Sync(ticket) => Some(ticket),
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
    /// Asserts the invariants of the head of this file.
    pub(super) fn assert_sound(&self) {
        let members = &self.members;
        let is_empty = matches!(self.phase, Phase::Empty);
        assert!(
            !is_empty || members.is_empty(),
            "an empty group has no members: {self:?}"
        );
        assert!(
            self.leader.iter().all(|id| members.contains_key(id)),
            "who leads: {self:?}"
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
            "static names: {self:?}"
        );
        assert!(
            members.is_empty() || self.select_protocol().is_some(),
            "protocols: {self:?}"
        );
        assert!(!self.is_blank(), "a blank group is dropped: {self:?}");
    }
}
