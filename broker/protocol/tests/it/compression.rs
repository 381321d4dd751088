//! Decompression: what clients write in all its forms, and what must stop.

use std::io::Write;

use avouch_protocol::batch::Codec;
use avouch_protocol::compress::{Decompressor, InflateError, Limits, compress};
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};

/// Bytes that repeat only after a while, over several blocks of every codec.
fn sample() -> Vec<u8> {
    (0..300_000_u32)
        .flat_map(|index| index.wrapping_mul(2_654_435_761).to_be_bytes())
        .collect()
}

fn inflate(codec: Codec, compressed: &[u8]) -> Result<Vec<u8>, InflateError> {
    Decompressor::new()
        .inflate(codec, compressed, Limits::default())
        .map(|section| section.to_vec())
}

fn lz4(info: FrameInfo, section: &[u8]) -> Vec<u8> {
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(section).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn what_we_compress_we_inflate() {
    for codec in [
        Codec::None,
        Codec::Gzip,
        Codec::Snappy,
        Codec::Lz4,
        Codec::Zstd,
    ] {
        for section in [vec![], vec![1], sample()] {
            assert_eq!(
                inflate(codec, &compress(codec, &section)),
                Ok(section),
                "{codec:?}"
            );
        }
    }
}

// Conformance: validator/3c
#[test]
fn streams_in_several_parts_are_one_section() {
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Zstd] {
        let parts = [compress(codec, b"first "), compress(codec, b"second")].concat();
        assert_eq!(
            inflate(codec, &parts),
            Ok(b"first second".to_vec()),
            "{codec:?}"
        );
    }
}

// Conformance: broker/produce-3, validator/3c
#[test]
fn snappy_comes_raw_or_in_frames() {
    let section = sample();
    let raw = snap::raw::Encoder::new().compress_vec(&section).unwrap();
    assert_eq!(inflate(Codec::Snappy, &raw), Ok(section.clone()));
    let framed = compress(Codec::Snappy, &section);
    assert_eq!(&framed[..16], b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01");
    for (at, length) in [(16, i32::MAX), (16, -1), (16, 7)] {
        let mut lying = framed.clone();
        lying[at..at + 4].copy_from_slice(&length.to_be_bytes());
        assert_eq!(
            inflate(Codec::Snappy, &lying),
            Err(InflateError::Corrupt),
            "{length}"
        );
    }
}

// Conformance: broker/produce-3, validator/3c
#[test]
fn lz4_blocks_may_be_linked_and_checked() {
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
                assert_eq!(inflate(Codec::Lz4, &frame).as_ref(), Ok(&section));
                if checked {
                    let last = frame.len() - 1;
                    frame[last] ^= 1;
                    assert_eq!(inflate(Codec::Lz4, &frame), Err(InflateError::Corrupt));
                }
            }
        }
    }
}

// Conformance: validator/3c
#[test]
fn lz4_is_one_frame_up_to_its_end_mark() {
    let frame = compress(Codec::Lz4, &sample());
    let without_mark = &frame[..frame.len() - 4];
    assert_eq!(
        inflate(Codec::Lz4, without_mark),
        Err(InflateError::Corrupt)
    );
    let twice = frame.repeat(2);
    assert_eq!(
        inflate(Codec::Lz4, &twice),
        Err(InflateError::Corrupt),
        "consumers read one"
    );
}

// Conformance: broker/input-8, validator/3b
#[test]
fn a_zstd_window_beyond_eight_mebibytes_is_refused() {
    let with_window = |log| {
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
        encoder.window_log(log).unwrap();
        encoder.write_all(&sample()).unwrap();
        encoder.finish().unwrap()
    };
    assert_eq!(inflate(Codec::Zstd, &with_window(23)), Ok(sample()));
    assert_eq!(
        inflate(Codec::Zstd, &with_window(24)),
        Err(InflateError::Corrupt)
    );
}

// Conformance: validator/3b
#[test]
fn a_zstd_frame_of_another_size_than_it_says_is_corrupt_whatever_the_buffer() {
    // One frame that says 34 bytes, with one empty block and the checksum of no bytes.
    let empty = b"\x28\xb5\x2f\xfd\x24\x22\x01\x00\x00\x99\xe9\xd8\x51";
    let mut longer = compress(Codec::Zstd, &[7; 200]);
    assert_eq!(longer[4..6], [0x20, 200], "a size in one byte");
    longer[5] = 100;
    let mut used = Decompressor::new();
    let packed = compress(Codec::Zstd, &sample());
    used.inflate(Codec::Zstd, &packed, Limits::default())
        .unwrap();
    for lying in [empty.as_slice(), &longer] {
        for decompressor in [&mut Decompressor::new(), &mut used] {
            let found = decompressor.inflate(Codec::Zstd, lying, Limits::default());
            assert_eq!(found.err(), Some(InflateError::Corrupt), "{lying:02x?}");
        }
    }
}

