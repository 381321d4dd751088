//! Encoding of record batches that the broker writes itself, such as committed offsets.

use bytes::Bytes;

use super::batch::{Codec, HEADER_BYTES, LENGTH_PREFIX_BYTES, crc32c};
use super::compress::compress;
use super::varint;
use crate::types::{ProducerEpoch, ProducerId, Sequence, TimestampMs};

/// Builds one batch of magic 2 with base offset 0 and leader epoch -1, which the log overwrites
/// when it appends. The timestamp of the first record is the base timestamp.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    codec: Codec,
    producer_id: ProducerId,
    producer_epoch: ProducerEpoch,
    base_sequence: Sequence,
    attributes: i16,
    base_timestamp: TimestampMs,
    max_timestamp: TimestampMs,
    record_count: i32,
    section: Vec<u8>,
    fields: Vec<u8>,
}

impl BatchBuilder {
    /// Returns a builder without records and without a producer.
    #[must_use]
    pub fn new(codec: Codec) -> Self {
        Self {
            codec,
            producer_id: ProducerId(-1),
            producer_epoch: ProducerEpoch(-1),
            base_sequence: Sequence(-1),
            attributes: 0,
            base_timestamp: TimestampMs(-1),
            max_timestamp: TimestampMs(-1),
            record_count: 0,
            section: Vec::new(),
            fields: Vec::new(),
        }
    }

    /// Sets the producer and the sequence of the first record.
    #[must_use]
    pub fn producer(mut self, id: ProducerId, epoch: ProducerEpoch, sequence: Sequence) -> Self {
        (self.producer_id, self.producer_epoch, self.base_sequence) = (id, epoch, sequence);
        self
    }

    /// Marks the batch as part of its producer's transaction.
    #[must_use]
    pub fn transactional(mut self) -> Self {
        self.attributes |= 0x10;
        self
    }

    /// Marks the batch as a control batch.
    #[must_use]
    pub fn control(mut self) -> Self {
        self.attributes |= 0x20;
        self
    }

    /// Returns the number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.record_count).expect("it counts up from 0")
    }

    /// Returns true if there are no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.record_count == 0
    }

    /// Appends a record; `None` is null.
    ///
    /// # Panics
    /// If the batch exceeds 2^31-1 bytes. The limits on the broker's own records are far below.
    pub fn push(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        timestamp: TimestampMs,
        headers: &[(&[u8], Option<&[u8]>)],
    ) -> &mut Self {
        // Deltas are relative to the first record, which then has the delta 0.
        if self.is_empty() {
            self.base_timestamp = timestamp;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        let fields = &mut self.fields;
        fields.clear();
        // The attributes of a record are unused and always 0.
        fields.push(0);
        varint::write(fields, timestamp.0 - self.base_timestamp.0);
        varint::write(fields, i64::from(self.record_count));
        put(fields, key);
        put(fields, value);
        varint::write(fields, wide(headers.len()));
        for (key, value) in headers {
            put(fields, Some(key));
            put(fields, *value);
        }
        varint::write(&mut self.section, wide(fields.len()));
        self.section.extend_from_slice(fields);
        assert!(
            self.section.len() < i32::MAX as usize,
            "a batch has less than 2 GiB"
        );
        self.record_count += 1;
        self
    }

    /// Returns the encoded batch.
    ///
    /// # Panics
    /// If there is no record.
    #[must_use]
    pub fn finish(&self) -> Bytes {
        assert!(!self.is_empty(), "a batch has at least one record");
        let section = compress(self.codec, &self.section);
        let mut batch = Vec::with_capacity(HEADER_BYTES + section.len());
        let length = HEADER_BYTES - LENGTH_PREFIX_BYTES + section.len();
        let length = i32::try_from(length).expect("the section is far below 2 GiB");
        batch.extend_from_slice(&0_i64.to_be_bytes());
        batch.extend_from_slice(&length.to_be_bytes());
        batch.extend_from_slice(&(-1_i32).to_be_bytes());
        batch.push(2);
        // The CRC covers the bytes after it, so it is filled in last.
        let crc_at = batch.len();
        batch.extend_from_slice(&[0; 4]);
        let crc_from = batch.len();
        batch.extend_from_slice(&(self.attributes | self.codec.bits()).to_be_bytes());
        batch.extend_from_slice(&(self.record_count - 1).to_be_bytes());
        batch.extend_from_slice(&self.base_timestamp.0.to_be_bytes());
        batch.extend_from_slice(&self.max_timestamp.0.to_be_bytes());
        batch.extend_from_slice(&self.producer_id.0.to_be_bytes());
        batch.extend_from_slice(&self.producer_epoch.0.to_be_bytes());
        batch.extend_from_slice(&self.base_sequence.0.to_be_bytes());
        batch.extend_from_slice(&self.record_count.to_be_bytes());
        batch.extend_from_slice(&section);
        let crc = crc32c(&batch[crc_from..]);
        batch[crc_at..crc_from].copy_from_slice(&crc.to_be_bytes());
        batch.into()
    }
}

fn put(fields: &mut Vec<u8>, bytes: Option<&[u8]>) {
    varint::write(fields, bytes.map_or(-1, |bytes| wide(bytes.len())));
    fields.extend_from_slice(bytes.unwrap_or_default());
}

fn wide(length: usize) -> i64 {
    i64::try_from(length).expect("no slice has more than 2^63-1 bytes")
}
