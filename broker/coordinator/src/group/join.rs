//! JoinGroup: admission of members, their ids, and the start of a rebalance.
//!
//! | member | state of the group | result |
//! |---|---|---|
//! | has no id, but needs one | any | receives an id and joins again (KIP-394) |
//! | is new | any | rebalance |
//! | has an id | Preparing | joins the next generation |
//! | has an id, same metadata | Completing, or Stable and a follower | current generation |
//! | has an id, otherwise | Completing, Stable | rebalance |
//! | replaces a static member | Stable, same protocol, topics | current generation (KIP-345) |
//! | replaces a static member | otherwise | rebalance |
//!
//! Invariant: a rejected request changes nothing.

use super::config::GroupConfig;
use super::error::GroupError;
use super::ids::MemberId;
use super::member::{Group, Member, Phase, Waiting};
use super::request::JoinGroup;
use super::response::{GroupResponse, JoinResponse};
use super::subscription;
use super::turn::{Then, Turn};
use crate::shell::Ticket;

/// Maximum part of the client id in a member id, in bytes.
const CLIENT_ID_BYTES_MAX: usize = 200;

/// Checks a JoinGroup independently of its group.
pub(super) fn check(config: &GroupConfig, join: &JoinGroup) -> Result<(), GroupError> {
    let (min_ms, max_ms) = (config.session_timeout_min_ms, config.session_timeout_max_ms);
    let timeout_ms = join.session_timeout_ms;
    if !(min_ms..=max_ms).contains(&timeout_ms) {
        return Err(GroupError::InvalidSessionTimeout {
            timeout_ms,
            min_ms,
            max_ms,
        });
    }
    let bytes = join.bytes();
    if bytes > config.metadata_bytes_max {
        return Err(GroupError::MetadataTooLarge {
            bytes,
            limit: config.metadata_bytes_max,
        });
    }
    Ok(())
}

/// Returns a new member id: the client id and a unique suffix.
pub(super) fn member_id(client_id: &str, unique: impl std::fmt::Display) -> MemberId {
    // A character must not be split.
    let mut end = client_id.len().min(CLIENT_ID_BYTES_MAX);
    while !client_id.is_char_boundary(end) {
        end -= 1;
    }
    MemberId::from(format!("{}-{unique}", &client_id[..end]))
}

/// Returns the response to the successor of a static member after the append of its record: the
/// successor is in its generation, if both still exist.
pub(super) fn successor_response(
    group: Option<&Group>,
    outcome: Result<JoinResponse, GroupError>,
) -> Result<GroupResponse, GroupError> {
    let response = outcome?;
    match group {
        Some(group) if group.members.contains_key(&response.member_id) => {
            if group.generation == response.generation {
                Ok(GroupResponse::Join(response))
            } else {
                Err(GroupError::RebalanceInProgress)
            }
        }
        Some(_) | None => Err(GroupError::FencedInstance),
    }
}

impl Group {
    /// Handles a JoinGroup. Returns `None` if the response waits for the rebalance. `new_id` is the
    /// id of a new member.
    pub(super) fn join(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: Ticket,
        join: JoinGroup,
        new_id: MemberId,
    ) -> Result<Option<JoinResponse>, GroupError> {
        if !join.member_id.is_empty() {
            return self.rejoin(turn, ticket, join);
        }
        let holder = join
            .instance_id
            .as_ref()
            .and_then(|id| self.statics.get(id))
            .cloned();
        if !self.accepts_protocols(&join, holder.as_ref()) {
            return Err(GroupError::InconsistentProtocol);
        }
        if let Some(holder) = holder {
            return Ok(self.replace_static_member(turn, ticket, join, &holder, &new_id));
        }
        self.check_member_count(turn.config)?;
        // A static member is identified by its instance id, so a lost response leaves no unknown
        // member.
        if join.instance_id.is_none() && join.requires_known_member {
            let until = turn.after_ms(join.session_timeout_ms);
            self.pending.insert(new_id.clone(), until);
            return Err(GroupError::MemberIdRequired { member_id: new_id });
        }
        self.enter(turn, ticket, join, new_id);
        Ok(None)
    }

