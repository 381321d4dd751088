//! Record batches for tests. The log does not parse records, so the bytes after the header only
//! contain a number that identifies the batch.

use avouch_protocol::batch::{HEADER_BYTES, crc32c};
use avouch_protocol::types::{PartitionIndex, TopicId, TopicPartition};
use bytes::{BufMut, Bytes};
use uuid::Uuid;

use crate::{AppendBatch, Origin};

/// Properties of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spec {
    pub(super) id: u64,
    pub(super) records: i32,
    pub(super) bytes: usize,
    pub(super) max_timestamp: i64,
    /// Producer id, epoch, base sequence.
    pub(super) producer: Option<(i64, i16, i32)>,
}

impl Spec {
    pub(super) fn new(id: u64) -> Self {
        Self {
            id,
            records: 1,
            bytes: 100,
            max_timestamp: 1_000,
            producer: None,
        }
    }

    pub(super) fn build(self) -> Bytes {
        let (producer_id, epoch, sequence) = self.producer.unwrap_or((-1, -1, -1));
        let size = self.bytes.max(HEADER_BYTES + 8);
        let mut batch = Vec::with_capacity(size);
        batch.put_i64(0);
        batch.put_i32(i32::try_from(size - 12).unwrap());
        batch.put_i32(-1);
        batch.put_i8(2);
        batch.put_u32(0);
        batch.put_i16(0);
        batch.put_i32(self.records - 1);
        batch.put_i64(self.max_timestamp);
        batch.put_i64(self.max_timestamp);
        batch.put_i64(producer_id);
        batch.put_i16(epoch);
        batch.put_i32(sequence);
        batch.put_i32(self.records);
        batch.put_u64(self.id);
        batch.resize(size, 0x5a);
        let crc = crc32c(&batch[21..]);
        batch[17..21].copy_from_slice(&crc.to_be_bytes());
        Bytes::from(batch)
    }

    pub(super) fn append_to(self, target: TopicPartition) -> AppendBatch {
        AppendBatch {
            target,
            batch: self.build(),
            tag: 0,
            append_time: None,
            guard: None,
            origin: Origin::Client,
        }
    }
}

/// Returns the number of a batch.
pub(super) fn id_of(batch: &[u8]) -> u64 {
    u64::from_be_bytes(batch[HEADER_BYTES..HEADER_BYTES + 8].try_into().unwrap())
}

/// Returns partition 0 of topic number `topic`.
pub(crate) fn tp(topic: u128) -> TopicPartition {
    TopicPartition {
        topic: TopicId(Uuid::from_u128(topic)),
        partition: PartitionIndex(0),
    }
}
