//! The rebalance: transition of a group from one generation to the next.
//!
//! ```text
//!          join                all joined, or timeout             assignments durable
//!  Empty --------> Preparing ---------------------------> Completing --------> Stable
//!    ^                 |  ^                                    |                  |
//!    +-- no members ---+  +------ join, leave, expired session +------------------+
//! ```
//! Invariant: the generation increases by one when a join phase completes, and only then. Before
//! that, requests that wait for an older generation receive their response. Completed generations
//! are stored with their assignments, and so are empty groups.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::error::GroupError;
use super::ids::{MemberId, ProtocolType};
use super::member::{Gathering, Group, Member, Phase, Waiting};
use super::record::{GroupMetadata, GroupRecord, StoredMember};
use super::response::GroupResponse;
use super::turn::{Then, Turn};
use crate::shell::Token;

impl Group {
    /// Continues after a member joined.
    pub(super) fn rebalance_or_complete(&mut self, turn: &mut Turn<'_>) {
        match self.phase {
            Phase::Preparing { .. } => self.complete_if_all_joined(turn),
            Phase::Empty | Phase::Completing { .. } | Phase::Stable { .. } => {
                self.prepare_rebalance(turn);
            }
        }
    }

    /// Continues after members were removed.
    pub(super) fn continue_without_removed(&mut self, turn: &mut Turn<'_>) {
        match self.phase {
            Phase::Empty => {}
            Phase::Preparing { .. } => self.complete_if_all_joined(turn),
            Phase::Completing { .. } | Phase::Stable { .. } => self.prepare_rebalance(turn),
        }
    }

    /// Removes a member and rejects its waiting request. The caller continues the rebalance.
    pub(super) fn remove(&mut self, turn: &mut Turn<'_>, id: &MemberId) {
        let Some(mut member) = self.members.remove(id) else {
            return;
        };
        if let Some(instance) = &member.instance_id {
            self.statics.remove(instance);
        }
        if self.leader.as_ref() == Some(id) {
            // Any member can lead; the first by id makes the choice deterministic.
            self.leader = self.members.keys().next().cloned();
        }
        if let Some(waiting) = member.wait_on(Waiting::No) {
            turn.reject(waiting, GroupError::UnknownMember);
        }
    }

    /// Ends the join phase if all members have joined and no initial delay is active.
    pub(super) fn complete_if_all_joined(&mut self, turn: &mut Turn<'_>) {
        let gathers = matches!(
            self.phase,
            Phase::Preparing {
                gathering: Some(_),
                ..
            }
        );
        let all_joined = self.pending.is_empty() && self.members.values().all(Member::is_joining);
        if !gathers && all_joined {
            self.complete_join_phase(turn);
        }
    }

    /// Ends a phase whose time has expired.
    pub(super) fn end_phase(&mut self, turn: &mut Turn<'_>) {
        match self.phase {
            Phase::Empty => {}
            Phase::Preparing {
                gathering: Some(gathering),
                ..
            } if gathering.newcomer && gathering.remaining_ms > 0 => {
                self.extend_gathering(turn, gathering.remaining_ms);
            }
            Phase::Preparing { .. } => self.complete_join_phase(turn),
            Phase::Completing { .. } | Phase::Stable { .. } => self.drop_unsynced(turn),
        }
    }

    /// Handles the result of the append of the leader's assignments, and responds to waiting
    /// members.
    pub(super) fn assign(
        &mut self,
        turn: &mut Turn<'_>,
        token: Token,
        outcome: Result<BTreeMap<MemberId, Bytes>, GroupError>,
    ) {
        let Phase::Completing { until, storing } = self.phase else {
            return;
        };
        // The append is of an earlier rebalance.
        if storing != Some(token) {
            return;
        }
        let outcome = match outcome {
            Ok(mut assignments) => {
                for (id, member) in &mut self.members {
                    member.assignment = assignments.remove(id).unwrap_or_default();
                }
                let all_synced = self.members.values().all(|member| member.synced);
                self.enter_phase(
                    turn,
                    Phase::Stable {
                        until: (!all_synced).then_some(until),
                    },
                );
                Ok(())
            }
            // The leader can sync again.
            Err(error) => {
                self.phase = Phase::Completing {
                    until,
                    storing: None,
                };
                Err(error)
            }
        };
        self.respond_to_syncs(turn, &outcome);
    }

