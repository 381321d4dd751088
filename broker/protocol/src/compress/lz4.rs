//! LZ4 frames. Kafka clients write independent blocks without checksums: these blocks are
//! decompressed directly into the output buffer. Other frames use the library's frame decoder,
//! which is several times slower.

use std::io::{self, Write as _};

use lz4_flex::block::{DecompressError as BlockError, decompress_into};
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use twox_hash::XxHash32;

use super::{DecompressError, drain, too_large};

const MAGIC: [u8; 4] = 0x184d_2204_u32.to_le_bytes();
const VERSION_1_INDEPENDENT: u8 = 0x60;
const HAS_BLOCK_CHECKSUMS: u8 = 0x10;
const HAS_CONTENT_SIZE: u8 = 0x08;
const HAS_CONTENT_CHECKSUM: u8 = 0x04;
const HAS_DICTIONARY: u8 = 0x01;
// This bit of a block's length marks a block that is stored uncompressed.
const IS_STORED: u32 = 1 << 31;

// A byte of a compressed block decompresses to at most 255 bytes.
const RATIO: usize = 255;

/// Decompresses the frame `compressed` and appends the result to `buffer`.
///
/// # Errors
/// [`DecompressError::TooLarge`] above `cap` bytes, [`DecompressError::Corrupt`] unless the bytes
/// are exactly one complete frame.
pub(super) fn decompress(
    compressed: &[u8],
    cap: usize,
    buffer: &mut Vec<u8>,
) -> Result<(), DecompressError> {
    if let Some(frame) = IndependentBlocks::parse(compressed) {
        return frame.decompress(cap, buffer).map_err(|fault| match fault {
            Fault::TooLarge => too_large(cap, compressed),
            Fault::Corrupt => DecompressError::Corrupt,
        });
    }
    check_whole(compressed).ok_or(DecompressError::Corrupt)?;
    let mut rest = compressed;
    // A frame decoder cannot be reused: it keeps the error of a corrupt frame.
    drain(FrameDecoder::new(&mut rest), cap, compressed, buffer)?;
    rest.is_empty()
        .then_some(())
        .ok_or(DecompressError::Corrupt)
}

/// Compresses `section` into one frame of independent blocks, the only kind that the Java client
/// reads.
pub(super) fn compress(section: &[u8]) -> io::Result<Vec<u8>> {
    let info = FrameInfo::new()
        .block_size(BlockSize::Max64KB)
        .block_mode(BlockMode::Independent);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(section)?;
    Ok(encoder.finish()?)
}

/// A frame of independent blocks without checksums.
struct IndependentBlocks<'a> {
    block_bytes_max: usize,
    content_bytes: Option<u64>,
    /// The blocks and the bytes after them.
    blocks: &'a [u8],
}

enum Fault {
    TooLarge,
    Corrupt,
}

impl<'a> IndependentBlocks<'a> {
    /// Parses a frame header. Returns `None` for other kinds of frames and corrupt headers.
    fn parse(frame: &'a [u8]) -> Option<Self> {
        let rest = frame.strip_prefix(&MAGIC)?;
        let (&[flags, sizes], after) = rest.split_first_chunk()?;
        // The reserved bits of the block size byte must be 0.
        if flags & !HAS_CONTENT_SIZE != VERSION_1_INDEPENDENT || sizes & 0x8f != 0 {
            return None;
        }
        let block_bytes_max = match sizes >> 4 {
            4 => 64 << 10,
            5 => 256 << 10,
            6 => 1 << 20,
            7 => 4 << 20,
            _ => return None,
        };
        let (content_bytes, after) = match flags & HAS_CONTENT_SIZE {
            0 => (None, after),
            _ => {
                let (bytes, after) = after.split_first_chunk()?;
                (Some(u64::from_le_bytes(*bytes)), after)
            }
        };
        let (sum, blocks) = after.split_first()?;
        let header = rest.get(..rest.len() - after.len())?;
        // The header checksum is the second byte of the XXH32 of the header.
        let [_, expected, ..] = XxHash32::oneshot(0, header).to_le_bytes();
        (*sum == expected).then_some(Self {
            block_bytes_max,
            content_bytes,
            blocks,
        })
    }

