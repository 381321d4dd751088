//! Compression of a batch's records, and decompression with a hard limit.
//!
//! Invariant: decompression writes at most the bytes that [`Limits`] allow, whatever size the
//! compressed bytes declare, and memory grows with the bytes written, not with the declared size.

mod lz4;

use std::fmt;
use std::io::{self, Read, Write};

use flate2::{Crc, Decompress, FlushDecompress, Status};
use thiserror::Error;
use zstd::zstd_safe::{self, DCtx, ResetDirective};

use super::batch::Codec;
use super::section::{PADDING_BYTES, Section};

/// Limits on the decompressed size of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Decompressed bytes of one batch. Default 64 MiB; each thread that checks
    /// batches can have a buffer of this size.
    pub max_bytes: usize,
    /// Decompressed bytes for each compressed one. Default 1,000.
    pub ratio: usize,
    /// Decompressed bytes up to which any ratio passes. Default 4 MiB.
    pub ratio_free_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 64 << 20,
            ratio: 1_000,
            ratio_free_bytes: 4 << 20,
        }
    }
}

impl Limits {
    /// Limits for stored batches, which were accepted earlier, perhaps under other limits: only
    /// memory is bounded, to 1 GiB. No limit of accepted batches is higher.
    pub const STORED: Self = Self {
        max_bytes: 1 << 30,
        ratio: usize::MAX,
        ratio_free_bytes: 1 << 30,
    };

    /// Returns the maximum decompressed size of `compressed_bytes` bytes.
    #[must_use]
    pub fn cap(&self, compressed_bytes: usize) -> usize {
        let by_ratio = compressed_bytes.saturating_mul(self.ratio);
        self.max_bytes.min(by_ratio.max(self.ratio_free_bytes))
    }
}

/// An error of decompression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecompressError {
    /// The decompressed bytes exceed the limits.
    #[error("{compressed} compressed bytes exceed the maximum of {cap} decompressed bytes")]
    TooLarge {
        /// The maximum of decompressed bytes.
        cap: usize,
        /// The size of the compressed bytes.
        compressed: usize,
    },
    /// The bytes are invalid for their codec, truncated, or need a zstd window of more than
    /// [`ZSTD_WINDOW_LOG`] bits.
    #[error("compressed records are corrupt or truncated")]
    Corrupt,
}

/// Base-2 logarithm of the largest zstd window: 8 MiB, the window of level 19. It bounds the memory
/// of frames without a content size; other frames need no window.
pub const ZSTD_WINDOW_LOG: u32 = 23;

/// Capacity above which the buffer is freed before the next batch.
const KEPT_BUFFER_BYTES: usize = 4 << 20;

/// Minimum growth of the buffer during gzip decompression.
const GZIP_STEP_BYTES: usize = 64 << 10;

// A zstd block has a header of 3 bytes and at most 128 KiB of content (RFC 8878, 3.1.1.2). The two
// bound the content size that a frame can declare.
const ZSTD_BLOCK_HEADER_BYTES: usize = 3;
const ZSTD_BLOCK_BYTES: usize = 128 << 10;

// A snappy element has 2 bytes or more and decompresses to at most 64 bytes.
const SNAPPY_RATIO: usize = 32;
const XERIAL_MAGIC: &[u8] = b"\x82SNAPPY\0";
const XERIAL_HEADER_BYTES: usize = 16;
const XERIAL_BLOCK_BYTES: usize = 32 << 10;

