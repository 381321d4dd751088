//! The table of supported APIs: keys, versions, headers, and the operation that each requires.
//!
//! The versions are close to those of Kafka 4.1: some clients fail with combinations that no
//! release of Kafka had.

use std::ops::RangeInclusive;

macro_rules! apis {
    ($($name:ident = $key:literal, $from:literal..=$to:literal, flexible $flexible:literal
        $(, $operation:ident on $resource:ident)?;)*) => {
        /// An API of the protocol.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum ApiKey {
            $(
                #[doc = concat!("Key ", $key, ", versions ", $from, " to ", $to, ".")]
                $name = $key,
            )*
        }

        impl ApiKey {
            /// All APIs in ascending order of their keys.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Returns the key on the wire.
            #[must_use]
            pub const fn code(self) -> i16 {
                match self { $(Self::$name => $key),* }
            }

            /// Returns Kafka's name of the API.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }

            /// Returns the supported versions.
            #[must_use]
            pub const fn versions(self) -> RangeInclusive<i16> {
                match self { $(Self::$name => $from..=$to),* }
            }

            /// Returns the first version with compact lengths and tagged fields (KIP-482).
            #[must_use]
            pub const fn flexible_from(self) -> i16 {
                match self { $(Self::$name => $flexible),* }
            }

            /// Returns the operation and the type of resource that a client needs permission for,
            /// as in Kafka. ApiVersions needs none.
            #[must_use]
            pub const fn required(self) -> Option<(Operation, Resource)> {
                match self {
                    $(Self::$name => apis!(@required $($operation on $resource)?)),*
                }
            }
        }

        impl TryFrom<i16> for ApiKey {
            type Error = UnknownApiKey;

            fn try_from(key: i16) -> Result<Self, UnknownApiKey> {
                match key { $($key => Ok(Self::$name),)* _ => Err(UnknownApiKey(key)) }
            }
        }
    };
    (@required) => { None };
    (@required $operation:ident on $resource:ident) => {
        Some((Operation::$operation, Resource::$resource))
    };
}

apis! {
    Produce = 0, 3..=13, flexible 9, Write on Topic;
    Fetch = 1, 4..=16, flexible 12, Read on Topic;
    ListOffsets = 2, 1..=10, flexible 6, Describe on Topic;
    Metadata = 3, 0..=12, flexible 9, Describe on Topic;
    OffsetCommit = 8, 2..=9, flexible 8, Read on Group;
    OffsetFetch = 9, 1..=9, flexible 6, Describe on Group;
    FindCoordinator = 10, 0..=6, flexible 3, Describe on Group;
    JoinGroup = 11, 0..=9, flexible 6, Read on Group;
    Heartbeat = 12, 0..=4, flexible 4, Read on Group;
    LeaveGroup = 13, 0..=5, flexible 4, Read on Group;
    SyncGroup = 14, 0..=5, flexible 4, Read on Group;
    DescribeGroups = 15, 0..=6, flexible 5, Describe on Group;
    ListGroups = 16, 0..=5, flexible 3, Describe on Cluster;
    ApiVersions = 18, 0..=5, flexible 3;
    CreateTopics = 19, 2..=7, flexible 5, Create on Cluster;
    DeleteTopics = 20, 1..=6, flexible 4, Delete on Topic;
    DeleteRecords = 21, 0..=2, flexible 2, Delete on Topic;
    InitProducerId = 22, 0..=5, flexible 2, IdempotentWrite on Cluster;
    OffsetForLeaderEpoch = 23, 2..=4, flexible 4, Describe on Topic;
    DescribeAcls = 29, 1..=3, flexible 2, Describe on Cluster;
    CreateAcls = 30, 1..=3, flexible 2, Alter on Cluster;
    DeleteAcls = 31, 1..=3, flexible 2, Alter on Cluster;
    DescribeConfigs = 32, 1..=4, flexible 4, DescribeConfigs on Topic;
    AlterConfigs = 33, 0..=2, flexible 2, AlterConfigs on Topic;
    AlterReplicaLogDirs = 34, 1..=2, flexible 2, Alter on Cluster;
    DescribeLogDirs = 35, 1..=4, flexible 2, Describe on Cluster;
    CreatePartitions = 37, 0..=3, flexible 2, Alter on Topic;
    DeleteGroups = 42, 0..=2, flexible 2, Delete on Group;
    ElectLeaders = 43, 0..=2, flexible 2, Alter on Cluster;
    IncrementalAlterConfigs = 44, 0..=1, flexible 1, AlterConfigs on Topic;
    AlterPartitionReassignments = 45, 0..=0, flexible 0, Alter on Cluster;
    ListPartitionReassignments = 46, 0..=0, flexible 0, Describe on Cluster;
    // No version of OffsetDelete is flexible.
    OffsetDelete = 47, 0..=0, flexible 32767, Delete on Group;
    DescribeClientQuotas = 48, 0..=1, flexible 1, DescribeConfigs on Cluster;
    DescribeUserScramCredentials = 50, 0..=0, flexible 0, Describe on Cluster;
    DescribeQuorum = 55, 0..=2, flexible 0, Describe on Cluster;
    UpdateFeatures = 57, 0..=2, flexible 0, Alter on Cluster;
    DescribeCluster = 60, 0..=2, flexible 0, Describe on Cluster;
    DescribeProducers = 61, 0..=0, flexible 0, Read on Topic;
    ListTransactions = 66, 0..=2, flexible 0, Describe on Cluster;
    ListConfigResources = 74, 0..=1, flexible 0, DescribeConfigs on Cluster;
    DescribeTopicPartitions = 75, 0..=0, flexible 0, Describe on Topic;
}

