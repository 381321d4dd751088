//! The rebalance: how a group goes from one generation to the next.
//!
//! ```text
//!          join                all joined, or time is up          assignments durable
//!  Empty --------> Preparing ---------------------------> Completing --------> Stable
//!    ^                 |  ^                                    |                  |
//!    +-- nobody left --+  +------ join, leave, member dead ----+------------------+
//! ```
//! Invariant: the generation grows by one whenever a join phase completes, and only then; whoever
//! was parked for an older generation is answered before. A completed generation is stored with its
//! assignments, an empty group as such, so that a restart finds either.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::error::GroupError;
use super::ids::{MemberId, ProtocolType};
use super::member::{Gathering, Group, Member, Parked, Phase};
use super::record::{GroupMetadata, GroupRecord, StoredMember};
use super::reply::GroupReply;
use super::turn::{Then, Turn};
use crate::shell::Token;

impl Group {
    /// After someone joined.
    pub(super) fn rebalance_or_complete(&mut self, turn: &mut Turn<'_>) {
        match self.phase {
            Phase::Preparing { .. } => self.complete_if_all_joined(turn),
            Phase::Empty | Phase::Completing { .. } | Phase::Stable { .. } => {
                self.prepare_rebalance(turn);
            }
        }
    }

    /// After members were removed.
    pub(super) fn go_on_without_the_removed(&mut self, turn: &mut Turn<'_>) {
        match self.phase {
            Phase::Empty => {}
            Phase::Preparing { .. } => self.complete_if_all_joined(turn),
            Phase::Completing { .. } | Phase::Stable { .. } => self.prepare_rebalance(turn),
        }
    }

    /// Removes a member and answers what it was parked on. The caller says how the group goes on.
    pub(super) fn remove(&mut self, turn: &mut Turn<'_>, id: &MemberId) {
        let Some(mut member) = self.members.remove(id) else {
            return;
        };
        if let Some(instance) = &member.instance_id {
            self.statics.remove(instance);
        }
        if self.leader.as_ref() == Some(id) {
            self.leader = self.members.keys().next().cloned();
        }
        if let Some(parked) = member.park(Parked::No) {
            turn.refuse(parked, GroupError::UnknownMember);
        }
    }

    /// Ends the join phase if nobody is missing and no gathering is under way.
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

    /// When the time of a phase is up.
    pub(super) fn end_phase(&mut self, turn: &mut Turn<'_>) {
        match self.phase {
            Phase::Empty => {}
            Phase::Preparing {
                gathering: Some(gathering),
                ..
            } if gathering.newcomer && gathering.remaining_ms > 0 => {
                self.gather_on(turn, gathering.remaining_ms);
            }
            Phase::Preparing { .. } => self.complete_join_phase(turn),
            Phase::Completing { .. } | Phase::Stable { .. } => self.drop_unsynced(turn),
        }
    }

    /// The leader's assignments are durable, or not: answers whoever waits for them.
    pub(super) fn assign(
        &mut self,
        turn: &mut Turn<'_>,
        token: Token,
        outcome: Result<BTreeMap<MemberId, Bytes>, GroupError>,
    ) {
        let Phase::Completing { until, storing } = self.phase else {
            return;
        };
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
            Err(error) => {
                self.phase = Phase::Completing {
                    until,
                    storing: None,
                };
                Err(error)
            }
        };
        self.answer_syncs(turn, &outcome);
    }

    /// The group as it is stored, with the assignments that `assignment_of` names.
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

    /// Stores the group as it is. It counts as stored from now on, for its tombstone must not be
    /// forgotten when the outcome is not known yet.
    pub(super) fn store(
        &mut self,
        turn: &mut Turn<'_>,
        metadata: GroupMetadata,
        then: Then,
    ) -> Token {
        self.stored = true;
        let record = GroupRecord::Group {
            group: self.id.clone(),
            value: Some(metadata),
        };
        turn.persist(&self.id, vec![record], then)
    }

    fn prepare_rebalance(&mut self, turn: &mut Turn<'_>) {
        if matches!(self.phase, Phase::Completing { .. }) {
            self.answer_syncs(turn, &Err(GroupError::RebalanceInProgress));
        }
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
            self.gather_on(turn, self.rebalance_timeout_ms());
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

    fn gather_on(&mut self, turn: &Turn<'_>, remaining_ms: i32) {
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
                // Only static members are left, none of them back: their sessions decide.
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
        self.answer_joins(turn);
    }

    fn become_empty(&mut self, turn: &mut Turn<'_>) {
        self.generation = self.generation.next();
        self.protocol = None;
        self.leader = None;
        self.enter_phase(turn, Phase::Empty);
        let metadata = self.metadata(Member::assigned);
        self.store(turn, metadata, Then::Nothing);
    }

    fn answer_joins(&mut self, turn: &mut Turn<'_>) {
        for member in self.members.values_mut() {
            member.synced = false;
            member.assignment = Bytes::new();
        }
        for id in self.members.keys().cloned().collect::<Vec<_>>() {
            let reply = self.joined(&id);
            let Some(member) = self.members.get_mut(&id) else {
                continue;
            };
            if let Some(ticket) = member.park(Parked::No) {
                member.touch(turn.now);
                member.is_new = false;
                turn.reply(ticket, Ok(GroupReply::Join(reply)));
            }
        }
    }

    fn answer_syncs(&mut self, turn: &mut Turn<'_>, outcome: &Result<(), GroupError>) {
        let mut answers = Vec::new();
        for member in self.members.values() {
            if let Parked::Sync(ticket) = member.parked {
                let reply = outcome
                    .clone()
                    .map(|()| GroupReply::Sync(self.synced(member)));
                answers.push((member.id.clone(), ticket, reply));
            }
        }
        for (id, ticket, reply) in answers {
            if let Some(member) = self.members.get_mut(&id) {
                member.parked = Parked::No;
                member.touch(turn.now);
            }
            turn.reply(ticket, reply);
        }
    }

    fn drop_unsynced(&mut self, turn: &mut Turn<'_>) {
        let late = self.members.values().filter(|member| !member.synced);
        let late: Vec<MemberId> = late.map(|member| member.id.clone()).collect();
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
        self.go_on_without_the_removed(turn);
    }

    fn enter_phase(&mut self, turn: &Turn<'_>, phase: Phase) {
        self.phase = phase;
        self.phase_since = turn.now;
    }
}
