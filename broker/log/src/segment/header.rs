//! Header of a segment file, which names the partition and the segment.
//!
//! A file in the place of another one is detected even if its batches are valid. Files of earlier
//! formats have no header.

use std::io;
use std::sync::Arc;

use avouch_protocol::batch::crc32c;
use avouch_protocol::types::{Offset, TopicPartition};
use bytes::BufMut;

use crate::codec::Reader;
use crate::disk::DiskFile;
use crate::segment::{Generation, SegmentMeta};

/// Bytes of the header.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 64;
pub(crate) const SEGMENT_MAGIC: [u8; 8] = *b"AVOUCHSG";
const VERSION: u32 = 1;
const CRC_AT: usize = 60;

/// The identity of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) tp: TopicPartition,
    pub(crate) base_offset: Offset,
    pub(crate) generation: Generation,
}

impl SegmentHeader {
    pub(crate) fn of(tp: TopicPartition, meta: &SegmentMeta) -> Self {
        Self {
            tp,
            base_offset: meta.base_offset,
            generation: meta.generation,
        }
    }

    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        let mut at = &mut bytes[..];
        at.put_slice(&SEGMENT_MAGIC);
        at.put_u32(VERSION);
        at.put_slice(self.tp.topic.0.as_bytes());
        at.put_i32(self.tp.partition.0);
        at.put_i64(self.base_offset.0);
        at.put_u32(self.generation.0);
        let crc = crc32c(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    /// Decodes a header; returns `None` if it is corrupt.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let magic = reader.take::<8>()?;
        let version = reader.u32()?;
        let header = Self {
            tp: reader.topic_partition()?,
            base_offset: reader.offset()?,
            generation: Generation(reader.u32()?),
        };
        let crc: &[u8] = bytes.get(CRC_AT..SEGMENT_HEADER_BYTES)?;
        let is_right = crc == crc32c(bytes.get(..CRC_AT)?).to_be_bytes();
        (magic == SEGMENT_MAGIC && version == VERSION && is_right).then_some(header)
    }

    /// Reads the header of a segment file and compares it with this one. A corrupt header is
    /// accepted, because each batch has a CRC of its own; `avouch log verify` reports it.
    ///
    /// # Errors
    /// `InvalidData` if the header names another segment, and the errors of the file system.
    pub(crate) fn check(&self, file: &dyn DiskFile) -> io::Result<()> {
        match Self::read(file)? {
            Some(found) if found != *self => {
                let reason = format!("the file contains another segment: {found}");
                Err(io::Error::new(io::ErrorKind::InvalidData, reason))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Reads the header of a segment file; returns `None` if it is corrupt.
    pub(crate) fn read(file: &dyn DiskFile) -> io::Result<Option<Self>> {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        let filled = file.read_at(&mut bytes, 0)?;
        Ok(bytes.get(..filled).and_then(Self::decode))
    }
}

impl std::fmt::Display for SegmentHeader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (base_offset, generation) = (self.base_offset, self.generation.0);
        write!(
            f,
            "{}, offset {base_offset}, generation {generation}",
            self.tp
        )
    }
}

/// The batches of a segment file: the file without its header.
#[derive(Debug)]
pub(crate) struct SegmentBody {
    file: Arc<dyn DiskFile>,
    start: u64,
}

impl SegmentBody {
    /// Returns the part of `file` after the header that `meta` describes.
    pub(crate) fn of(file: Arc<dyn DiskFile>, meta: &SegmentMeta) -> Arc<dyn DiskFile> {
        match u64::from(meta.header_bytes) {
            0 => file,
            start => Arc::new(Self { file, start }),
        }
    }
}

impl DiskFile for SegmentBody {
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.file.write_at(bytes, at + self.start)
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        self.file.read_at(into, at + self.start)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes + self.start)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.file.size_bytes()?.saturating_sub(self.start))
    }

    fn system_file(self: Arc<Self>) -> Option<Arc<std::fs::File>> {
        Arc::clone(&self.file).system_file()
    }
}
