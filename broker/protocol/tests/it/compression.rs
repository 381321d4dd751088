//! Decompression: all formats that clients send, corrupt data, and limits.

use std::io::Write;

use avouch_protocol::batch::Codec;
use avouch_protocol::compress::{DecompressError, Decompressor, Limits, compress};
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};

/// Returns data that span several blocks of every codec and hardly compress.
fn sample() -> Vec<u8> {
    (0..300_000_u32)
        .flat_map(|index| index.wrapping_mul(2_654_435_761).to_be_bytes())
        .collect()
}

fn decompress(codec: Codec, compressed: &[u8]) -> Result<Vec<u8>, DecompressError> {
    Decompressor::new()
        .decompress(codec, compressed, Limits::default())
        .map(|section| section.to_vec())
}

fn lz4(info: FrameInfo, section: &[u8]) -> Vec<u8> {
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(section).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn compressed_data_round_trips() {
    for codec in [
        Codec::None,
        Codec::Gzip,
        Codec::Snappy,
        Codec::Lz4,
        Codec::Zstd,
    ] {
        for section in [vec![], vec![1], sample()] {
            assert_eq!(
                decompress(codec, &compress(codec, &section)),
                Ok(section),
                "{codec:?}"
            );
        }
    }
}

// Conformance: validator/3c
#[test]
fn concatenated_streams_are_one_section() {
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Zstd] {
        let parts = [compress(codec, b"first "), compress(codec, b"second")].concat();
        assert_eq!(
            decompress(codec, &parts),
            Ok(b"first second".to_vec()),
            "{codec:?}"
        );
    }
}

// Conformance: broker/produce-3, validator/3c
#[test]
fn snappy_accepts_raw_and_xerial_framing() {
    let section = sample();
    let raw = snap::raw::Encoder::new().compress_vec(&section).unwrap();
    assert_eq!(decompress(Codec::Snappy, &raw), Ok(section.clone()));
    let framed = compress(Codec::Snappy, &section);
    assert_eq!(&framed[..16], b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01");
    for (at, length) in [(16, i32::MAX), (16, -1), (16, 7)] {
        let mut wrong = framed.clone();
        wrong[at..at + 4].copy_from_slice(&length.to_be_bytes());
        assert_eq!(
            decompress(Codec::Snappy, &wrong),
            Err(DecompressError::Corrupt),
            "{length}"
        );
    }
}

// Conformance: broker/produce-3, validator/3c
#[test]
fn lz4_accepts_linked_and_checksummed_blocks() {
    let section = sample();
    for mode in [BlockMode::Independent, BlockMode::Linked] {
        for size in [BlockSize::Max64KB, BlockSize::Max4MB] {
            for checked in [false, true] {
                let info = FrameInfo::new()
                    .block_mode(mode)
                    .block_size(size)
                    .block_checksums(checked)
                    .content_checksum(checked);
                let mut frame = lz4(info, &section);
                assert_eq!(decompress(Codec::Lz4, &frame).as_ref(), Ok(&section));
                if checked {
                    let last = frame.len() - 1;
                    frame[last] ^= 1;
                    assert_eq!(
                        decompress(Codec::Lz4, &frame),
                        Err(DecompressError::Corrupt)
                    );
                }
            }
        }
    }
}

// Conformance: validator/3c
#[test]
fn lz4_requires_one_terminated_frame() {
    let frame = compress(Codec::Lz4, &sample());
    let without_mark = &frame[..frame.len() - 4];
    assert_eq!(
        decompress(Codec::Lz4, without_mark),
        Err(DecompressError::Corrupt)
    );
    let twice = frame.repeat(2);
    assert_eq!(
        decompress(Codec::Lz4, &twice),
        Err(DecompressError::Corrupt),
        "consumers read only the first frame"
    );
}

// Conformance: broker/input-8, validator/3b
#[test]
fn zstd_window_above_8_mib_is_rejected() {
    let with_window = |log| {
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
        encoder.window_log(log).unwrap();
        encoder.write_all(&sample()).unwrap();
        encoder.finish().unwrap()
    };
    assert_eq!(decompress(Codec::Zstd, &with_window(23)), Ok(sample()));
    assert_eq!(
        decompress(Codec::Zstd, &with_window(24)),
        Err(DecompressError::Corrupt)
    );
}

// Conformance: validator/3b
#[test]
fn zstd_frame_with_wrong_size_is_corrupt() {
    // A frame with a content size of 34 bytes, one empty block, and the checksum of no bytes.
    let empty = b"\x28\xb5\x2f\xfd\x24\x22\x01\x00\x00\x99\xe9\xd8\x51";
    let mut longer = compress(Codec::Zstd, &[7; 200]);
    assert_eq!(longer[4..6], [0x20, 200], "content size in one byte");
    longer[5] = 100;
    let mut used = Decompressor::new();
    let packed = compress(Codec::Zstd, &sample());
    used.decompress(Codec::Zstd, &packed, Limits::default())
        .unwrap();
    for frame in [empty.as_slice(), &longer] {
        // A used buffer contains data of an earlier batch.
        for decompressor in [&mut Decompressor::new(), &mut used] {
            let found = decompressor.decompress(Codec::Zstd, frame, Limits::default());
            assert_eq!(found.err(), Some(DecompressError::Corrupt), "{frame:02x?}");
        }
    }
}

// Conformance: validator/3b
#[test]
fn codecs_reuse_one_buffer() {
    let mut decompressor = Decompressor::new();
    let mut first = None;
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        for _ in 0..3 {
            let packed = compress(codec, &sample());
            let section = decompressor
                .decompress(codec, &packed, Limits::default())
                .unwrap();
            let address = section.as_ptr();
            let first = *first.get_or_insert(address);
            assert_eq!(first, address, "{codec:?} reallocated");
        }
    }
}

