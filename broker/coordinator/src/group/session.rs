//! SyncGroup, Heartbeat, LeaveGroup and session timeouts.
//!
//! Invariant: every valid request extends a member's session. A member without requests for its
//! session timeout is removed, and the group rebalances.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::error::GroupError;
use super::ids::MemberId;
use super::member::{Group, Phase, Waiting};
use super::request::{Heartbeat, LeaveGroup, LeavingMember, SyncGroup};
use super::response::SyncResponse;
use super::turn::{Then, Turn};
use crate::shell::{Ticket, Token};

impl Group {
    /// Handles a SyncGroup. Returns `None` if the response waits for the leader's assignments.
    pub(super) fn sync(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: Ticket,
        sync: SyncGroup,
    ) -> Result<Option<SyncResponse>, GroupError> {
        self.check_sync(turn, &sync)?;
        let Some(member) = self.members.get_mut(&sync.member_id) else {
            return Err(GroupError::UnknownMember);
        };
        match self.phase {
            Phase::Empty => Err(GroupError::UnknownMember),
            Phase::Preparing { .. } => Err(GroupError::RebalanceInProgress),
            Phase::Completing { until, storing } => {
                member.synced = true;
                if let Some(earlier) = member.wait_on(Waiting::Sync(ticket)) {
                    turn.reject(earlier, GroupError::RebalanceInProgress);
                }
                // A repeated SyncGroup of the leader must not append a second time.
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
                // After the last member has its assignment, nothing remains to time out.
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

    /// Handles a Heartbeat.
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
            // Members can send heartbeats while the leader computes assignments.
            Phase::Completing { .. } | Phase::Stable { .. } => Ok(()),
        }
    }

    /// Handles a LeaveGroup. Returns a result for each member.
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
        self.continue_after_removal(turn, members_before);
        outcomes
    }

    /// Removes members and issued ids whose time has expired, and ends phases.
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
        // An issued id holds up the join phase until it expires.
        self.pending.retain(|_, until| *until > turn.now);
        self.continue_after_removal(turn, members_before);
        if self.phase.until().is_some_and(|until| until <= turn.now) {
            self.end_phase(turn);
        }
    }

    /// Restarts a member's session.
    pub(super) fn touch(&mut self, turn: &Turn<'_>, id: &MemberId) {
        if let Some(member) = self.members.get_mut(id) {
            member.touch(turn.now);
        }
    }

    /// Continues after members or issued ids were removed.
    fn continue_after_removal(&mut self, turn: &mut Turn<'_>, members_before: usize) {
        if self.members.len() < members_before {
            self.continue_without_removed(turn);
        } else if matches!(self.phase, Phase::Preparing { .. }) {
            self.complete_if_all_joined(turn);
        }
    }

    fn check_sync(&self, turn: &Turn<'_>, sync: &SyncGroup) -> Result<(), GroupError> {
        self.check_member(&sync.member_id, sync.instance_id.as_ref())?;
        self.check_generation(sync.generation)?;
        // Versions before 5 send neither, so only present values are compared (KIP-559).
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
        // A tool can remove a static member without its member id (KIP-345).
        let by_name = leaving
            .instance_id
            .as_ref()
            .and_then(|name| self.statics.get(name))
            .cloned();
        let id = match (&leaving.instance_id, by_name) {
            (Some(_), Some(holder)) if leaving.member_id.is_empty() => holder,
            _ => leaving.member_id.clone(),
        };
        // The member received its id, but has not joined with it.
        if leaving.instance_id.is_none() && self.pending.remove(&id).is_some() {
            return Ok(());
        }
        self.check_member(&id, leaving.instance_id.as_ref())?;
        self.remove(turn, &id);
        Ok(())
    }
}
