//! One LZ4 frame, the one way that Kafka's clients write it: independent blocks without checksums.
//! Its blocks are inflated straight to where their bytes belong. Any other frame goes through the
//! library's reader, which is several times slower and knows all of the format.

use std::io::{self, Write as _};

use lz4_flex::block::{DecompressError, decompress_into};
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use twox_hash::XxHash32;

use super::{InflateError, drain, too_large};

const MAGIC: [u8; 4] = 0x184d_2204_u32.to_le_bytes();
const VERSION_1_INDEPENDENT: u8 = 0x60;
const HAS_BLOCK_CHECKSUMS: u8 = 0x10;
const HAS_CONTENT_SIZE: u8 = 0x08;
const HAS_CONTENT_CHECKSUM: u8 = 0x04;
const HAS_DICTIONARY: u8 = 0x01;
/// In a block's length: its bytes stand as they are.
const IS_STORED: u32 = 1 << 31;

/// A byte of a block stands for at most so many.
const RATIO: usize = 255;

/// Inflates the frame that `compressed` is, behind what is in `buffer`.
///
/// # Errors
/// When it would grow beyond `cap`, or is not one whole frame and nothing else.
pub(super) fn inflate(
    compressed: &[u8],
    cap: usize,
    buffer: &mut Vec<u8>,
) -> Result<(), InflateError> {
    if let Some(frame) = Plain::parse(compressed) {
        return frame.inflate(cap, buffer).map_err(|fault| match fault {
            Fault::TooLarge => too_large(cap, compressed),
            Fault::Corrupt => InflateError::Corrupt,
        });
    }
    check_whole(compressed).ok_or(InflateError::Corrupt)?;
    let mut rest = compressed;
    // A new reader each time: one that met damage would remember it.
    drain(FrameDecoder::new(&mut rest), cap, compressed, buffer)?;
    rest.is_empty().then_some(()).ok_or(InflateError::Corrupt)
}

/// `section` in one frame of independent blocks; the Java client takes no others.
pub(super) fn compress(section: &[u8]) -> io::Result<Vec<u8>> {
    let info = FrameInfo::new()
        .block_size(BlockSize::Max64KB)
        .block_mode(BlockMode::Independent);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(section)?;
    Ok(encoder.finish()?)
}

/// A frame of independent blocks without checksums.
struct Plain<'a> {
    block_bytes_max: usize,
    content_bytes: Option<u64>,
    /// The blocks and what stands behind them.
    blocks: &'a [u8],
}

enum Fault {
    TooLarge,
    Corrupt,
}

impl<'a> Plain<'a> {
    /// The frame with this header; none where the header is another kind's, or damaged.
    fn parse(frame: &'a [u8]) -> Option<Self> {
        let rest = frame.strip_prefix(&MAGIC)?;
        let (&[flags, sizes], behind) = rest.split_first_chunk()?;
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
        let (content_bytes, behind) = match flags & HAS_CONTENT_SIZE {
            0 => (None, behind),
            _ => {
                let (bytes, behind) = behind.split_first_chunk()?;
                (Some(u64::from_le_bytes(*bytes)), behind)
            }
        };
        let (sum, blocks) = behind.split_first()?;
        let header = rest.get(..rest.len() - behind.len())?;
        let [_, expected, ..] = XxHash32::oneshot(0, header).to_le_bytes();
        (*sum == expected).then_some(Self {
            block_bytes_max,
            content_bytes,
            blocks,
        })
    }

    fn inflate(self, cap: usize, buffer: &mut Vec<u8>) -> Result<(), Fault> {
        let mut end = buffer.len();
        let inflated = self.inflate_to(cap, buffer, &mut end);
        buffer.truncate(end);
        inflated
    }

    /// What is inflated ends at `end`; what stands behind it in the buffer is room.
    fn inflate_to(&self, cap: usize, buffer: &mut Vec<u8>, end: &mut usize) -> Result<(), Fault> {
        let before = *end;
        let mut rest = self.blocks;
        loop {
            let (length, behind) = rest.split_first_chunk().ok_or(Fault::Corrupt)?;
            let length = u32::from_le_bytes(*length);
            let is_stored = length & IS_STORED != 0;
            let length = (length & !IS_STORED) as usize;
            if length == 0 {
                let content_bytes = (*end - before) as u64;
                let is_right = self.content_bytes.is_none_or(|told| told == content_bytes);
                let is_whole = is_right && behind.is_empty();
                return is_whole.then_some(()).ok_or(Fault::Corrupt);
            }
            let block = behind.get(..length).ok_or(Fault::Corrupt)?;
            if length > self.block_bytes_max {
                return Err(Fault::Corrupt);
            }
            let most = match is_stored {
                true => length,
                false => self.block_bytes_max.min(length * RATIO),
            };
            // With room for one byte too many, what goes beyond the cap is told from damage.
            let room = most.min(cap - *end + 1);
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
                false => inflated(block, into, most)?,
            };
            *end += written;
            if *end > cap {
                return Err(Fault::TooLarge);
            }
            rest = &behind[length..];
        }
    }
}

