//! A member's life within a generation: SyncGroup, Heartbeat, LeaveGroup, and its end by silence.
//!
//! Invariant: a member that sends anything valid lives on for its session timeout; one that is
//! silent for longer is removed, and the group rebalances without it.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::error::GroupError;
use super::ids::MemberId;
use super::member::{Group, Parked, Phase};
use super::reply::SyncReply;
use super::request::{Heartbeat, LeaveGroup, LeavingMember, SyncGroup};
use super::turn::{Then, Turn};
use crate::shell::{Ticket, Token};

impl Group {
    /// Answers a SyncGroup, or parks it and returns `None`.
    pub(super) fn sync(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: Ticket,
        sync: SyncGroup,
    ) -> Result<Option<SyncReply>, GroupError> {
        self.check_sync(turn, &sync)?;
        let Some(member) = self.members.get_mut(&sync.member_id) else {
            return Err(GroupError::UnknownMember);
        };
        match self.phase {
            Phase::Empty => Err(GroupError::UnknownMember),
            Phase::Preparing { .. } => Err(GroupError::RebalanceInProgress),
            Phase::Completing { until, storing } => {
                member.synced = true;
                if let Some(earlier) = member.park(Parked::Sync(ticket)) {
                    turn.refuse(earlier, GroupError::RebalanceInProgress);
                }
                if self.leader.as_ref() == Some(&sync.member_id) && storing.is_none() {
                    let token = self.store_assignments(turn, sync.assignments);
                    self.phase = Phase::Completing {
                        until,
                        storing: Some(token),
                    };
                }
                Ok(None)
            }
            Phase::Stable { until } => {
                member.synced = true;
                member.touch(turn.now);
                let all_synced = self.members.values().all(|member| member.synced);
                self.phase = Phase::Stable {
                    until: until.filter(|_| !all_synced),
                };
                Ok(self
                    .members
                    .get(&sync.member_id)
                    .map(|member| self.synced(member)))
            }
        }
    }

    /// Answers a Heartbeat.
    pub(super) fn heartbeat(
        &mut self,
        turn: &Turn<'_>,
        beat: &Heartbeat,
    ) -> Result<(), GroupError> {
        self.check_member(&beat.member_id, beat.instance_id.as_ref())?;
        self.check_generation(beat.generation)?;
        self.touch(turn, &beat.member_id);
        match self.phase {
            Phase::Empty => Err(GroupError::UnknownMember),
            Phase::Preparing { .. } => Err(GroupError::RebalanceInProgress),
            // Members may beat while the leader still assigns.
            Phase::Completing { .. } | Phase::Stable { .. } => Ok(()),
        }
    }

    /// Answers a LeaveGroup, an outcome a member.
    pub(super) fn leave(
        &mut self,
        turn: &mut Turn<'_>,
        leave: &LeaveGroup,
    ) -> Vec<Result<(), GroupError>> {
        let members_before = self.members.len();
        let leaving = leave
            .members
            .iter()
            .map(|member| self.leave_one(turn, member));
        let outcomes = leaving.collect();
        self.go_on(turn, members_before);
        outcomes
    }

    /// Does what is due by now: removes dead members and ids nobody came back for, ends phases.
    pub(super) fn expire(&mut self, turn: &mut Turn<'_>) {
        let dead = self
            .members
            .values()
            .filter(|m| m.deadline().is_some_and(|at| at <= turn.now));
        let dead: Vec<MemberId> = dead.map(|member| member.id.clone()).collect();
        let members_before = self.members.len();
        for id in &dead {
            self.remove(turn, id);
        }
        self.pending.retain(|_, until| *until > turn.now);
        self.go_on(turn, members_before);
        if self.phase.until().is_some_and(|until| until <= turn.now) {
            self.end_phase(turn);
        }
    }

    /// Starts a member's session anew.
    pub(super) fn touch(&mut self, turn: &Turn<'_>, id: &MemberId) {
        if let Some(member) = self.members.get_mut(id) {
            member.touch(turn.now);
        }
    }

    /// Goes on after members, or only ids nobody came back for, are gone.
    fn go_on(&mut self, turn: &mut Turn<'_>, members_before: usize) {
        if self.members.len() < members_before {
            self.go_on_without_the_removed(turn);
        } else if matches!(self.phase, Phase::Preparing { .. }) {
            self.complete_if_all_joined(turn);
        }
    }

    fn check_sync(&self, turn: &Turn<'_>, sync: &SyncGroup) -> Result<(), GroupError> {
        self.check_member(&sync.member_id, sync.instance_id.as_ref())?;
        self.check_generation(sync.generation)?;
        let other_type = sync.protocol_type.is_some() && sync.protocol_type != self.protocol_type;
        let other_protocol = sync.protocol.is_some() && sync.protocol != self.protocol;
        if other_type || other_protocol {
            return Err(GroupError::InconsistentProtocol);
        }
        let bytes = sync
            .assignments
            .iter()
            .map(|(id, work)| id.as_str().len() + work.len())
            .sum();
        let limit = turn.config.assignments_bytes_max;
        if bytes > limit {
            return Err(GroupError::MetadataTooLarge { bytes, limit });
        }
        Ok(())
    }

    fn store_assignments(
        &mut self,
        turn: &mut Turn<'_>,
        assignments: Vec<(MemberId, Bytes)>,
    ) -> Token {
        let assignments: BTreeMap<MemberId, Bytes> = assignments.into_iter().collect();
        let metadata =
            self.metadata(|member| assignments.get(&member.id).cloned().unwrap_or_default());
        self.store(turn, metadata, Then::Assign(assignments))
    }

    fn leave_one(
        &mut self,
        turn: &mut Turn<'_>,
        leaving: &LeavingMember,
    ) -> Result<(), GroupError> {
        let by_name = leaving
            .instance_id
            .as_ref()
            .and_then(|name| self.statics.get(name))
            .cloned();
        let id = match (&leaving.instance_id, by_name) {
            (Some(_), Some(holder)) if leaving.member_id.is_empty() => holder,
            _ => leaving.member_id.clone(),
        };
        if leaving.instance_id.is_none() && self.pending.remove(&id).is_some() {
            return Ok(());
        }
        self.check_member(&id, leaving.instance_id.as_ref())?;
        self.remove(turn, &id);
        Ok(())
    }
}
