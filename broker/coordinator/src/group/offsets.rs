//! Committed offsets: commit, fetch, deletion and expiry.
//!
//! Invariant: only durable records change an offset (replay calls `set` and `remove`), so no
//! response contains an offset that a crash could lose.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use avouch_protocol::types::{PartitionIndex, TimestampMs};

use super::config::{GroupConfig, OFFSET_BYTES};
use super::error::GroupError;
use super::ids::{Generation, GroupId, TopicName};
use super::member::{Group, Phase};
use super::record::GroupRecord;
use super::request::{CommitOffsets, CommittedOffset, DeleteOffsets, OffsetToCommit, OffsetsQuery};
use super::response::{FetchedOffset, FetchedOffsets, GroupResponse};
use super::subscription;
use super::turn::{Then, Turn};
use crate::shell::Ticket;

/// A result for each partition, in the order of the request.
type Outcomes = Vec<Result<(), GroupError>>;

/// A group's durable offsets.
#[derive(Debug, Default)]
pub(super) struct Offsets {
    topics: BTreeMap<TopicName, BTreeMap<PartitionIndex, CommittedOffset>>,
    /// Memory of all offsets and topic names.
    bytes: usize,
}

impl Offsets {
    pub(super) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    pub(super) fn set(&mut self, topic: TopicName, at: PartitionIndex, value: CommittedOffset) {
        self.bytes += bytes_of(&value.metadata);
        let partitions = match self.topics.entry(topic) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                self.bytes += bytes_of(new.key().as_str());
                new.insert(BTreeMap::new())
            }
        };
        let replaced = partitions.insert(at, value);
        self.bytes -= replaced.map_or(0, |replaced| bytes_of(&replaced.metadata));
    }

    pub(super) fn remove(&mut self, topic: &TopicName, partition: PartitionIndex) {
        if let Some(partitions) = self.topics.get_mut(topic) {
            let removed = partitions.remove(&partition);
            self.bytes -= removed.map_or(0, |removed| bytes_of(&removed.metadata));
            // An empty map would keep the group alive, see `Group::is_unused`.
            if partitions.is_empty() {
                self.topics.remove(topic);
                self.bytes -= bytes_of(topic.as_str());
            }
        }
    }

    /// Returns the memory in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn get(&self, topic: &str, partition: PartitionIndex) -> Option<&CommittedOffset> {
        self.topics.get(topic)?.get(&partition)
    }

    pub(super) fn iter(
        &self,
    ) -> impl Iterator<Item = (&TopicName, PartitionIndex, &CommittedOffset)> {
        self.topics.iter().flat_map(|(topic, partitions)| {
            partitions
                .iter()
                .map(move |(partition, value)| (topic, *partition, value))
        })
    }
}

/// Returns the memory of a string and the entry that contains it.
fn bytes_of(text: &str) -> usize {
    OFFSET_BYTES + text.len()
}

/// The change of a group's memory by a commit, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Growth {
    pub(super) added: usize,
    pub(super) replaced: usize,
}

impl Growth {
    /// Returns the change by the offsets of `commit` whose metadata are accepted.
    pub(super) fn of(config: &GroupConfig, group: Option<&Group>, commit: &CommitOffsets) -> Self {
        let mut growth = Self {
            added: 0,
            replaced: 0,
        };
        let mut new_topics = BTreeSet::new();
        let accepted = |offset: &&OffsetToCommit| check_metadata(config, offset).is_ok();
        for offset in commit.offsets.iter().filter(accepted) {
            growth.added += bytes_of(&offset.metadata);
            let topics = group.map(|group| &group.offsets.topics);
            match topics.and_then(|topics| topics.get(&offset.topic)) {
                Some(partitions) => {
                    let replaced = partitions.get(&offset.partition);
                    growth.replaced += replaced.map_or(0, |value| bytes_of(&value.metadata));
                }
                None if new_topics.insert(&offset.topic) => {
                    growth.added += bytes_of(offset.topic.as_str());
                }
                None => {}
            }
        }
        growth
    }
}

