//! Consumer groups: who is in a group, in which generation, and how far it has read.
//!
//! A pure machine decides, a thin shell does. `machine` takes a request and the time and says what
//! to answer and what to append to `__consumer_offsets`; `coordinator` owns the tickets, the timer
//! and the log. An answer that rests on a record leaves once the record is durable, and committed
//! offsets change only then, so that what a client was told survives a crash.
//!
//! ```text
//! request -> coordinator -> machine -> effects: replies            -> the waiting handlers
//!                             ^                 records + token    -> the log
//!                             +---- persisted(token) ------------------ durable
//! ```
//! The classic protocol of Kafka's groups, static members (KIP-345) included. Subscriptions and
//! assignments are opaque bytes; only the topics of a consumer's subscription are read, by the
//! rules that protect or expire offsets. Which topics exist, and how errors are numbered on the
//! wire, is not known here.

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
mod reply;
mod request;
mod session;
mod subscription;
mod turn;

#[cfg(test)]
mod laws;
#[cfg(test)]
mod scripts;

pub use config::GroupConfig;
pub use coordinator::{Coordinator, Replay};
pub use error::GroupError;
pub use ids::{Generation, GroupId, InstanceId, MemberId, ProtocolName, ProtocolType, TopicName};
pub use machine::GroupMachine;
pub use member::GroupState;
pub use record::{GroupMetadata, GroupRecord, RecordError, StoredMember, partition_of};
pub use reply::{
    DescribedMember, FetchedOffset, FetchedOffsets, GroupDescription, GroupListing, GroupReply,
    GroupSurvey, JoinReply, JoinedMember, SyncReply,
};
pub use request::{
    CommitOffsets, CommittedOffset, DeleteOffsets, GroupRequest, Heartbeat, JoinGroup, LeaveGroup,
    LeavingMember, ListGroups, OffsetToCommit, OffsetsQuery, SyncGroup,
};
pub use turn::Effects;
