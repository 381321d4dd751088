//! DescribeTopicPartitions: returns the partitions of topics in pages (KIP-966).

use uuid::Uuid;

use crate::WireError;
use crate::message::{Examples, Shape, Wire, message};
use crate::reader::Reader;
use crate::writer::Writer;

message! {
    DescribeTopicPartitions:
    /// The topics, and the start of the page.
    pub struct DescribeTopicPartitionsRequest {
        topics: Vec<TopicRequest>,
        response_partition_limit: i32 = 2000,
        cursor: Option<Cursor>,
    }

    /// A topic by name.
    pub struct TopicRequest {
        name: String,
    }

    /// The first partition of the next page.
    pub struct Cursor {
        topic_name: String,
        partition_index: i32,
    }
}

message! {
    DescribeTopicPartitions:
    /// A page of partitions.
    pub struct DescribeTopicPartitionsResponse {
        throttle_time_ms: i32,
        topics: Vec<DescribeTopicPartitionsResponseTopic>,
        next_cursor: Option<Cursor>,
    }

    /// A topic, or an error.
    pub struct DescribeTopicPartitionsResponseTopic {
        error_code: i16,
        name: Option<String>,
        topic_id: Uuid,
        is_internal: bool,
        partitions: Vec<DescribeTopicPartitionsResponsePartition>,
        /// One bit for each operation. The default means that the client did not request them.
        topic_authorized_operations: i32 = i32::MIN,
    }

    /// A partition and its replicas.
    pub struct DescribeTopicPartitionsResponsePartition {
        error_code: i16,
        partition_index: i32,
        leader_id: i32,
        leader_epoch: i32 = -1,
        replica_nodes: Vec<i32>,
        isr_nodes: Vec<i32>,
        eligible_leader_replicas: Option<Vec<i32>>,
        last_known_elr: Option<Vec<i32>>,
        offline_replicas: Vec<i32>,
    }
}

// A nullable structure starts with a byte: 1, or -1 for null.
impl Wire for Option<Cursor> {
    fn min_bytes(_: Shape) -> usize {
        1
    }

    fn read(reader: &mut Reader, shape: Shape) -> Result<Self, WireError> {
        match reader.i8()? {
            present if present >= 0 => Ok(Some(Cursor::read(reader, shape)?)),
            _ => Ok(None),
        }
    }

    fn write(&self, writer: &mut Writer, shape: Shape) -> Result<(), WireError> {
        writer.i8(if self.is_some() { 1 } else { -1 });
        self.iter()
            .try_for_each(|cursor| cursor.write(writer, shape))
    }

    fn is_null(&self) -> bool {
        self.is_none()
    }

    fn example(examples: &mut Examples, shape: Shape) -> Self {
        (!examples.bare).then(|| Wire::example(examples, shape))
    }
}
