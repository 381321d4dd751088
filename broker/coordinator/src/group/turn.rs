//! One turn of the machine: the time, the limits, and where effects go; and the appends in flight.
//!
//! Invariant: every append gets a fresh token and stays here until its outcome is known, in the
//! order of the log. Knows nothing of what the records mean.

use std::collections::BTreeMap;

use avouch_protocol::types::{PartitionIndex, TimestampMs};

use super::config::GroupConfig;
use super::error::GroupError;
use super::ids::{GroupId, MemberId, TopicName};
use super::machine::GroupMachine;
use super::record::{GroupRecord, partition_of};
use super::reply::{GroupReply, JoinReply};
use crate::shell::{self, Ticket, Token};
use bytes::Bytes;

/// The effects of one call of the group machine.
pub type Effects = shell::Effects<GroupMachine>;

/// What one call of the machine works with.
pub(super) struct Turn<'a> {
    pub(super) now: TimestampMs,
    pub(super) config: &'a GroupConfig,
    pub(super) writes: &'a mut Writes,
    pub(super) effects: &'a mut Effects,
}

impl Turn<'_> {
    pub(super) fn reply(&mut self, ticket: Ticket, outcome: Result<GroupReply, GroupError>) {
        self.effects.replies.push((ticket, outcome));
    }

    pub(super) fn refuse(&mut self, ticket: Ticket, error: GroupError) {
        self.reply(ticket, Err(error));
    }

    /// Appends `records`; `then` happens once they are durable.
    pub(super) fn persist(
        &mut self,
        group: &GroupId,
        records: Vec<GroupRecord>,
        then: Then,
    ) -> Token {
        let token = Token(self.writes.next_token);
        self.writes.next_token += 1;
        let partition = partition_of(group, self.config.offsets_partitions);
        self.effects
            .persist
            .push((token, partition, records.clone()));
        let write = Write {
            group: group.clone(),
            records,
            then,
        };
        self.writes.in_flight.insert(token, write);
        token
    }

    pub(super) fn after_ms(&self, delay_ms: impl Into<i64>) -> TimestampMs {
        TimestampMs(self.now.0.saturating_add(delay_ms.into()))
    }
}

/// The appends whose outcome is not known yet. As many as there are requests that wait for one, and
/// a few of the machine's own.
#[derive(Debug, Default)]
pub(super) struct Writes {
    next_token: u64,
    in_flight: BTreeMap<Token, Write>,
}

impl Writes {
    pub(super) fn take(&mut self, token: Token) -> Option<Write> {
        self.in_flight.remove(&token)
    }

    pub(super) fn groups(&self) -> impl Iterator<Item = &GroupId> {
        self.in_flight.values().map(|write| &write.group)
    }

    /// The partitions of a group whose commits are on their way to the log.
    pub(super) fn commits<'a>(
        &'a self,
        group: &'a GroupId,
    ) -> impl Iterator<Item = (&'a TopicName, PartitionIndex)> {
        let of_group = self
            .in_flight
            .values()
            .filter(move |write| write.group == *group);
        of_group
            .flat_map(|write| &write.records)
            .filter_map(|record| match record {
                GroupRecord::Offset {
                    topic,
                    partition,
                    value: Some(_),
                    ..
                } => Some((topic, *partition)),
                GroupRecord::Offset { value: None, .. } | GroupRecord::Group { .. } => None,
            })
    }
}

/// One append in flight.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) group: GroupId,
    pub(super) records: Vec<GroupRecord>,
    pub(super) then: Then,
}

/// What happens once an append is durable.
#[derive(Debug)]
pub(super) enum Then {
    Nothing,
    /// The request is answered; if the append failed, with that.
    Reply(Ticket, GroupReply),
    /// A static member's successor joins the generation it found, if both are still there.
    Succeed(Ticket, JoinReply),
    /// The generation whose leader sent these gets its assignments.
    Assign(BTreeMap<MemberId, Bytes>),
}