/// An operation on a resource, with Kafka's code (`AclOperation`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are Kafka's")]
pub enum Operation {
    Read = 3,
    Write = 4,
    Create = 5,
    Delete = 6,
    Alter = 7,
    Describe = 8,
    ClusterAction = 9,
    DescribeConfigs = 10,
    AlterConfigs = 11,
    IdempotentWrite = 12,
}

/// A type of resource on which operations are authorized (`ResourceType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are Kafka's")]
pub enum Resource {
    Topic,
    Group,
    Cluster,
}

impl Resource {
    /// Returns the operations that exist on resources of this type.
    #[must_use]
    pub const fn operations(self) -> &'static [Operation] {
        use Operation::{
            Alter, AlterConfigs, ClusterAction, Create, Delete, Describe, DescribeConfigs,
            IdempotentWrite, Read, Write,
        };
        match self {
            Self::Topic => &[
                Read,
                Write,
                Create,
                Delete,
                Alter,
                Describe,
                DescribeConfigs,
                AlterConfigs,
            ],
            Self::Group => &[Read, Delete, Describe, DescribeConfigs, AlterConfigs],
            Self::Cluster => &[
                Create,
                Alter,
                Describe,
                ClusterAction,
                DescribeConfigs,
                AlterConfigs,
                IdempotentWrite,
            ],
        }
    }
}

/// An API key that Avouch does not support.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("API key {0} is not supported")]
pub struct UnknownApiKey(pub i16);

impl ApiKey {
    /// Returns the versions to advertise in an ApiVersions response.
    #[must_use]
    pub const fn advertised_versions(self) -> RangeInclusive<i16> {
        match self {
            // Versions 0 to 2 are advertised but rejected, as in Kafka: otherwise librdkafka before
            // 2.11.1 does not compress (KAFKA-18659).
            Self::Produce => 0..=*Self::Produce.versions().end(),
            _ => self.versions(),
        }
    }

    /// Returns the version of the request header: 2 has tagged fields, 1 has none.
    #[must_use]
    pub const fn request_header_version(self, version: i16) -> i16 {
        if version >= self.flexible_from() {
            2
        } else {
            1
        }
    }

    /// Returns the version of the response header: 1 has tagged fields, 0 has none.
    #[must_use]
    pub const fn response_header_version(self, version: i16) -> i16 {
        match self {
            // A client decodes this response before it knows the supported versions (KIP-511).
            Self::ApiVersions => 0,
            _ => (version >= self.flexible_from()) as i16,
        }
    }
}
