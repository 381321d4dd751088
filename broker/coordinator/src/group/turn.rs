//! The context of one call of the machine, and the appends in flight.
//!
//! Invariant: every append has its own token and is in [`Writes`] until its result is known.

use std::collections::BTreeMap;

use avouch_protocol::types::{PartitionIndex, TimestampMs};

use super::config::{GroupConfig, OFFSET_BYTES};
use super::error::GroupError;
use super::ids::{GroupId, MemberId, TopicName};
use super::machine::GroupMachine;
use super::record::{GroupRecord, partition_of};
use super::response::{GroupResponse, JoinResponse};
use crate::shell::{self, Ticket, Token};
use bytes::Bytes;

/// The effects of one call of the group machine.
pub type Effects = shell::Effects<GroupMachine>;

/// The context of one call: time, settings, appends in flight and effects.
pub(super) struct Turn<'a> {
    pub(super) now: TimestampMs,
    pub(super) config: &'a GroupConfig,
    pub(super) writes: &'a mut Writes,
    pub(super) effects: &'a mut Effects,
}

impl Turn<'_> {
    pub(super) fn response(&mut self, ticket: Ticket, outcome: Result<GroupResponse, GroupError>) {
        self.effects.responses.push((ticket, outcome));
    }

    pub(super) fn reject(&mut self, ticket: Ticket, error: GroupError) {
        self.response(ticket, Err(error));
    }

    /// Appends `records`, and continues with `then` after they are durable.
    pub(super) fn persist(
        &mut self,
        group: &GroupId,
        records: Vec<GroupRecord>,
        then: Then,
    ) -> Token {
        // Tokens increase, so the map of appends in flight has the order of the log.
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
        self.writes.offsets_bytes += write.offsets_bytes();
        self.writes.in_flight.insert(token, write);
        token
    }

    pub(super) fn after_ms(&self, delay_ms: impl Into<i64>) -> TimestampMs {
        TimestampMs(self.now.0.saturating_add(delay_ms.into()))
    }
}

/// The appends in flight: at most one for each waiting request, and some of the machine itself.
#[derive(Debug, Default)]
pub(super) struct Writes {
    next_token: u64,
    in_flight: BTreeMap<Token, Write>,
    /// Memory of the offsets that they set.
    offsets_bytes: usize,
}

impl Writes {
    pub(super) fn take(&mut self, token: Token) -> Option<Write> {
        let write = self.in_flight.remove(&token)?;
        self.offsets_bytes -= write.offsets_bytes();
        Some(write)
    }

    /// Returns the memory of offsets in flight, in bytes.
    pub(super) fn offsets_bytes(&self) -> usize {
        self.offsets_bytes
    }

    pub(super) fn groups(&self) -> impl Iterator<Item = &GroupId> {
        self.in_flight.values().map(|write| &write.group)
    }

    /// Returns the partitions of a group with a commit in flight.
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

impl Write {
    /// Returns the memory of the offsets that it sets. A topic's name is counted for each of them.
    fn offsets_bytes(&self) -> usize {
        let bytes = self.records.iter().map(|record| match record {
            GroupRecord::Offset {
                topic,
                value: Some(value),
                ..
            } => 2 * OFFSET_BYTES + topic.as_str().len() + value.metadata.len(),
            GroupRecord::Offset { value: None, .. } | GroupRecord::Group { .. } => 0,
        });
        bytes.sum()
    }
}

/// The continuation of a durable append.
#[derive(Debug)]
pub(super) enum Then {
    Nothing,
    /// Sends the response, or the error of the append.
    Response(Ticket, GroupResponse),
    /// Responds to the successor of a static member, if member and generation still exist.
    RespondToSuccessor(Ticket, JoinResponse),
    /// Sends the leader's assignments to the members.
    Assign(BTreeMap<MemberId, Bytes>),
}
