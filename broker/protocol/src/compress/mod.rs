//! Compression of a batch's records, and decompression with a hard stop.
//!
//! Invariant: decompressing writes at most [`Limits`]' bytes, whatever the compressed bytes claim,
//! and memory follows what was written, not what was claimed. The stored bytes are never changed;
//! this buffer is only looked at.

mod lz4;

use std::fmt;
use std::io::{self, Read, Write};

use flate2::{Crc, Decompress, FlushDecompress, Status};
use thiserror::Error;
use zstd::zstd_safe::{self, DCtx, ResetDirective};

use super::batch::Codec;
use super::section::{SLACK_BYTES, Section};

/// How much a batch may grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Decompressed bytes of one batch. Default 32 MiB; raising it lets every checking thread
    /// grow its buffer that far.
    pub max_bytes: usize,
    /// Decompressed bytes for each compressed one. Default 200.
    pub ratio: usize,
    /// Decompressed bytes up to which any ratio passes. Default 4 MiB.
    pub ratio_free_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 32 << 20,
            ratio: 200,
            ratio_free_bytes: 4 << 20,
        }
    }
}

impl Limits {
    /// The most that `compressed_bytes` may become.
    #[must_use]
    pub fn cap(&self, compressed_bytes: usize) -> usize {
        let by_ratio = compressed_bytes.saturating_mul(self.ratio);
        self.max_bytes.min(by_ratio.max(self.ratio_free_bytes))
    }
}

/// Why there are no decompressed bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InflateError {
    /// There would be more than the limits allow.
    #[error("more than {cap} bytes from {compressed}")]
    TooLarge {
        /// The most allowed.
        cap: usize,
        /// Compressed bytes.
        compressed: usize,
    },
    /// The bytes are not what their codec writes, end too early, or need a zstd window of more
    /// than [`ZSTD_WINDOW_LOG`] bits.
    #[error("corrupt or cut short")]
    Corrupt,
}

/// Bits of the largest zstd window: 8 MiB, which is what level 19 uses. It bounds the memory of
/// frames that do not say their size; the others are written straight into the buffer.
pub const ZSTD_WINDOW_LOG: u32 = 23;

/// A larger buffer is given back before the next batch.
const KEPT_BUFFER_BYTES: usize = 4 << 20;

/// What the buffer grows by, at least, while gzip is inflated.
const GZIP_STEP_BYTES: usize = 64 << 10;

/// A zstd block, of this header at least, stands for at most so many bytes (RFC 8878, 3.1.1.2).
const ZSTD_BLOCK_HEADER_BYTES: usize = 3;
const ZSTD_BLOCK_BYTES: usize = 128 << 10;

/// A snappy element of two bytes or more stands for at most 64 bytes.
const SNAPPY_RATIO: usize = 32;
const XERIAL_MAGIC: &[u8] = b"\x82SNAPPY\0";
const XERIAL_HEADER_BYTES: usize = 16;
const XERIAL_BLOCK_BYTES: usize = 32 << 10;

/// A buffer for decompressed records, and what the codecs need, used again and again; one a thread.
#[derive(Default)]
pub struct Decompressor {
    buffer: Vec<u8>,
    zstd: Option<DCtx<'static>>,
    gzip: Option<Box<Decompress>>,
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor")
            .field("capacity", &self.buffer.capacity())
            .finish()
    }
}

impl Decompressor {
    /// A decompressor without memory yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes of memory that the buffer holds on to.
    #[must_use]
    pub fn buffer_bytes(&self) -> usize {
        self.buffer.capacity()
    }