/// A reusable buffer for decompressed records, with the state of the codecs. Each thread has one.
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
    /// Returns a decompressor that has allocated nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the capacity of the buffer in bytes.
    #[must_use]
    pub fn buffer_bytes(&self) -> usize {
        self.buffer.capacity()
    }

    /// Returns the result of the last successful [`Decompressor::decompress`] of a compressed
    /// section.
    #[must_use]
    pub fn decompressed(&self) -> Section<'_> {
        let end = self.buffer.len().saturating_sub(PADDING_BYTES);
        Section::within(&self.buffer, &self.buffer[..end])
    }

    /// Returns the decompressed record section: `compressed` itself for [`Codec::None`], otherwise
    /// a view of the buffer, with [`PADDING_BYTES`] after it.
    ///
    /// # Errors
    /// [`DecompressError::TooLarge`] above `limits`, [`DecompressError::Corrupt`] if the bytes are
    /// not exactly one stream of the codec.
    pub fn decompress<'a>(
        &'a mut self,
        codec: Codec,
        compressed: impl Into<Section<'a>>,
        limits: Limits,
    ) -> Result<Section<'a>, DecompressError> {
        let section = compressed.into();
        let compressed = section.bytes();
        let cap = limits.cap(compressed.len());
        // One large batch must not keep its memory for the life of the thread.
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
            Codec::Lz4 => lz4::decompress(compressed, cap, &mut self.buffer)?,
            Codec::Zstd => self.zstd(compressed, cap)?,
        }
        // The padding lets the validator read whole vectors at the end of the last record.
        self.buffer.resize(self.buffer.len() + PADDING_BYTES, 0);
        Ok(self.decompressed())
    }

    /// Decompresses concatenated gzip members and checks the checksum of each.
    fn gzip(&mut self, compressed: &[u8], cap: usize) -> Result<(), DecompressError> {
        let mut state = self
            .gzip
            .take()
            .unwrap_or_else(|| Box::new(Decompress::new(false)));
        let mut rest = compressed;
        let mut members = || loop {
            state.reset(false);
            let start = self.buffer.len();
            let body = skip_gzip_header(rest).ok_or(DecompressError::Corrupt)?;
            let after = self.deflate_stream(&mut state, body, cap, compressed)?;
            // The trailer is the CRC-32 and the size of the member (RFC 1952, 2.3.1).
            let mut sum = Crc::new();
            sum.update(&self.buffer[start..]);
            let trailer = [sum.sum().to_le_bytes(), sum.amount().to_le_bytes()].concat();
            rest = after
                .strip_prefix(&*trailer)
                .ok_or(DecompressError::Corrupt)?;
            if rest.is_empty() {
                return Ok(());
            }
        };
        let result = members();
        self.gzip = Some(state);
        result
    }

    /// Decompresses the deflate stream at the start of `body` and returns the bytes after it.
    fn deflate_stream<'b>(
        &mut self,
        state: &mut Decompress,
        body: &'b [u8],
        cap: usize,
        compressed: &[u8],
    ) -> Result<&'b [u8], DecompressError> {
        let mut rest = body;
        loop {
            let start = self.buffer.len();
            // One byte above the limit is enough to detect that the limit is exceeded.
            if start == self.buffer.capacity() {
                self.buffer.reserve((cap + 1 - start).min(GZIP_STEP_BYTES));
            }
            let read_before = state.total_in();
            let status = state.decompress_vec(rest, &mut self.buffer, FlushDecompress::None);
            if self.buffer.len() > cap {
                return Err(too_large(cap, compressed));
            }
            let read = state.total_in() - read_before;
            rest = &rest[usize::try_from(read).expect("it is within the bytes given")..];
            match status {
                Ok(Status::StreamEnd) => return Ok(rest),
                // Without progress the stream is truncated; continuing would never end.
                Ok(Status::Ok | Status::BufError) if read > 0 || self.buffer.len() > start => {}
                Ok(Status::Ok | Status::BufError) | Err(_) => return Err(DecompressError::Corrupt),
            }
        }
    }

    fn zstd(&mut self, compressed: &[u8], cap: usize) -> Result<(), DecompressError> {
        let mut context = self.zstd.take().unwrap_or_else(DCtx::create);
        let mut rest = compressed;
        let mut frames = || {
            while !rest.is_empty() {
                let (frame, after) = split_zstd_frame(rest).ok_or(DecompressError::Corrupt)?;
                self.zstd_frame(&mut context, frame, cap, compressed)?;
                rest = after;
            }
            Ok(())
        };
        let result = frames();
        self.zstd = Some(context);
        result
    }

    /// Decompresses one frame: in one call if it declares its content size, otherwise as a stream
    /// with a bounded window.
    fn zstd_frame(
        &mut self,
        context: &mut DCtx<'static>,
        frame: &[u8],
        cap: usize,
        compressed: &[u8],
    ) -> Result<(), DecompressError> {
        context
            .reset(ResetDirective::SessionOnly)
            .expect("a session can always be reset, whatever state the last frame left");
        // The library chooses the mode by the free capacity of the buffer, and compares the
        // declared size with the real one in one mode only. Explicit modes make the result
        // deterministic.
        let declared =
            zstd_safe::get_frame_content_size(frame).map_err(|_| DecompressError::Corrupt)?;
        let Some(size) = declared else {
            let mut decoder =
                zstd::stream::read::Decoder::with_context(frame, context).single_frame();
            decoder
                .window_log_max(ZSTD_WINDOW_LOG)
                .expect("the parameter is in range and no frame has started");
            return drain(decoder, cap, compressed, &mut self.buffer);
        };
        let start = self.buffer.len();
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size > cap - start {
            return Err(too_large(cap, compressed));
        }
        // A few bytes that declare gigabytes must not allocate them.
        if size > frame.len() / ZSTD_BLOCK_HEADER_BYTES * ZSTD_BLOCK_BYTES {
            return Err(DecompressError::Corrupt);
        }
        self.buffer.resize(start + size, 0);
        match context.decompress(&mut self.buffer[start..], frame) {
            Ok(written) if written == size => Ok(()),
            _ => Err(DecompressError::Corrupt),
        }
    }

    /// Decompresses raw snappy (librdkafka) or xerial framing (Java): a header, then blocks of raw
    /// snappy, each after its big-endian length.
    fn snappy(&mut self, compressed: &[u8], cap: usize) -> Result<(), DecompressError> {
        if !compressed.starts_with(XERIAL_MAGIC) {
            return self.snappy_block(compressed, cap, compressed);
        }
        let mut rest = compressed;
        while !rest.is_empty() {
            // Concatenated streams repeat the header between blocks.
            if rest.starts_with(XERIAL_MAGIC) {
                rest = rest
                    .get(XERIAL_HEADER_BYTES..)
                    .ok_or(DecompressError::Corrupt)?;
                continue;
            }
            let (length, after) = rest.split_first_chunk().ok_or(DecompressError::Corrupt)?;
            let length = usize::try_from(i32::from_be_bytes(*length));
            let (block, after) = length
                .ok()
                .and_then(|length| after.split_at_checked(length))
                .ok_or(DecompressError::Corrupt)?;
            self.snappy_block(block, cap, compressed)?;
            rest = after;
        }
        Ok(())
    }

    fn snappy_block(
        &mut self,
        block: &[u8],
        cap: usize,
        compressed: &[u8],
    ) -> Result<(), DecompressError> {
        let length = snap::raw::decompress_len(block).map_err(|_| DecompressError::Corrupt)?;
        let start = self.buffer.len();
        if length > cap - start {
            return Err(too_large(cap, compressed));
        }
        if length > block.len().saturating_mul(SNAPPY_RATIO) {
            return Err(DecompressError::Corrupt);
        }
        self.buffer.resize(start + length, 0);
        snap::raw::Decoder::new()
            .decompress(block, &mut self.buffer[start..])
            .map(|_| ())
            .map_err(|_| DecompressError::Corrupt)
    }
}

