//! Formats responses and records as lines of a script.

use bytes::Bytes;

use super::World;
use crate::group::{
    FetchedOffsets, GroupDescription, GroupError, GroupListing, GroupMetadata, GroupRecord,
    GroupResponse, JoinResponse,
};

impl World {
    /// Formats the response to `who`, and remembers its member id and generation.
    pub(super) fn show(&mut self, who: &str, outcome: Result<GroupResponse, GroupError>) -> String {
        match outcome {
            Err(GroupError::MemberIdRequired { member_id }) => {
                let generation = super::Generation::NONE;
                self.known
                    .insert(who.to_owned(), (member_id.clone(), generation));
                format!("must know its id: {}", self.label(&member_id))
            }
            Err(error) => format!("rejected: {error}"),
            Ok(GroupResponse::Join(response)) => self.show_join(who, &response),
            Ok(GroupResponse::Sync(response)) => {
                format!(
                    "synced protocol={} assignment={}",
                    response.protocol,
                    shown(&response.assignment)
                )
            }
            Ok(GroupResponse::Heartbeat) => "lives".to_owned(),
            Ok(GroupResponse::Leave(outcomes)) => format!("left: {}", show_outcomes(&outcomes)),
            Ok(GroupResponse::CommitOffsets(outcomes)) => {
                format!("committed: {}", show_outcomes(&outcomes))
            }
            Ok(GroupResponse::FetchOffsets(groups)) => groups
                .iter()
                .map(show_offsets)
                .collect::<Vec<_>>()
                .join(" | "),
            Ok(GroupResponse::Describe(groups)) => {
                let groups = groups.into_iter().map(|group| match group {
                    Ok(group) => self.show_description(&group),
                    Err(error) => format!("rejected: {error}"),
                });
                groups.collect::<Vec<_>>().join(" | ")
            }
            Ok(GroupResponse::List(groups)) => or_none(
                groups
                    .iter()
                    .map(show_listing)
                    .collect::<Vec<_>>()
                    .join(", "),
            ),
            Ok(GroupResponse::DeleteGroup) => "done".to_owned(),
            Ok(GroupResponse::DeleteOffsets(outcomes)) => show_outcomes(&outcomes),
        }
    }

    pub(super) fn show_record(&mut self, record: &GroupRecord) -> String {
        match record {
            GroupRecord::Offset {
                group,
                topic,
                partition,
                value,
            } => match value {
                Some(value) => format!("{group} {topic}-{partition}={}", value.offset),
                None => format!("{group} {topic}-{partition} forgotten"),
            },
            GroupRecord::Group { group, value: None } => format!("{group} deleted"),
            GroupRecord::Group {
                group,
                value: Some(metadata),
            } => {
                format!("{group} {}", self.show_metadata(metadata))
            }
        }
    }

    fn show_metadata(&mut self, metadata: &GroupMetadata) -> String {
        let members = metadata.members.iter().map(|member| {
            format!(
                "{}:{}",
                self.label(&member.member_id),
                shown(&member.assignment)
            )
        });
        let members = members.collect::<Vec<_>>().join(" ");
        format!("generation={} members=[{members}]", metadata.generation)
    }

    fn show_join(&mut self, who: &str, response: &JoinResponse) -> String {
        self.known.insert(
            who.to_owned(),
            (response.member_id.clone(), response.generation),
        );
        let (id, leader) = (
            self.label(&response.member_id),
            self.label(&response.leader),
        );
        let mut text = format!(
            "joined as {id} generation={} protocol={} leader={leader}",
            response.generation, response.protocol
        );
        if !response.members.is_empty() {
            let members = response.members.iter().map(|member| {
                format!(
                    "{}:{}",
                    self.label(&member.member_id),
                    shown(&member.metadata)
                )
            });
            text += &format!(" members=[{}]", members.collect::<Vec<_>>().join(" "));
        }
        if response.skip_assignment {
            text += " skip";
        }
        text
    }

    fn show_description(&mut self, group: &GroupDescription) -> String {
        let members = group.members.iter().map(|member| {
            let instance = member.instance_id.as_ref().map(|name| format!("({name})"));
            let label = self.label(&member.member_id);
            let (metadata, assignment) = (shown(&member.metadata), shown(&member.assignment));
            format!(
                "{label}{} metadata={metadata} assignment={assignment}",
                instance.unwrap_or_default()
            )
        });
        let members = members.collect::<Vec<_>>().join(", ");
        let kind = group
            .protocol_type
            .as_ref()
            .map_or("none", |kind| kind.as_str());
        let protocol = group.protocol.as_ref().map_or("none", |name| name.as_str());
        format!(
            "{} {} type={kind} protocol={protocol} members=[{members}]",
            group.group, group.state
        )
    }
}

fn show_listing(group: &GroupListing) -> String {
    let kind = group
        .protocol_type
        .as_ref()
        .map_or("none", |kind| kind.as_str());
    format!("{} {} type={kind}", group.group, group.state)
}

fn show_offsets(fetched: &FetchedOffsets) -> String {
    let offsets = fetched
        .offsets
        .iter()
        .map(|fetched| match &fetched.committed {
            None => format!("{}-{}=none", fetched.topic, fetched.partition),
            Some(value) if value.metadata.is_empty() => {
                format!("{}-{}={}", fetched.topic, fetched.partition, value.offset)
            }
            Some(value) => {
                let (offset, note) = (value.offset, &value.metadata);
                format!("{}-{}={offset} ({note})", fetched.topic, fetched.partition)
            }
        });
    format!(
        "{}: {}",
        fetched.group,
        or_none(offsets.collect::<Vec<_>>().join(" "))
    )
}

fn or_none(list: String) -> String {
    if list.is_empty() {
        "none".to_owned()
    } else {
        list
    }
}

fn show_outcomes(outcomes: &[Result<(), GroupError>]) -> String {
    let outcomes = outcomes.iter().map(|outcome| match outcome {
        Ok(()) => "ok".to_owned(),
        Err(error) => error.to_string(),
    });
    outcomes.collect::<Vec<_>>().join(", ")
}

/// Formats opaque bytes: a subscription by its topics, others as text.
fn shown(bytes: &Bytes) -> String {
    match crate::group::subscription::topics(bytes) {
        Some(topics) => topics.join("+"),
        None if bytes.is_empty() => "-".to_owned(),
        None => String::from_utf8_lossy(bytes).into_owned(),
    }
}