    fn decompress(self, cap: usize, buffer: &mut Vec<u8>) -> Result<(), Fault> {
        let mut end = buffer.len();
        let result = self.decompress_blocks(cap, buffer, &mut end);
        buffer.truncate(end);
        result
    }

    /// Moves `end` to the end of the decompressed bytes; `buffer` can be longer.
    fn decompress_blocks(
        &self,
        cap: usize,
        buffer: &mut Vec<u8>,
        end: &mut usize,
    ) -> Result<(), Fault> {
        let before = *end;
        let mut rest = self.blocks;
        loop {
            let (length, after) = rest.split_first_chunk().ok_or(Fault::Corrupt)?;
            let length = u32::from_le_bytes(*length);
            let is_stored = length & IS_STORED != 0;
            let length = (length & !IS_STORED) as usize;
            if length == 0 {
                let content_bytes = (*end - before) as u64;
                let is_right = self
                    .content_bytes
                    .is_none_or(|declared| declared == content_bytes);
                let is_whole = is_right && after.is_empty();
                return is_whole.then_some(()).ok_or(Fault::Corrupt);
            }
            let block = after.get(..length).ok_or(Fault::Corrupt)?;
            if length > self.block_bytes_max {
                return Err(Fault::Corrupt);
            }
            let max = match is_stored {
                true => length,
                false => self.block_bytes_max.min(length * RATIO),
            };
            // One byte more than `cap` distinguishes an output above the limit from corruption.
            let room = max.min(cap - *end + 1);
            // The buffer only grows, so that its bytes are zeroed once and not for each block.
            if buffer.len() < *end + room {
                buffer.resize(*end + room, 0);
            }
            let into = &mut buffer[*end..*end + room];
            let written = match is_stored {
                true if room < length => return Err(Fault::TooLarge),
                true => {
                    into.copy_from_slice(block);
                    length
                }
                false => decompress_block(block, into, max)?,
            };
            *end += written;
            if *end > cap {
                return Err(Fault::TooLarge);
            }
            rest = &after[length..];
        }
    }
}

/// Decompresses a block of at most `max` decompressed bytes and returns their number.
fn decompress_block(block: &[u8], into: &mut [u8], max: usize) -> Result<usize, Fault> {
    match decompress_into(block, into) {
        // Some readers, such as the Java client, stop at an empty block and lose the rest.
        Ok(0) => Err(Fault::Corrupt),
        Ok(written) => Ok(written),
        Err(BlockError::OutputTooSmall { .. }) if into.len() < max => Err(Fault::TooLarge),
        Err(_) => Err(Fault::Corrupt),
    }
}