    /// Returns the group's metadata record, with the assignments of `assignment_of`.
    pub(super) fn metadata(&self, assignment_of: impl Fn(&Member) -> Bytes) -> GroupMetadata {
        let members = self.members.values().map(|member| StoredMember {
            member_id: member.id.clone(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            session_timeout_ms: member.session_timeout_ms,
            subscription: member.metadata(self.protocol.as_ref()),
            assignment: assignment_of(member),
        });
        GroupMetadata {
            protocol_type: self
                .protocol_type
                .clone()
                .unwrap_or_else(|| ProtocolType::from("")),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            since: self.phase_since,
            members: members.collect(),
        }
    }

    /// Appends the group's metadata record.
    pub(super) fn store(
        &mut self,
        turn: &mut Turn<'_>,
        metadata: GroupMetadata,
        then: Then,
    ) -> Token {
        // Set before the append is durable: a group that is deleted meanwhile needs a tombstone.
        self.stored = true;
        let record = GroupRecord::Group {
            group: self.id.clone(),
            value: Some(metadata),
        };
        turn.persist(&self.id, vec![record], then)
    }

    fn prepare_rebalance(&mut self, turn: &mut Turn<'_>) {
        if matches!(self.phase, Phase::Completing { .. }) {
            self.respond_to_syncs(turn, &Err(GroupError::RebalanceInProgress));
        }
        // The delay applies to the first members of an empty group only, as in Kafka.
        let delay_ms = turn.config.initial_rebalance_delay_ms;
        let starts_from_empty = matches!(self.phase, Phase::Empty);
        if starts_from_empty && delay_ms > 0 {
            self.enter_phase(
                turn,
                Phase::Preparing {
                    until: turn.now,
                    gathering: None,
                },
            );
            self.extend_gathering(turn, self.rebalance_timeout_ms());
        } else {
            let until = turn.after_ms(self.rebalance_timeout_ms());
            self.enter_phase(
                turn,
                Phase::Preparing {
                    until,
                    gathering: None,
                },
            );
            self.complete_if_all_joined(turn);
        }
    }

    fn extend_gathering(&mut self, turn: &Turn<'_>, remaining_ms: i32) {
        let wait_ms = turn.config.initial_rebalance_delay_ms.min(remaining_ms);
        let gathering = Gathering {
            newcomer: false,
            remaining_ms: remaining_ms - wait_ms,
        };
        let until = turn.after_ms(wait_ms);
        self.phase = Phase::Preparing {
            until,
            gathering: Some(gathering),
        };
    }

    fn complete_join_phase(&mut self, turn: &mut Turn<'_>) {
        let missing = self.members.values().filter(|member| !member.is_joining());
        // Static members keep their place until their session expires (KIP-345).
        let gone = missing.filter(|member| member.instance_id.is_none());
        for id in gone.map(|member| member.id.clone()).collect::<Vec<_>>() {
            self.remove(turn, &id);
        }
        if self.members.is_empty() {
            self.become_empty(turn);
            return;
        }
        let leader_joined = self.leader.as_ref().and_then(|id| self.members.get(id));
        if !leader_joined.is_some_and(Member::is_joining) {
            let joined = self.members.values().find(|member| member.is_joining());
            let Some(joined) = joined.map(|member| member.id.clone()) else {
                // Only static members are left, and none has rejoined. They have until their
                // session expires.
                let until = turn.after_ms(self.rebalance_timeout_ms());
                self.phase = Phase::Preparing {
                    until,
                    gathering: None,
                };
                return;
            };
            self.leader = Some(joined);
        }
        self.generation = self.generation.next();
        self.protocol = self.select_protocol();
        let until = turn.after_ms(self.rebalance_timeout_ms());
        self.enter_phase(
            turn,
            Phase::Completing {
                until,
                storing: None,
            },
        );
        self.respond_to_joins(turn);
    }

    fn become_empty(&mut self, turn: &mut Turn<'_>) {
        // A new generation fences requests of the removed members.
        self.generation = self.generation.next();
        self.protocol = None;
        self.leader = None;
        self.enter_phase(turn, Phase::Empty);
        let metadata = self.metadata(Member::assigned);
        self.store(turn, metadata, Then::Nothing);
    }

    fn respond_to_joins(&mut self, turn: &mut Turn<'_>) {
        for member in self.members.values_mut() {
            member.synced = false;
            member.assignment = Bytes::new();
        }
        for id in self.members.keys().cloned().collect::<Vec<_>>() {
            let response = self.joined(&id);
            let Some(member) = self.members.get_mut(&id) else {
                continue;
            };
            // The session restarts, because it did not expire while the member waited.
            if let Some(ticket) = member.wait_on(Waiting::No) {
                member.touch(turn.now);
                member.is_new = false;
                turn.response(ticket, Ok(GroupResponse::Join(response)));
            }
        }
    }

    fn respond_to_syncs(&mut self, turn: &mut Turn<'_>, outcome: &Result<(), GroupError>) {
        // Collected first, because `synced` borrows the group.
        let mut responses = Vec::new();
        for member in self.members.values() {
            if let Waiting::Sync(ticket) = member.waiting {
                let response = outcome
                    .clone()
                    .map(|()| GroupResponse::Sync(self.synced(member)));
                responses.push((member.id.clone(), ticket, response));
            }
        }
        for (id, ticket, response) in responses {
            if let Some(member) = self.members.get_mut(&id) {
                member.waiting = Waiting::No;
                member.touch(turn.now);
            }
            turn.response(ticket, response);
        }
    }

    fn drop_unsynced(&mut self, turn: &mut Turn<'_>) {
        let late = self.members.values().filter(|member| !member.synced);
        let late: Vec<MemberId> = late.map(|member| member.id.clone()).collect();
        // All have synced, but the append of the assignments is still in flight.
        if late.is_empty() {
            let again = turn.after_ms(self.rebalance_timeout_ms());
            match &mut self.phase {
                Phase::Empty | Phase::Preparing { .. } => {}
                Phase::Completing { until, .. } => *until = again,
                Phase::Stable { until } => *until = None,
            }
            return;
        }
        for id in &late {
            self.remove(turn, id);
        }
        self.continue_without_removed(turn);
    }

    fn enter_phase(&mut self, turn: &Turn<'_>, phase: Phase) {
        // Stored, because the retention of an empty group's offsets starts here.
        self.phase = phase;
        self.phase_since = turn.now;
    }
}