    fn rejoin(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: Ticket,
        join: JoinGroup,
    ) -> Result<Option<JoinResponse>, GroupError> {
        let id = join.member_id.clone();
        let is_pending = self.pending.contains_key(&id) && join.instance_id.is_none();
        if !is_pending {
            self.check_member(&id, join.instance_id.as_ref())?;
        }
        if !self.accepts_protocols(&join, Some(&id)) {
            return Err(GroupError::InconsistentProtocol);
        }
        if is_pending {
            self.pending.remove(&id);
            self.enter(turn, ticket, join, id);
            return Ok(None);
        }
        // A follower that repeats its JoinGroup has lost the response. A leader that does so
        // requests a rebalance: its topics can have new partitions.
        let unchanged = self
            .members
            .get(&id)
            .is_some_and(|member| member.protocols == join.protocols);
        let keeps_generation = match self.phase {
            Phase::Empty | Phase::Preparing { .. } => false,
            Phase::Completing { .. } => unchanged,
            Phase::Stable { .. } => unchanged && self.leader.as_ref() != Some(&id),
        };
        if keeps_generation {
            if let Some(member) = self.members.get_mut(&id) {
                member.touch(turn.now);
            }
            return Ok(Some(self.joined(&id)));
        }
        if let Some(mut member) = self.members.remove(&id) {
            member.update(join);
            self.wait_for_rebalance(turn, ticket, member);
        }
        Ok(None)
    }

    /// Adds a new member to the next generation.
    fn enter(&mut self, turn: &mut Turn<'_>, ticket: Ticket, join: JoinGroup, id: MemberId) {
        if self.members.is_empty() {
            self.protocol_type = Some(join.protocol_type.clone());
        }
        if let Phase::Preparing {
            gathering: Some(gathering),
            ..
        } = &mut self.phase
        {
            gathering.newcomer = true;
        }
        if let Some(instance) = &join.instance_id {
            self.statics.insert(instance.clone(), id.clone());
        }
        // The first member of an empty group leads.
        self.leader.get_or_insert_with(|| id.clone());
        self.wait_for_rebalance(turn, ticket, Member::new(id, join));
    }

    fn wait_for_rebalance(&mut self, turn: &mut Turn<'_>, ticket: Ticket, mut member: Member) {
        if member.is_new {
            // Set again by `touch` after the response.
            member.expires_at = turn.after_ms(turn.config.new_member_join_timeout_ms.max(1));
        }
        // A retry of the client: the response to the earlier request would be lost.
        if let Some(earlier) = member.wait_on(Waiting::Join(ticket)) {
            turn.reject(earlier, GroupError::RebalanceInProgress);
        }
        self.members.insert(member.id.clone(), member);
        self.rebalance_or_complete(turn);
    }

    /// Replaces the static member `holder`, whose process has restarted, and fences it. Keeps the
    /// assignment if nothing changes for the other members.
    fn replace_static_member(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: Ticket,
        join: JoinGroup,
        holder: &MemberId,
        id: &MemberId,
    ) -> Option<JoinResponse> {
        let mut member = self.members.remove(holder)?;
        if let Some(waiting) = member.wait_on(Waiting::No) {
            turn.reject(waiting, GroupError::FencedInstance);
        }
        let led = self.leader.as_ref() == Some(holder);
        if led {
            self.leader = Some(id.clone());
        }
        if let Some(instance) = &join.instance_id {
            self.statics.insert(instance.clone(), id.clone());
        }
        let skips_assignment = join.supports_skip_assignment;
        let topics_before = self.topics_of(&member);
        member.id = id.clone();
        member.is_new = true;
        member.update(join);
        member.touch(turn.now);
        let topics_stay = topics_before == self.topics_of(&member);
        self.members.insert(id.clone(), member);
        // The vote can change even if the set of common protocols does not.
        let protocol_stays = self.select_protocol() == self.protocol;
        if !matches!(self.phase, Phase::Stable { .. }) || !protocol_stays || !topics_stay {
            if let Some(member) = self.members.remove(id) {
                self.wait_for_rebalance(turn, ticket, member);
            }
            return None;
        }
        let mut response = self.joined(id);
        response.skip_assignment = led && skips_assignment;
        if led && !skips_assignment {
            // Older clients cannot skip the assignment. As the leader they would assign partitions
            // that the other members keep, so the response names the fenced member as leader.
            response.leader = holder.clone();
            response.members.clear();
        }
        if let Some(member) = self.members.get_mut(id) {
            member.is_new = false;
        }
        let metadata = self.metadata(Member::assigned);
        self.store(turn, metadata, Then::RespondToSuccessor(ticket, response));
        None
    }

    fn topics_of(&self, member: &Member) -> Option<Vec<String>> {
        let metadata = member.metadata(self.protocol.as_ref());
        let mut topics = subscription::topics(&metadata)?;
        topics.sort_unstable();
        Some(topics)
    }

    fn check_member_count(&self, config: &GroupConfig) -> Result<(), GroupError> {
        if self.members.len() + self.pending.len() < config.members_max {
            Ok(())
        } else {
            Err(GroupError::GroupMaxSize {
                limit: config.members_max,
            })
        }
    }
}
