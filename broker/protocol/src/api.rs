//! The APIs we speak: keys, versions, and which header goes with which version.
//!
//! The versions are about Kafka 4.0's, a set that existed in one release, because clients trip over
//! sets that never did. Knows nothing of the messages' fields.

use std::ops::RangeInclusive;

macro_rules! apis {
    ($($name:ident = $key:literal, $from:literal..=$to:literal, flexible $flexible:literal;)*) => {
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
            /// All of them, ascending by key.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The key on the wire.
            #[must_use]
            pub const fn code(self) -> i16 {
                match self { $(Self::$name => $key),* }
            }

            /// Kafka's name of the API.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }

            /// The versions whose messages we read and write.
            #[must_use]
            pub const fn versions(self) -> RangeInclusive<i16> {
                match self { $(Self::$name => $from..=$to),* }
            }

            /// The first version with compact lengths and tagged fields (KIP-482).
            #[must_use]
            pub const fn flexible_from(self) -> i16 {
                match self { $(Self::$name => $flexible),* }
            }
        }

        impl TryFrom<i16> for ApiKey {
            type Error = UnknownApiKey;

            fn try_from(key: i16) -> Result<Self, UnknownApiKey> {
                match key { $($key => Ok(Self::$name),)* _ => Err(UnknownApiKey(key)) }
            }
        }
    };
}

apis! {
    Produce = 0, 3..=12, flexible 9;
    Fetch = 1, 4..=16, flexible 12;
    ListOffsets = 2, 1..=9, flexible 6;
    Metadata = 3, 0..=12, flexible 9;
    OffsetCommit = 8, 2..=9, flexible 8;
    OffsetFetch = 9, 1..=9, flexible 6;
    FindCoordinator = 10, 0..=6, flexible 3;
    JoinGroup = 11, 0..=9, flexible 6;
    Heartbeat = 12, 0..=4, flexible 4;
    LeaveGroup = 13, 0..=5, flexible 4;
    SyncGroup = 14, 0..=5, flexible 4;
    DescribeGroups = 15, 0..=6, flexible 5;
    ListGroups = 16, 0..=5, flexible 3;
    ApiVersions = 18, 0..=4, flexible 3;
    CreateTopics = 19, 2..=7, flexible 5;
    DeleteTopics = 20, 1..=6, flexible 4;
    DeleteRecords = 21, 0..=2, flexible 2;
    InitProducerId = 22, 0..=5, flexible 2;
    OffsetForLeaderEpoch = 23, 2..=4, flexible 4;
    DescribeAcls = 29, 1..=3, flexible 2;
    CreateAcls = 30, 1..=3, flexible 2;
    DeleteAcls = 31, 1..=3, flexible 2;
    DescribeConfigs = 32, 1..=4, flexible 4;
    AlterConfigs = 33, 0..=2, flexible 2;
    DescribeLogDirs = 35, 1..=4, flexible 2;
    CreatePartitions = 37, 0..=3, flexible 2;
    DeleteGroups = 42, 0..=2, flexible 2;
    ElectLeaders = 43, 0..=2, flexible 2;
    IncrementalAlterConfigs = 44, 0..=1, flexible 1;
    AlterPartitionReassignments = 45, 0..=0, flexible 0;
    ListPartitionReassignments = 46, 0..=0, flexible 0;
    OffsetDelete = 47, 0..=0, flexible 32767;
    DescribeCluster = 60, 0..=1, flexible 0;
    DescribeTopicPartitions = 75, 0..=0, flexible 0;
}

/// A key that is none of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("API key {0} is unknown")]
pub struct UnknownApiKey(pub i16);

impl ApiKey {
    /// The versions to name in an ApiVersions response. Produce is named from 0 on though 0 to 2
    /// are refused: librdkafka before 2.11.1 otherwise stops compressing (KAFKA-18659).
    #[must_use]
    pub const fn advertised_versions(self) -> RangeInclusive<i16> {
        match self {
            Self::Produce => 0..=*Self::Produce.versions().end(),
            _ => self.versions(),
        }
    }

    /// The version of the header before a request: 2 has tagged fields, 1 has none.
    #[must_use]
    pub const fn request_header_version(self, version: i16) -> i16 {
        if version >= self.flexible_from() {
            2
        } else {
            1
        }
    }

    /// The version of the header before a response: 1 has tagged fields, 0 has none. ApiVersions
    /// has 0 always, so that a client can read the answer before it knows what we speak (KIP-511).
    #[must_use]
    pub const fn response_header_version(self, version: i16) -> i16 {
        match self {
            Self::ApiVersions => 0,
            _ => (version >= self.flexible_from()) as i16,
        }
    }
}