/// Inflates a block that may become `most` bytes; returns how many it became. One that stands for
/// nothing is the end to some readers, the Java client's among them, and what is behind it lost.
fn inflated(block: &[u8], into: &mut [u8], most: usize) -> Result<usize, Fault> {
    match decompress_into(block, into) {
        Ok(0) => Err(Fault::Corrupt),
        Ok(written) => Ok(written),
        Err(DecompressError::OutputTooSmall { .. }) if into.len() < most => Err(Fault::TooLarge),
        Err(_) => Err(Fault::Corrupt),
    }
}

/// Whether `bytes` are one frame up to its end mark and nothing else. The library's reader takes a
/// frame that stops between two blocks for a complete one, and consumers read one frame only.
fn check_whole(bytes: &[u8]) -> Option<()> {
    let (&[flags, _], rest) = bytes.strip_prefix(&MAGIC)?.split_first_chunk()?;
    let has = |bit: u8, size: usize| if flags & bit == 0 { 0 } else { size };
    let content_size_and_dictionary = has(HAS_CONTENT_SIZE, 8) + has(HAS_DICTIONARY, 4);
    let mut rest = rest.get(content_size_and_dictionary + 1..)?;
    loop {
        let (length, behind) = rest.split_first_chunk()?;
        let length = u32::from_le_bytes(*length) & !IS_STORED;
        if length == 0 {
            let content_checksum = has(HAS_CONTENT_CHECKSUM, 4);
            return (behind.len() == content_checksum).then_some(());
        }
        rest = behind.get(length as usize + has(HAS_BLOCK_CHECKSUMS, 4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAP: usize = 1 << 20;

    /// What compresses, what does not, and both by turns.
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

    fn by_us(frame: &[u8], cap: usize) -> Result<Vec<u8>, InflateError> {
        let mut buffer = Vec::new();
        inflate(frame, cap, &mut buffer).map(|()| buffer)
    }

    fn by_the_library(frame: &[u8]) -> Result<Vec<u8>, InflateError> {
        let mut buffer = Vec::new();
        check_whole(frame).ok_or(InflateError::Corrupt)?;
        let mut rest = frame;
        drain(FrameDecoder::new(&mut rest), CAP, frame, &mut buffer)?;
        rest.is_empty()
            .then_some(buffer)
            .ok_or(InflateError::Corrupt)
    }

    // Conformance: validator/3c
    #[test]
    fn frames_of_clients_take_the_short_way_and_others_the_long_one() {
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
                    assert!(Plain::parse(&frame).is_some());
                    assert_eq!(by_us(&frame, CAP).as_ref(), Ok(&section));
                }
                for other in [
                    info.clone().content_checksum(true),
                    info.clone().block_checksums(true),
                    info.clone().block_mode(BlockMode::Linked),
                ] {
                    let frame = frame(&other, &section);
                    assert!(Plain::parse(&frame).is_none());
                    assert_eq!(by_us(&frame, CAP).as_ref(), Ok(&section));
                }
            }
        }
    }

    // Conformance: validator/3c
    #[test]
    fn both_ways_have_one_verdict_on_damage() {
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
                    let (ours, theirs) = (by_us(&frame, CAP), by_the_library(&frame));
                    assert!(ours == theirs, "byte {at} of {}", whole.len());
                    let is_plain = Plain::parse(&frame).is_some();
                    faults += usize::from(is_plain && ours.is_err());
                }
                let cut = &whole[..at];
                assert!(by_us(cut, CAP).is_err(), "cut at {at}");
            }
        }
        assert!(faults > 100, "{faults}");
    }

    // Conformance: validator/3c
    #[test]
    fn a_block_that_stands_for_nothing_is_damage() {
        let whole = compress(&[7; 1_000]).unwrap();
        let header = 7;
        let (head, blocks) = whole.split_at(header);
        let nothing = [&1_u32.to_le_bytes()[..], &[0]].concat();
        let frame = [head, &nothing, blocks].concat();
        assert!(Plain::parse(&frame).is_some());
        assert_eq!(by_us(&frame, CAP), Err(InflateError::Corrupt));
        assert_eq!(by_the_library(&frame), Err(InflateError::Corrupt));
    }

    #[test]
    fn what_is_too_large_is_told_from_damage() {
        for section in samples() {
            let frame = compress(&section).unwrap();
            let most = section.len();
            assert_eq!(by_us(&frame, most).as_ref(), Ok(&section));
            for cap in [0, most / 2, most.saturating_sub(1)]
                .into_iter()
                .filter(|cap| *cap < most)
            {
                let compressed = frame.len();
                let expected = InflateError::TooLarge { cap, compressed };
                assert_eq!(by_us(&frame, cap), Err(expected), "{most}");
            }
        }
    }
}