    /// What the last successful [`Decompressor::inflate`] of a compressed section gave.
    #[must_use]
    pub fn inflated(&self) -> Section<'_> {
        let end = self.buffer.len().saturating_sub(SLACK_BYTES);
        Section::within(&self.buffer, &self.buffer[..end])
    }

    /// The records section that `compressed` stands for: itself without a codec, else a view of
    /// the buffer, which has [`SLACK_BYTES`] behind it.
    ///
    /// # Errors
    /// When it would grow beyond `limits`, or is not what the codec writes to its last byte.
    pub fn inflate<'a>(
        &'a mut self,
        codec: Codec,
        compressed: impl Into<Section<'a>>,
        limits: Limits,
    ) -> Result<Section<'a>, InflateError> {
        let section = compressed.into();
        let compressed = section.bytes();
        let cap = limits.cap(compressed.len());
        if self.buffer.capacity() > KEPT_BUFFER_BYTES {
            self.buffer = Vec::new();
        }
        self.buffer.clear();
        match codec {
            Codec::None if compressed.len() > limits.max_bytes => {
                return Err(too_large(limits.max_bytes, compressed));
            }
            Codec::None => return Ok(section),
            Codec::Gzip => self.gzip(compressed, cap)?,
            Codec::Snappy => self.snappy(compressed, cap)?,
            Codec::Lz4 => lz4::inflate(compressed, cap, &mut self.buffer)?,
            Codec::Zstd => self.zstd(compressed, cap)?,
        }
        self.buffer.resize(self.buffer.len() + SLACK_BYTES, 0);
        Ok(self.inflated())
    }

    /// Members of gzip, one after the other, each whole to its checksum.
    fn gzip(&mut self, compressed: &[u8], cap: usize) -> Result<(), InflateError> {
        let mut inflate = self
            .gzip
            .take()
            .unwrap_or_else(|| Box::new(Decompress::new(false)));
        let mut rest = compressed;
        let mut members = || loop {
            inflate.reset(false);
            let start = self.buffer.len();
            let body = behind_gzip_header(rest).ok_or(InflateError::Corrupt)?;
            let behind = self.deflated(&mut inflate, body, cap, compressed)?;
            let mut sum = Crc::new();
            sum.update(&self.buffer[start..]);
            let trailer = [sum.sum().to_le_bytes(), sum.amount().to_le_bytes()].concat();
            rest = behind
                .strip_prefix(&*trailer)
                .ok_or(InflateError::Corrupt)?;
            if rest.is_empty() {
                return Ok(());
            }
        };
        let inflated = members();
        self.gzip = Some(inflate);
        inflated
    }

    /// One deflated stream at the start of `body`; answers what stands behind it.
    fn deflated<'b>(
        &mut self,
        inflate: &mut Decompress,
        body: &'b [u8],
        cap: usize,
        compressed: &[u8],
    ) -> Result<&'b [u8], InflateError> {
        let mut rest = body;
        loop {
            let start = self.buffer.len();
            if start == self.buffer.capacity() {
                self.buffer.reserve((cap + 1 - start).min(GZIP_STEP_BYTES));
            }
            let read_before = inflate.total_in();
            let status = inflate.decompress_vec(rest, &mut self.buffer, FlushDecompress::None);
            if self.buffer.len() > cap {
                return Err(too_large(cap, compressed));
            }
            let read = inflate.total_in() - read_before;
            rest = &rest[usize::try_from(read).expect("it is within the bytes given")..];
            match status {
                Ok(Status::StreamEnd) => return Ok(rest),
                Ok(Status::Ok | Status::BufError) if read > 0 || self.buffer.len() > start => {}
                Ok(Status::Ok | Status::BufError) | Err(_) => return Err(InflateError::Corrupt),
            }
        }
    }

    fn zstd(&mut self, compressed: &[u8], cap: usize) -> Result<(), InflateError> {
        let mut context = self.zstd.take().unwrap_or_else(DCtx::create);
        let mut rest = compressed;
        let mut frames = || {
            while !rest.is_empty() {
                let (frame, behind) = split_zstd_frame(rest).ok_or(InflateError::Corrupt)?;
                self.zstd_frame(&mut context, frame, cap, compressed)?;
                rest = behind;
            }
            Ok(())
        };
        let inflated = frames();
        self.zstd = Some(context);
        inflated
    }

    /// One frame: at one go if it says its size, else as a stream with a bounded window. The
    /// library would choose by the room that happens to be in the buffer, and compares a declared
    /// size with what came out on one of its ways only.
    fn zstd_frame(
        &mut self,
        context: &mut DCtx<'static>,
        frame: &[u8],
        cap: usize,
        compressed: &[u8],
    ) -> Result<(), InflateError> {
        context
            .reset(ResetDirective::SessionOnly)
            .expect("a session can always be reset, whatever state the last frame left");
        let declared =
            zstd_safe::get_frame_content_size(frame).map_err(|_| InflateError::Corrupt)?;
        let Some(size) = declared else {
            let mut decoder =
                zstd::stream::read::Decoder::with_context(frame, context).single_frame();
            decoder
                .window_log_max(ZSTD_WINDOW_LOG)
                .expect("the parameter is in range and no frame has begun");
            return drain(decoder, cap, compressed, &mut self.buffer);
        };
        let start = self.buffer.len();
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size > cap - start {
            return Err(too_large(cap, compressed));
        }
        if size > frame.len() / ZSTD_BLOCK_HEADER_BYTES * ZSTD_BLOCK_BYTES {
            return Err(InflateError::Corrupt);
        }
        self.buffer.resize(start + size, 0);
        match context.decompress(&mut self.buffer[start..], frame) {
            Ok(written) if written == size => Ok(()),
            _ => Err(InflateError::Corrupt),
        }
    }

    /// Raw snappy, or xerial's frames as Java clients write them: a header, then blocks of raw
    /// snappy with their big-endian length before them; headers may come again between blocks.
    fn snappy(&mut self, compressed: &[u8], cap: usize) -> Result<(), InflateError> {
        if !compressed.starts_with(XERIAL_MAGIC) {
            return self.snappy_block(compressed, cap, compressed);
        }
        let mut rest = compressed;
        while !rest.is_empty() {
            if rest.starts_with(XERIAL_MAGIC) {
                rest = rest
                    .get(XERIAL_HEADER_BYTES..)
                    .ok_or(InflateError::Corrupt)?;
                continue;
            }
            let (length, behind) = rest.split_first_chunk().ok_or(InflateError::Corrupt)?;
            let length = usize::try_from(i32::from_be_bytes(*length));
            let (block, behind) = length
                .ok()
                .and_then(|length| behind.split_at_checked(length))
                .ok_or(InflateError::Corrupt)?;
            self.snappy_block(block, cap, compressed)?;
            rest = behind;
        }
        Ok(())
    }

    fn snappy_block(
        &mut self,
        block: &[u8],
        cap: usize,
        compressed: &[u8],
    ) -> Result<(), InflateError> {
        let length = snap::raw::decompress_len(block).map_err(|_| InflateError::Corrupt)?;
        let start = self.buffer.len();
        if length > cap - start {
            return Err(too_large(cap, compressed));
        }
        if length > block.len().saturating_mul(SNAPPY_RATIO) {
            return Err(InflateError::Corrupt);
        }
        self.buffer.resize(start + length, 0);
        snap::raw::Decoder::new()
            .decompress(block, &mut self.buffer[start..])
            .map(|_| ())
            .map_err(|_| InflateError::Corrupt)
    }
}