// Conformance: validator/3b
#[test]
fn a_buffer_is_used_again_whatever_the_codec() {
    let mut decompressor = Decompressor::new();
    let mut first = None;
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        for _ in 0..3 {
            let packed = compress(codec, &sample());
            let section = decompressor
                .inflate(codec, &packed, Limits::default())
                .unwrap();
            let place = section.as_ptr();
            assert_eq!(*first.get_or_insert(place), place, "{codec:?} moved it");
        }
    }
}

/// Frames that need other decoders, and damaged ones, between those that are whole.
// Conformance: validator/3b
#[test]
fn what_a_codec_keeps_between_batches_changes_no_outcome() {
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
                let whole = decompressor.inflate(*codec, frame, Limits::default());
                assert_eq!(whole.unwrap().bytes(), sample, "{codec:?}");
            }
            for at in (1..frame.len()).step_by(frame.len() / 8 + 1) {
                let cut = decompressor.inflate(*codec, &frame[..at], Limits::default());
                assert_eq!(cut.err(), Some(InflateError::Corrupt), "{codec:?} {at}");
                let mut damaged = frame.clone();
                damaged[at] ^= 0x55;
                let fresh = inflate(*codec, &damaged);
                let again = decompressor.inflate(*codec, &damaged, Limits::default());
                assert_eq!(again.map(|section| section.bytes().to_vec()), fresh);
            }
        }
    }
}

// Conformance: broker/input-8, validator/3b
#[test]
fn bombs_stop_at_the_cap() {
    let zeros = vec![0; 64 << 20];
    let mut decompressor = Decompressor::new();
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let bomb = compress(codec, &zeros);
        let cap = Limits::default().cap(bomb.len());
        let stopped = decompressor.inflate(codec, &bomb, Limits::default());
        assert_eq!(
            stopped.err(),
            Some(InflateError::TooLarge {
                cap,
                compressed: bomb.len()
            })
        );
        assert!(decompressor.buffer_bytes() <= 2 * cap, "{codec:?}");
        let next = compress(codec, b"next");
        let next = decompressor.inflate(codec, &next, Limits::default());
        assert_eq!(next.unwrap().bytes(), b"next", "{codec:?} after a bomb");
        assert!(
            decompressor.buffer_bytes() <= 4 << 20,
            "the large buffer is given back"
        );
    }
    let raw_bomb = snap::raw::Encoder::new().compress_vec(&zeros).unwrap();
    let stopped = inflate(Codec::Snappy, &raw_bomb);
    assert!(
        matches!(stopped, Err(InflateError::TooLarge { .. })),
        "raw snappy"
    );
    let stored = inflate(Codec::None, &zeros);
    assert!(
        matches!(stored, Err(InflateError::TooLarge { .. })),
        "no codec"
    );
}

// Conformance: broker/input-8, validator/3b
#[test]
fn the_cap_is_exact_and_the_ratio_counts_above_its_floor() {
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
            decompressor.inflate(codec, &compressed, at(1000)).is_ok(),
            "{codec:?}"
        );
        let stopped = decompressor.inflate(codec, &compressed, at(999));
        assert!(
            matches!(stopped, Err(InflateError::TooLarge { cap: 999, .. })),
            "{codec:?}"
        );
    }
}

// Conformance: broker/input-8, validator/3b
#[test]
fn a_snappy_length_that_its_bytes_cannot_reach_allocates_nothing() {
    let claims_16_mebibytes = [0x80, 0x80, 0x80, 0x08, 0x00, 0x00];
    let limits = Limits {
        ratio_free_bytes: 32 << 20,
        ..Limits::default()
    };
    let mut decompressor = Decompressor::new();
    let refused = decompressor.inflate(Codec::Snappy, &claims_16_mebibytes, limits);
    assert_eq!(refused.err(), Some(InflateError::Corrupt));
    assert_eq!(decompressor.buffer_bytes(), 0);
}