/// Appends the output of `decoder` to `buffer`, which may grow to `cap` bytes.
fn drain(
    decoder: impl Read,
    cap: usize,
    compressed: &[u8],
    buffer: &mut Vec<u8>,
) -> Result<(), DecompressError> {
    // One byte more than allowed distinguishes an exact fit from an excess.
    let room = cap - buffer.len();
    let read = decoder.take(room as u64 + 1).read_to_end(buffer);
    if buffer.len() > cap {
        return Err(too_large(cap, compressed));
    }
    read.map(|_| ()).map_err(|_| DecompressError::Corrupt)
}

fn too_large(cap: usize, compressed: &[u8]) -> DecompressError {
    DecompressError::TooLarge {
        cap,
        compressed: compressed.len(),
    }
}

/// Returns the bytes after the header of a gzip member (RFC 1952, 2.3), or `None` if it is
/// invalid.
fn skip_gzip_header(bytes: &[u8]) -> Option<&[u8]> {
    const MAGIC_AND_DEFLATE: [u8; 3] = [0x1f, 0x8b, 8];
    const TIME_AND_SYSTEM_BYTES: usize = 6;
    let (&flags, rest) = bytes.strip_prefix(&MAGIC_AND_DEFLATE)?.split_first()?;
    let has = |bit: u8| flags & bit != 0;
    // Bits 5 to 7 are reserved and must be 0.
    if has(0xe0) {
        return None;
    }
    let mut rest = rest.get(TIME_AND_SYSTEM_BYTES..)?;
    // FEXTRA: a field with its length.
    if has(0x04) {
        let (length, extra) = rest.split_first_chunk()?;
        rest = extra.get(usize::from(u16::from_le_bytes(*length))..)?;
    }
    // FNAME and FCOMMENT: strings with a terminating zero.
    for name_or_comment in [0x08, 0x10] {
        if has(name_or_comment) {
            let end = rest.iter().position(|&byte| byte == 0)?;
            rest = &rest[end + 1..];
        }
    }
    // FHCRC: the low half of the CRC-32 of the header before it.
    if has(0x02) {
        let (sum, after) = rest.split_first_chunk()?;
        let mut header = Crc::new();
        header.update(&bytes[..bytes.len() - rest.len()]);
        let [low, high, ..] = header.sum().to_le_bytes();
        rest = Some(after).filter(|_| *sum == [low, high])?;
    }
    Some(rest)
}

/// Splits `bytes` after the first complete zstd frame.
fn split_zstd_frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let size = zstd_safe::find_frame_compressed_size(bytes).ok()?;
    bytes.split_at_checked(size)
}

/// Compresses `section` so that every client can read it: snappy in xerial framing, LZ4 in
/// independent blocks, zstd at its default level.
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
