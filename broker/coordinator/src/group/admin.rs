//! Administration: describe, list and delete groups.

use bytes::Bytes;

use super::error::GroupError;
use super::member::{Group, Phase};
use super::offsets::{all_partitions, tombstones};
use super::record::GroupRecord;
use super::request::ListGroups;
use super::response::{
    DescribedMember, GroupDescription, GroupListing, GroupResponse, GroupSurvey,
};
use super::turn::{Then, Turn};
use crate::shell::Ticket;

impl Group {
    /// Describes the group. Metadata and assignments are those of a stable generation.
    pub(super) fn describe(&self) -> GroupDescription {
        let is_stable = matches!(self.phase, Phase::Stable { .. });
        let protocol = self.protocol.as_ref().filter(|_| is_stable);
        let members = self.members.values().map(|member| DescribedMember {
            member_id: member.id.clone(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            metadata: member.metadata(protocol),
            assignment: if is_stable {
                member.assigned()
            } else {
                Bytes::new()
            },
        });
        GroupDescription {
            group: self.id.clone(),
            state: self.state(),
            protocol_type: self.protocol_type.clone(),
            protocol: protocol.cloned(),
            members: members.collect(),
        }
    }

    /// Returns the group's entry in a list, or `None` if the filter excludes it.
    pub(super) fn list(&self, filter: &ListGroups) -> Option<GroupListing> {
        let has = |names: &[String], name: &str| {
            names.is_empty() || names.iter().any(|given| given.eq_ignore_ascii_case(name))
        };
        let state = self.state();
        let listed =
            has(&filter.states, &state.to_string()) && has(&filter.types, GroupListing::TYPE);
        listed.then(|| GroupListing {
            group: self.id.clone(),
            protocol_type: self.protocol_type.clone(),
            state,
        })
    }

    /// Returns the group's members and its first `offsets_max` offsets.
    pub(super) fn survey(&self, offsets_max: usize) -> GroupSurvey {
        let offsets = self.offsets.iter().take(offsets_max);
        GroupSurvey {
            group: self.id.clone(),
            members: self.members.len(),
            offsets: offsets
                .map(|(topic, partition, committed)| (topic.clone(), partition, committed.offset))
                .collect(),
        }
    }

    /// Deletes the group with all its offsets. The response waits for the records.
    pub(super) fn delete(&self, turn: &mut Turn<'_>, ticket: Ticket) -> Result<(), GroupError> {
        if !matches!(self.phase, Phase::Empty) {
            return Err(GroupError::NonEmptyGroup);
        }
        // Commits in flight are appended before these records, so their offsets are included.
        let mut records = tombstones(&self.id, all_partitions(&self.id, Some(self), turn));
        records.push(GroupRecord::Group {
            group: self.id.clone(),
            value: None,
        });
        turn.persist(
            &self.id,
            records,
            Then::Response(ticket, GroupResponse::DeleteGroup),
        );
        Ok(())
    }
}