/// Alternates frames that need different decoders, and corrupt frames with complete ones.
// Conformance: validator/3b
#[test]
fn codec_state_does_not_change_results() {
    let sample = &sample()[..200_000];
    let mut frames: Vec<_> = [Codec::Gzip, Codec::Zstd]
        .map(|codec| (codec, compress(codec, sample)))
        .into();
    for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max4MB] {
        for mode in [BlockMode::Independent, BlockMode::Linked] {
            let info = FrameInfo::new().block_size(size).block_mode(mode);
            frames.push((Codec::Lz4, lz4(info.content_checksum(true), sample)));
        }
    }
    let mut decompressor = Decompressor::new();
    for _ in 0..2 {
        for (codec, frame) in &frames {
            for _ in 0..2 {
                let complete = decompressor.decompress(*codec, frame, Limits::default());
                assert_eq!(complete.unwrap().bytes(), sample, "{codec:?}");
            }
            for at in (1..frame.len()).step_by(frame.len() / 8 + 1) {
                let truncated = decompressor.decompress(*codec, &frame[..at], Limits::default());
                let error = truncated.err();
                assert_eq!(error, Some(DecompressError::Corrupt), "{codec:?} {at}");
                let mut corrupt = frame.clone();
                corrupt[at] ^= 0x55;
                let fresh = decompress(*codec, &corrupt);
                let again = decompressor.decompress(*codec, &corrupt, Limits::default());
                assert_eq!(again.map(|section| section.bytes().to_vec()), fresh);
            }
        }
    }
}

// Conformance: broker/input-8, validator/3b
#[test]
fn decompression_bombs_stop_at_limit() {
    let limits = Limits {
        max_bytes: 16 << 20,
        ..Limits::default()
    };
    let zeros = vec![0; 32 << 20];
    let mut decompressor = Decompressor::new();
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let bomb = compress(codec, &zeros);
        let cap = limits.cap(bomb.len());
        let stopped = decompressor.decompress(codec, &bomb, limits);
        assert_eq!(
            stopped.err(),
            Some(DecompressError::TooLarge {
                cap,
                compressed: bomb.len()
            })
        );
        assert!(decompressor.buffer_bytes() <= 2 * cap, "{codec:?}");
        let next = compress(codec, b"next");
        let next = decompressor.decompress(codec, &next, Limits::default());
        assert_eq!(next.unwrap().bytes(), b"next", "{codec:?} after a bomb");
        assert!(
            decompressor.buffer_bytes() <= 4 << 20,
            "the large buffer is not released"
        );
    }
    let raw_bomb = snap::raw::Encoder::new().compress_vec(&zeros).unwrap();
    let stopped = decompressor.decompress(Codec::Snappy, &raw_bomb, limits);
    assert!(
        matches!(stopped, Err(DecompressError::TooLarge { .. })),
        "raw snappy"
    );
    let stored = decompressor.decompress(Codec::None, &zeros, limits);
    assert!(
        matches!(stored, Err(DecompressError::TooLarge { .. })),
        "no codec"
    );
}

// Conformance: broker/input-8, validator/3b
#[test]
fn decompression_limit_is_exact() {
    let limits = Limits {
        max_bytes: 1000,
        ratio: 2,
        ratio_free_bytes: 100,
    };
    for (compressed, cap) in [
        (0, 100),
        (50, 100),
        (51, 102),
        (500, 1000),
        (usize::MAX, 1000),
    ] {
        assert_eq!(limits.cap(compressed), cap);
    }
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let compressed = compress(codec, &[7; 1000]);
        let mut decompressor = Decompressor::new();
        let at = |max_bytes| Limits {
            max_bytes,
            ratio: 1000,
            ratio_free_bytes: 0,
        };
        assert!(
            decompressor
                .decompress(codec, &compressed, at(1000))
                .is_ok(),
            "{codec:?}"
        );
        let stopped = decompressor.decompress(codec, &compressed, at(999));
        assert!(
            matches!(stopped, Err(DecompressError::TooLarge { cap: 999, .. })),
            "{codec:?}"
        );
    }
}

// Conformance: broker/input-8, validator/3b
#[test]
fn unreachable_snappy_length_allocates_nothing() {
    let claims_16_mebibytes = [0x80, 0x80, 0x80, 0x08, 0x00, 0x00];
    let limits = Limits {
        ratio_free_bytes: 32 << 20,
        ..Limits::default()
    };
    let mut decompressor = Decompressor::new();
    let rejected = decompressor.decompress(Codec::Snappy, &claims_16_mebibytes, limits);
    assert_eq!(rejected.err(), Some(DecompressError::Corrupt));
    assert_eq!(decompressor.buffer_bytes(), 0);
}