/// Commits offsets. Clients without a group protocol can commit for an unknown group. Returns
/// `None` if the response waits for the records.
pub(super) fn commit(
    group: Option<&mut Group>,
    turn: &mut Turn<'_>,
    ticket: Ticket,
    commit: CommitOffsets,
) -> Result<Option<Outcomes>, GroupError> {
    match group {
        Some(group) => group.check_commit(turn, &commit)?,
        // A client that assigns partitions to itself creates the group with its first commit.
        None if commit.generation < Generation(0) => {}
        None => {
            let current = Generation::NONE;
            return Err(GroupError::IllegalGeneration { current });
        }
    }
    let outcomes: Outcomes = commit
        .offsets
        .iter()
        .map(|offset| check_metadata(turn.config, offset))
        .collect();
    // An overflow means that the offset never expires.
    let expires_at = commit
        .retention_ms
        .map(|retention_ms| TimestampMs(turn.now.0.saturating_add(retention_ms)));
    let accepted = commit
        .offsets
        .into_iter()
        .zip(&outcomes)
        .filter(|(_, ok)| ok.is_ok());
    let records: Vec<GroupRecord> = accepted
        .map(|(offset, _)| GroupRecord::Offset {
            group: commit.group.clone(),
            topic: offset.topic,
            partition: offset.partition,
            value: Some(CommittedOffset {
                offset: offset.offset,
                leader_epoch: offset.leader_epoch,
                metadata: offset.metadata,
                committed_at: turn.now,
                expires_at,
            }),
        })
        .collect();
    if records.is_empty() {
        return Ok(Some(outcomes));
    }
    let then = Then::Response(ticket, GroupResponse::CommitOffsets(outcomes));
    turn.persist(&commit.group, records, then);
    Ok(None)
}

/// Returns the durable offsets of a query. An unknown group has none.
pub(super) fn fetch(group: Option<&Group>, query: OffsetsQuery) -> FetchedOffsets {
    let offsets = match (query.partitions, group) {
        (Some(partitions), group) => partitions
            .into_iter()
            .map(|(topic, partition)| FetchedOffset {
                committed: group
                    .and_then(|g| g.offsets.get(topic.as_str(), partition))
                    .cloned(),
                topic,
                partition,
            })
            .collect(),
        (None, Some(group)) => group
            .offsets
            .iter()
            .map(|(topic, partition, committed)| FetchedOffset {
                topic: topic.clone(),
                partition,
                committed: Some(committed.clone()),
            })
            .collect(),
        (None, None) => Vec::new(),
    };
    FetchedOffsets {
        group: query.group,
        offsets,
    }
}

/// Deletes a group's offsets of a deleted topic, including commits in flight.
pub(super) fn delete_topic_offsets(
    id: &GroupId,
    group: Option<&Group>,
    turn: &mut Turn<'_>,
    topic: &TopicName,
) {
    let mut deleted = all_partitions(id, group, turn);
    deleted.retain(|(of, _)| of == topic);
    if !deleted.is_empty() {
        turn.persist(id, tombstones(id, deleted), Then::Nothing);
    }
}

/// Returns every partition with an offset, durable or in flight.
pub(super) fn all_partitions(
    id: &GroupId,
    group: Option<&Group>,
    turn: &Turn<'_>,
) -> BTreeSet<(TopicName, PartitionIndex)> {
    let durable = group.into_iter().flat_map(|group| group.offsets.iter());
    let durable = durable.map(|(topic, partition, _)| (topic, partition));
    let all = durable.chain(turn.writes.commits(id));
    all.map(|(topic, partition)| (topic.clone(), partition))
        .collect()
}

/// Returns tombstones for the offsets of `partitions`.
pub(super) fn tombstones(
    group: &GroupId,
    partitions: impl IntoIterator<Item = (TopicName, PartitionIndex)>,
) -> Vec<GroupRecord> {
    let tombstones = partitions
        .into_iter()
        .map(|(topic, partition)| GroupRecord::Offset {
            group: group.clone(),
            topic,
            partition,
            value: None,
        });
    tombstones.collect()
}

fn check_metadata(config: &GroupConfig, offset: &OffsetToCommit) -> Result<(), GroupError> {
    let (bytes, limit) = (offset.metadata.len(), config.offset_metadata_bytes_max);
    if bytes > limit {
        Err(GroupError::OffsetMetadataTooLarge { bytes, limit })
    } else {
        Ok(())
    }
}