/// What `decoder` gives, behind what is in `buffer`.
fn drain(
    decoder: impl Read,
    cap: usize,
    compressed: &[u8],
    buffer: &mut Vec<u8>,
) -> Result<(), InflateError> {
    let room = cap - buffer.len();
    let read = decoder.take(room as u64 + 1).read_to_end(buffer);
    if buffer.len() > cap {
        return Err(too_large(cap, compressed));
    }
    read.map(|_| ()).map_err(|_| InflateError::Corrupt)
}

fn too_large(cap: usize, compressed: &[u8]) -> InflateError {
    InflateError::TooLarge {
        cap,
        compressed: compressed.len(),
    }
}

/// What stands behind the header of a gzip member (RFC 1952, 2.3).
fn behind_gzip_header(bytes: &[u8]) -> Option<&[u8]> {
    const MAGIC_AND_DEFLATE: [u8; 3] = [0x1f, 0x8b, 8];
    const TIME_AND_SYSTEM_BYTES: usize = 6;
    let (&flags, rest) = bytes.strip_prefix(&MAGIC_AND_DEFLATE)?.split_first()?;
    let has = |bit: u8| flags & bit != 0;
    if has(0xe0) {
        return None;
    }
    let mut rest = rest.get(TIME_AND_SYSTEM_BYTES..)?;
    if has(0x04) {
        let (length, extra) = rest.split_first_chunk()?;
        rest = extra.get(usize::from(u16::from_le_bytes(*length))..)?;
    }
    for name_or_comment in [0x08, 0x10] {
        if has(name_or_comment) {
            let end = rest.iter().position(|&byte| byte == 0)?;
            rest = &rest[end + 1..];
        }
    }
    if has(0x02) {
        let (sum, behind) = rest.split_first_chunk()?;
        let mut header = Crc::new();
        header.update(&bytes[..bytes.len() - rest.len()]);
        let [low, high, ..] = header.sum().to_le_bytes();
        rest = Some(behind).filter(|_| *sum == [low, high])?;
    }
    Some(rest)
}

/// The first zstd frame of `bytes`, complete, and what stands behind it.
fn split_zstd_frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let size = zstd_safe::find_frame_compressed_size(bytes).ok()?;
    bytes.split_at_checked(size)
}

/// `section` compressed so that every client reads it: snappy in xerial's frames, LZ4 in
/// independent blocks (the Java client takes no others), zstd at its default level.
#[must_use]
pub fn compress(codec: Codec, section: &[u8]) -> Vec<u8> {
    match codec {
        Codec::None => section.to_vec(),
        Codec::Gzip => gzip(section).expect("writing to memory does not fail"),
        Codec::Snappy => snappy(section),
        Codec::Lz4 => lz4::compress(section).expect("writing to memory does not fail"),
        Codec::Zstd => zstd::bulk::compress(section, zstd::DEFAULT_COMPRESSION_LEVEL)
            .expect("the output buffer has zstd's own bound"),
    }
}

fn gzip(section: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(section)?;
    encoder.finish()
}

fn snappy(section: &[u8]) -> Vec<u8> {
    let mut out = [XERIAL_MAGIC, &1_i32.to_be_bytes(), &1_i32.to_be_bytes()].concat();
    let mut encoder = snap::raw::Encoder::new();
    for part in section.chunks(XERIAL_BLOCK_BYTES) {
        let block = encoder
            .compress_vec(part)
            .expect("32 KiB are below snappy's 4 GiB");
        let length = u32::try_from(block.len()).expect("snappy grows 32 KiB by a sixth at most");
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&block);
    }
    out
}
