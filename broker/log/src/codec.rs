//! Bounds-checked reading of big-endian fields from bytes that may be corrupt. The layouts are
//! defined by `frame`, `index` and `checkpoint`.

use avouch_protocol::types::{Offset, PartitionIndex, TopicId, TopicPartition};
use uuid::Uuid;

/// Reads consecutive fields; each read returns `None` at the end of the bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Returns the position of the next field.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Returns the number of bytes left.
    pub(crate) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(crate) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let taken = *self.bytes.get(self.at..)?.first_chunk::<N>()?;
        self.at += N;
        Some(taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    pub(crate) fn i16(&mut self) -> Option<i16> {
        self.take().map(i16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Option<i32> {
        self.take().map(i32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.take().map(i64::from_be_bytes)
    }

    pub(crate) fn offset(&mut self) -> Option<Offset> {
        self.i64().map(Offset)
    }

    pub(crate) fn topic(&mut self) -> Option<TopicId> {
        self.take().map(Uuid::from_bytes).map(TopicId)
    }

    pub(crate) fn topic_partition(&mut self) -> Option<TopicPartition> {
        let topic = self.topic()?;
        let partition = PartitionIndex(self.i32()?);
        Some(TopicPartition { topic, partition })
    }

    /// Reads a count of items of at least `item_bytes` each. Returns `None` if more items are
    /// counted than can follow, so a corrupt count cannot cause a large allocation.
    pub(crate) fn count(&mut self, item_bytes: usize) -> Option<usize> {
        let count = usize::try_from(self.u32()?).ok()?;
        (count.checked_mul(item_bytes)? <= self.left()).then_some(count)
    }
}
