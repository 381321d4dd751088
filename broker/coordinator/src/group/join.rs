//! JoinGroup: who may enter, under which id, and whether it takes a rebalance.
//!
//! | the member | the group | what happens |
//! |---|---|---|
//! | has no id, must know one | any | it gets an id and comes back (KIP-394) |
//! | is new | any | enters; rebalance |
//! | holds its id | Preparing | joins the generation to come |
//! | holds its id, says the same | Completing, or Stable and a follower | current generation |
//! | holds its id, else | Completing, Stable | rebalance |
//! | succeeds a static member | Stable, same protocol, topics | current generation (KIP-345) |
//! | succeeds a static member | otherwise | rebalance |
//!
//! Invariant: whoever is refused changes nothing.

use super::config::GroupConfig;
use super::error::GroupError;
use super::ids::MemberId;
use super::member::{Group, Member, Parked, Phase};
use super::reply::{GroupReply, JoinReply};
use super::request::JoinGroup;
use super::subscription;
use super::turn::{Then, Turn};
use crate::shell::Ticket;

/// Bytes of a client id that go into the ids of its members.
const CLIENT_ID_BYTES_MAX: usize = 200;

/// Checks what can be said of a JoinGroup without its group.
pub(super) fn check(config: &GroupConfig, join: &JoinGroup) -> Result<(), GroupError> {
    let (min_ms, max_ms) = (config.session_timeout_min_ms, config.session_timeout_max_ms);
    let asked_ms = join.session_timeout_ms;
    if !(min_ms..=max_ms).contains(&asked_ms) {
        return Err(GroupError::InvalidSessionTimeout {
            asked_ms,
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

/// A new member's id: the client's name for itself and something nobody else has.
pub(super) fn member_id(client_id: &str, unique: impl std::fmt::Display) -> MemberId {
    let mut end = client_id.len().min(CLIENT_ID_BYTES_MAX);
    while !client_id.is_char_boundary(end) {
        end -= 1;
    }
    MemberId::from(format!("{}-{unique}", &client_id[..end]))
}

/// Answers a static member's successor, whose place is durable by now or not: it is in the
/// generation it found, if both are still there.
pub(super) fn succeeded(
    group: Option<&Group>,
    outcome: Result<JoinReply, GroupError>,
) -> Result<GroupReply, GroupError> {
    let reply = outcome?;
    match group {
        Some(group) if group.members.contains_key(&reply.member_id) => {
            if group.generation == reply.generation {
                Ok(GroupReply::Join(reply))
            } else {
                Err(GroupError::RebalanceInProgress)
            }
        }
        Some(_) | None => Err(GroupError::FencedInstance),
    }
}

impl Group {
    /// Answers a JoinGroup, or parks it and returns `None`. `fresh` is the id it gets if it is new.
    pub(super) fn join(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: Ticket,
        join: JoinGroup,
        fresh: MemberId,
    ) -> Result<Option<JoinReply>, GroupError> {
        if !join.member_id.is_empty() {
            return self.join_under_id(turn, ticket, join);
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
            return Ok(self.succeed(turn, ticket, join, &holder, &fresh));
        }
        self.check_room(turn.config)?;
        if join.instance_id.is_none() && join.requires_known_member {
            let until = turn.after_ms(join.session_timeout_ms);
            self.pending.insert(fresh.clone(), until);
            return Err(GroupError::MemberIdRequired { member_id: fresh });
        }
        self.enter(turn, ticket, join, fresh);
        Ok(None)
    }

    fn join_under_id(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: Ticket,
        join: JoinGroup,
    ) -> Result<Option<JoinReply>, GroupError> {
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
        let says_the_same = self
            .members
            .get(&id)
            .is_some_and(|member| member.protocols == join.protocols);
        let may_go_on = match self.phase {
            Phase::Empty | Phase::Preparing { .. } => false,
            Phase::Completing { .. } => says_the_same,
            Phase::Stable { .. } => says_the_same && self.leader.as_ref() != Some(&id),
        };
        if may_go_on {
            if let Some(member) = self.members.get_mut(&id) {
                member.touch(turn.now);
            }
            return Ok(Some(self.joined(&id)));
        }
        if let Some(mut member) = self.members.remove(&id) {
            member.update(join);
            self.wait_for_the_others(turn, ticket, member);
        }
        Ok(None)
    }

    /// A new member: the generation to come has it.
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
        self.leader.get_or_insert_with(|| id.clone());
        self.wait_for_the_others(turn, ticket, Member::new(id, join));
    }

    fn wait_for_the_others(&mut self, turn: &mut Turn<'_>, ticket: Ticket, mut member: Member) {
        if member.is_new {
            member.expires_at = turn.after_ms(turn.config.new_member_join_timeout_ms.max(1));
        }
        if let Some(earlier) = member.park(Parked::Join(ticket)) {
            turn.refuse(earlier, GroupError::RebalanceInProgress);
        }
        self.members.insert(member.id.clone(), member);
        self.rebalance_or_complete(turn);
    }

    /// A static member comes back as a new process: it takes the place, and where nothing changes
    /// for the others also the assignment, of `holder`, which is fenced from now on.
    fn succeed(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: Ticket,
        join: JoinGroup,
        holder: &MemberId,
        id: &MemberId,
    ) -> Option<JoinReply> {
        let mut member = self.members.remove(holder)?;
        if let Some(parked) = member.park(Parked::No) {
            turn.refuse(parked, GroupError::FencedInstance);
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
        let protocol_stays = self.select_protocol() == self.protocol;
        if !matches!(self.phase, Phase::Stable { .. }) || !protocol_stays || !topics_stay {
            if let Some(member) = self.members.remove(id) {
                self.wait_for_the_others(turn, ticket, member);
            }
            return None;
        }
        let mut reply = self.joined(id);
        reply.skip_assignment = led && skips_assignment;
        if led && !skips_assignment {
            // A client that cannot be told to keep the assignment must not take itself for the
            // leader, or it would assign anew what the others keep.
            reply.leader = holder.clone();
            reply.members.clear();
        }
        if let Some(member) = self.members.get_mut(id) {
            member.is_new = false;
        }
        let metadata = self.metadata(Member::assigned);
        self.store(turn, metadata, Then::Succeed(ticket, reply));
        None
    }

    fn topics_of(&self, member: &Member) -> Option<Vec<String>> {
        let metadata = member.metadata(self.protocol.as_ref());
        let mut topics = subscription::topics(&metadata)?;
        topics.sort_unstable();
        Some(topics)
    }

    fn check_room(&self, config: &GroupConfig) -> Result<(), GroupError> {
        if self.members.len() + self.pending.len() < config.members_max {
            Ok(())
        } else {
            Err(GroupError::GroupMaxSize {
                limit: config.members_max,
            })
        }
    }
}