/// Checks that `bytes` are exactly one frame with its end mark. The library's decoder accepts a
/// frame that is cut between two blocks, and consumers read one frame only.
fn check_whole(bytes: &[u8]) -> Option<()> {
    let (&[flags, _], rest) = bytes.strip_prefix(&MAGIC)?.split_first_chunk()?;
    let has = |bit: u8, size: usize| if flags & bit == 0 { 0 } else { size };
    let content_size_and_dictionary = has(HAS_CONTENT_SIZE, 8) + has(HAS_DICTIONARY, 4);
    let mut rest = rest.get(content_size_and_dictionary + 1..)?;
    loop {
        let (length, after) = rest.split_first_chunk()?;
        let length = u32::from_le_bytes(*length) & !IS_STORED;
        if length == 0 {
            let content_checksum = has(HAS_CONTENT_CHECKSUM, 4);
            return (after.len() == content_checksum).then_some(());
        }
        rest = after.get(length as usize + has(HAS_BLOCK_CHECKSUMS, 4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAP: usize = 1 << 20;

    /// Returns compressible, incompressible and mixed data.
    fn samples() -> Vec<Vec<u8>> {
        let numbers = (0..200_000_u32).map(|number| number.wrapping_mul(2_654_435_761));
        let random: Vec<u8> = numbers.flat_map(u32::to_be_bytes).take(140_000).collect();
        let mut mixed = Vec::new();
        for part in random.chunks(500) {
            mixed.extend_from_slice(part);
            mixed.extend_from_slice(&[7; 500]);
        }
        vec![vec![], vec![1], vec![0; 100_000], random, mixed]
    }

    fn frame(info: &FrameInfo, section: &[u8]) -> Vec<u8> {
        let mut encoder = FrameEncoder::with_frame_info(info.clone(), Vec::new());
        encoder.write_all(section).unwrap();
        encoder.finish().unwrap()
    }

    fn with_avouch(frame: &[u8], cap: usize) -> Result<Vec<u8>, DecompressError> {
        let mut buffer = Vec::new();
        decompress(frame, cap, &mut buffer).map(|()| buffer)
    }

    fn with_library(frame: &[u8]) -> Result<Vec<u8>, DecompressError> {
        let mut buffer = Vec::new();
        check_whole(frame).ok_or(DecompressError::Corrupt)?;
        let mut rest = frame;
        drain(FrameDecoder::new(&mut rest), CAP, frame, &mut buffer)?;
        rest.is_empty()
            .then_some(buffer)
            .ok_or(DecompressError::Corrupt)
    }

    // Conformance: validator/3c
    #[test]
    fn client_frames_use_the_fast_path() {
        let sizes = [
            BlockSize::Max64KB,
            BlockSize::Max256KB,
            BlockSize::Max1MB,
            BlockSize::Max4MB,
        ];
        for section in samples() {
            for size in sizes {
                let info = FrameInfo::new()
                    .block_size(size)
                    .block_mode(BlockMode::Independent);
                let sized = info.clone().content_size(Some(section.len() as u64));
                for plain in [&info, &sized] {
                    let frame = frame(plain, &section);
                    assert!(IndependentBlocks::parse(&frame).is_some());
                    assert_eq!(with_avouch(&frame, CAP).as_ref(), Ok(&section));
                }
                for other in [
                    info.clone().content_checksum(true),
                    info.clone().block_checksums(true),
                    info.clone().block_mode(BlockMode::Linked),
                ] {
                    let frame = frame(&other, &section);
                    assert!(IndependentBlocks::parse(&frame).is_none());
                    assert_eq!(with_avouch(&frame, CAP).as_ref(), Ok(&section));
                }
            }
        }
    }

    // Conformance: validator/3c
    #[test]
    fn both_paths_reject_the_same_frames() {
        let mut faults = 0;
        for section in samples() {
            let size = Some(section.len() as u64);
            let info = FrameInfo::new()
                .block_size(BlockSize::Max64KB)
                .content_size(size);
            let whole = frame(&info.block_mode(BlockMode::Independent), &section);
            for at in (0..whole.len().min(300)).chain((300..whole.len()).step_by(1_997)) {
                for bit in [0x01, 0x80] {
                    let mut frame = whole.clone();
                    frame[at] ^= bit;
                    let (fast, library) = (with_avouch(&frame, CAP), with_library(&frame));
                    assert!(fast == library, "byte {at} of {}", whole.len());
                    let is_fast = IndependentBlocks::parse(&frame).is_some();
                    faults += usize::from(is_fast && fast.is_err());
                }
                let cut = &whole[..at];
                assert!(with_avouch(cut, CAP).is_err(), "cut at {at}");
            }
        }
        assert!(faults > 100, "{faults}");
    }

    // Conformance: validator/3c
    #[test]
    fn empty_block_is_corrupt() {
        let whole = compress(&[7; 1_000]).unwrap();
        let header = 7;
        let (head, blocks) = whole.split_at(header);
        let nothing = [&1_u32.to_le_bytes()[..], &[0]].concat();
        let frame = [head, &nothing, blocks].concat();
        assert!(IndependentBlocks::parse(&frame).is_some());
        assert_eq!(with_avouch(&frame, CAP), Err(DecompressError::Corrupt));
        assert_eq!(with_library(&frame), Err(DecompressError::Corrupt));
    }

    #[test]
    fn excess_size_is_not_reported_as_corruption() {
        for section in samples() {
            let frame = compress(&section).unwrap();
            let max = section.len();
            assert_eq!(with_avouch(&frame, max).as_ref(), Ok(&section));
            for cap in [0, max / 2, max.saturating_sub(1)]
                .into_iter()
                .filter(|cap| *cap < max)
            {
                let compressed = frame.len();
                let expected = DecompressError::TooLarge { cap, compressed };
                assert_eq!(with_avouch(&frame, cap), Err(expected), "{max}");
            }
        }
    }
}
