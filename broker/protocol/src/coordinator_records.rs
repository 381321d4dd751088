//! Records of `__consumer_offsets` and the member data in them, defined by tables like messages.
//!
//! Keys and values both start with an `i16`. In a key it names the kind of the record (0 and 1 are
//! [`OffsetCommitKey`], 2 is [`GroupMetadataKey`]); in a value it is the version. No version is
//! flexible. Source: Kafka's `OffsetCommitKey.json`, `OffsetCommitValue.json`,
//! `GroupMetadataKey.json`, `GroupMetadataValue.json`.

use std::ops::RangeInclusive;

use bytes::Bytes;

use crate::WireError;
use crate::chunk::joined;
use crate::message::{Shape, Wire, structures};
use crate::reader::Reader;
use crate::writer::Writer;

/// A key or a value of a coordinator record, or an opaque part of one.
pub trait CoordinatorRecord: Wire {
    /// The type's name, for errors.
    const NAME: &str;
    /// The supported leading numbers.
    const VERSIONS: RangeInclusive<i16>;

    /// Decodes `bytes`. Returns the leading number too, since the meaning of a missing field can
    /// differ from its default. Bytes after the last field are ignored, as in Kafka.
    ///
    /// # Errors
    /// [`WireError::UnknownRecordVersion`], or the error of an invalid field.
    fn from_stored(bytes: &[u8]) -> Result<(i16, Self), WireError> {
        let mut reader = Reader::new(Bytes::copy_from_slice(bytes));
        let version = reader.i16()?;
        // A later version can reuse or reorder fields, so nothing of it is decoded.
        if !Self::VERSIONS.contains(&version) {
            return Err(WireError::UnknownRecordVersion {
                record: Self::NAME,
                version,
            });
        }
        Ok((version, Self::read(&mut reader, shape(version))?))
    }

    /// Encodes the record with `version` as its leading number.
    ///
    /// # Errors
    /// [`WireError::TooLong`] if a string has more than 32,767 bytes.
    fn to_stored(&self, version: i16) -> Result<Bytes, WireError> {
        let mut writer = Writer::new();
        writer.i16(version);
        self.write(&mut writer, shape(version))?;
        let chunks = writer.finish();
        Ok(joined(&chunks).expect("records hold no file ranges"))
    }
}

fn shape(version: i16) -> Shape {
    Shape {
        version,
        flexible: false,
    }
}

macro_rules! records {
    ($($name:ident $versions:expr;)*) => {$(
        impl CoordinatorRecord for $name {
            const NAME: &str = stringify!($name);
            const VERSIONS: RangeInclusive<i16> = $versions;
        }
    )*};
}

records! {
    OffsetCommitKey 0..=1;
    OffsetCommitValue 0..=3;
    GroupMetadataKey 2..=2;
    GroupMetadataValue 0..=3;
    // Later versions only append fields, so the topics are decoded whatever the version.
    ConsumerProtocolSubscription i16::MIN..=i16::MAX;
}

structures! {
    /// The key of a committed offset.
    pub struct OffsetCommitKey {
        group: String,
        topic: String,
        partition: i32,
    }

    /// A committed offset.
    pub struct OffsetCommitValue {
        offset: i64,
        leader_epoch: i32 [3.., ignorable] = -1,
        metadata: String,
        commit_timestamp: i64,
        expire_timestamp: i64 [1..=1, ignorable] = -1,
    }

    /// The key of a group's metadata.
    pub struct GroupMetadataKey {
        group: String,
    }

    /// A group after a rebalance.
    pub struct GroupMetadataValue {
        protocol_type: String,
        generation: i32,
        protocol: Option<String>,
        leader: Option<String>,
        current_state_timestamp: i64 [2.., ignorable] = -1,
        members: Vec<MemberMetadata>,
    }

    /// A member of the group.
    pub struct MemberMetadata {
        member_id: String,
        group_instance_id: Option<String> [3.., ignorable] = None,
        client_id: String,
        client_host: String,
        rebalance_timeout: i32 [1.., ignorable],
        session_timeout: i32,
        subscription: Bytes,
        assignment: Bytes,
    }

    /// The first fields of a consumer's subscription. Only clients use the other fields.
    pub struct ConsumerProtocolSubscription {
        topics: Vec<String>,
    }
}
