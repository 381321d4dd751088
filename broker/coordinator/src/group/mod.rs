//! Consumer groups: members, generations and committed offsets.
//!
//! `machine` is a pure state machine: from a request and the time it computes responses and records
//! of `__consumer_offsets`. `coordinator` runs it with a timer and the log. A response that depends
//! on a record is sent after the record is durable, and committed offsets change only then, so that
//! a crash loses nothing that was acknowledged.
//!
//! ```text
//! request -> coordinator -> machine -> effects: responses          -> the waiting handlers
//!                             ^                 records + token    -> the log
//!                             +---- persisted(token) ------------------ durable
//! ```
//! Implements Kafka's classic group protocol with static members (KIP-345). Subscriptions and
//! assignments are opaque bytes, except that the topics of a consumer's subscription protect their
//! offsets from deletion and expiry.

mod admin;
mod config;
mod coordinator;
mod error;
mod ids;
mod join;
mod machine;
mod member;
mod offsets;
mod rebalance;
mod record;
mod request;
mod response;
mod session;
mod subscription;
mod turn;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod scripts;

pub use config::GroupConfig;
pub use coordinator::{Coordinator, Replay};
pub use error::GroupError;
pub use ids::{Generation, GroupId, InstanceId, MemberId, ProtocolName, ProtocolType, TopicName};
pub use machine::GroupMachine;
pub use member::GroupState;
pub use record::{GroupMetadata, GroupRecord, RecordError, StoredMember, partition_of};
pub use request::{
    CommitOffsets, CommittedOffset, DeleteOffsets, GroupRequest, Heartbeat, JoinGroup, LeaveGroup,
    LeavingMember, ListGroups, OffsetToCommit, OffsetsQuery, SyncGroup,
};
pub use response::{
    DescribedMember, FetchedOffset, FetchedOffsets, GroupDescription, GroupListing, GroupResponse,
    GroupSurvey, JoinResponse, JoinedMember, SyncResponse,
};
pub use turn::Effects;