impl Group {
    /// Deletes offsets on request. Returns `None` if the response waits for the records.
    pub(super) fn delete_offsets(
        &self,
        turn: &mut Turn<'_>,
        ticket: Ticket,
        request: &DeleteOffsets,
    ) -> Result<Option<Outcomes>, GroupError> {
        let subscribed = match self.phase {
            Phase::Empty => BTreeSet::new(),
            Phase::Preparing { .. } | Phase::Completing { .. } | Phase::Stable { .. } => {
                // Without known subscriptions any offset could be in use.
                self.subscribed_topics().ok_or(GroupError::NonEmptyGroup)?
            }
        };
        let mut outcomes = Vec::with_capacity(request.partitions.len());
        let mut deleted = Vec::new();
        for (topic, partition) in &request.partitions {
            if subscribed.contains(topic.as_str()) {
                outcomes.push(Err(GroupError::GroupSubscribedToTopic));
            } else {
                deleted.push((topic.clone(), *partition));
                outcomes.push(Ok(()));
            }
        }
        if deleted.is_empty() {
            return Ok(Some(outcomes));
        }
        let then = Then::Response(ticket, GroupResponse::DeleteOffsets(outcomes));
        turn.persist(&self.id, tombstones(&self.id, deleted), then);
        Ok(None)
    }

    /// Deletes expired offsets, and the group itself if it is empty and has none left. Must not be
    /// called while a write of the group is in flight.
    pub(super) fn expire_offsets(&self, turn: &mut Turn<'_>) {
        let deleted = self.expired(turn);
        // An issued id keeps the group, and a group that was never stored needs no tombstone.
        let all_go = self.offsets.iter().count() == deleted.len();
        let mut records = tombstones(&self.id, deleted);
        if all_go && matches!(self.phase, Phase::Empty) && self.pending.is_empty() && self.stored {
            records.push(GroupRecord::Group {
                group: self.id.clone(),
                value: None,
            });
        }
        if !records.is_empty() {
            turn.persist(&self.id, records, Then::Nothing);
        }
    }

    fn check_commit(&mut self, turn: &Turn<'_>, commit: &CommitOffsets) -> Result<(), GroupError> {
        // Kafka accepts a commit without a generation while the group is empty.
        let of_no_generation = commit.generation < Generation(0);
        let is_empty = matches!(self.phase, Phase::Empty);
        if of_no_generation && is_empty {
            return Ok(());
        }
        if of_no_generation && commit.member_id.is_empty() && commit.instance_id.is_none() {
            return Err(GroupError::UnknownMember);
        }
        self.check_member(&commit.member_id, commit.instance_id.as_ref())?;
        self.check_generation(commit.generation)?;
        // All members have joined the next generation and must sync before they commit in it.
        if matches!(self.phase, Phase::Completing { .. }) {
            return Err(GroupError::RebalanceInProgress);
        }
        self.touch(turn, &commit.member_id);
        Ok(())
    }

    /// Returns the partitions whose retention has expired (KIP-211). In an empty group it starts
    /// when the group becomes empty; in a stable one, and only for topics without subscribers, with
    /// the commit. A retention that the client requested has precedence.
    fn expired(&self, turn: &Turn<'_>) -> Vec<(TopicName, PartitionIndex)> {
        let subscribed = self.subscribed_topics();
        let is_old = |value: &CommittedOffset, since: i64| match value.expires_at {
            Some(at) => turn.now >= at,
            None => turn.now.0.saturating_sub(since) >= turn.config.offsets_retention_ms,
        };
        let expired = self
            .offsets
            .iter()
            .filter(|(topic, _, value)| match self.phase {
                Phase::Empty => is_old(value, value.committed_at.0.max(self.phase_since.0)),
                Phase::Stable { .. } => {
                    let read = subscribed
                        .as_ref()
                        .is_none_or(|topics| topics.contains(topic.as_str()));
                    !read && is_old(value, value.committed_at.0)
                }
                // The subscriptions of the next generation are not known yet.
                Phase::Preparing { .. } | Phase::Completing { .. } => false,
            });
        expired
            .map(|(topic, partition, _)| (topic.clone(), partition))
            .collect()
    }

    /// Returns the subscribed topics, or `None` if they are unknown: the protocol type is not
    /// `consumer`, or the metadata have another format.
    fn subscribed_topics(&self) -> Option<BTreeSet<String>> {
        if self
            .protocol_type
            .as_ref()
            .is_none_or(|kind| kind.as_str() != "consumer")
        {
            return None;
        }
        let mut all = BTreeSet::new();
        for (_, metadata) in self.members.values().flat_map(|member| &member.protocols) {
            all.extend(subscription::topics(metadata)?);
        }
        Some(all)
    }
}
