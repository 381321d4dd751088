//! Scan of the WAL at startup: finds complete frames, then decides where the log ends and which
//! frames are missing in the middle.
//!
//! Invariant: a durable frame is either replayed or reported as missing. A frame is replayed only
//! after all earlier ones, except those reported as missing.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use crate::disk::DiskFile;
use crate::wal::frame::{
    FRAME_ALIGN, FRAME_HEADER_BYTES, FRAME_MAGIC, FrameHeader, FrameSeq, Incarnation,
    WAL_HEADER_BYTES, WalFileHeader,
};

const WINDOW_BYTES: usize = 1 << 20;

/// A WAL file to scan.
#[derive(Debug)]
pub(crate) struct WalFile {
    pub(crate) header: WalFileHeader,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) bytes: u64,
}

/// A complete frame and its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FoundFrame {
    /// Index of its file.
    pub(crate) wal_file: usize,
    pub(crate) at: u64,
    pub(crate) header: FrameHeader,
}

/// Frames to replay.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ReplayPlan {
    /// Frames in sequence.
    pub(crate) frames: Vec<FoundFrame>,
    /// Sequence numbers that were durable and are unreadable, as `[from, to)` pairs.
    pub(crate) missing: Vec<(FrameSeq, FrameSeq)>,
    /// Sequence number of the next frame to write.
    pub(crate) next: FrameSeq,
    /// Frames up to this one are proven to be synced by later frames or files.
    pub(crate) proven: FrameSeq,
    /// Whether the log ends in an incomplete frame.
    pub(crate) torn: bool,
}

/// Result of scanning the files, which are sorted by incarnation, then first sequence.
#[derive(Debug, Default)]
pub(crate) struct ScanResult {
    frames: Vec<FoundFrame>,
    /// Header of each file: a file ends those of earlier incarnations.
    starts: Vec<WalFileHeader>,
    /// Whether a frame header without its complete body was found.
    incomplete: bool,
    /// Index of a file that ends within a frame.
    pub(crate) cut: Option<usize>,
}

/// Finds all complete frames above `covered`.
///
/// # Errors
/// If a file cannot be read.
pub(crate) fn find_frames(wal_files: &[&WalFile], covered: FrameSeq) -> io::Result<ScanResult> {
    let mut scanned = ScanResult::default();
    for (index, wal_file) in wal_files.iter().enumerate() {
        scanned.starts.push(wal_file.header);
        let end = end_of(wal_files, wal_file.header.incarnation);
        let next = wal_files.get(index + 1).map(|wal_file| wal_file.header);
        // The next file of the same incarnation starts at or before the first needed frame, so this
        // one contains only covered frames.
        let is_covered = next.is_some_and(|next| {
            next.incarnation == wal_file.header.incarnation
                && next.first_seq <= covered.next()
                && next.first_seq > wal_file.header.first_seq
        });
        if !is_covered && end > covered.next() {
            scan_file(index, wal_file, end, covered, &mut scanned)?;
        }
    }
    Ok(scanned)
}

/// Returns the lowest sequence that was found, or that of the first frame of the newest file.
pub(crate) fn first_found(scanned: &ScanResult) -> FrameSeq {
    let frames = scanned.frames.iter().map(|found| found.header.seq).min();
    let newest = scanned.starts.last().map(|file| file.first_seq);
    frames.or(newest).unwrap_or(FrameSeq(1))
}

/// Reads the body of a frame again.
///
/// # Errors
/// If it cannot be read or has changed.
pub(crate) fn read_body(wal_files: &[&WalFile], found: &FoundFrame) -> io::Result<Bytes> {
    let body = match wal_files.get(found.wal_file) {
        Some(wal_file) => read_frame_body(wal_file, found.at, &found.header)?,
        None => None,
    };
    body.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a WAL frame changed"))
}

/// Writes a frame again at its position, so that the next sync includes it. After a failed sync
/// the operating system marks the pages clean although the disk never received them.
///
/// # Errors
/// If it cannot be read or written.
pub(crate) fn rewrite(wal_files: &[&WalFile], found: &FoundFrame) -> io::Result<()> {
    let Some(wal_file) = wal_files.get(found.wal_file) else {
        return Ok(());
    };
    let mut frame = vec![0; found.header.header_bytes() + found.header.body_bytes];
    wal_file.file.read_at(&mut frame, found.at)?;
    wal_file.file.write_at(&frame, found.at)
}

/// Decides which frames are replayed after `covered`. Pure.
pub(crate) fn plan(scanned: &ScanResult, covered: FrameSeq) -> ReplayPlan {
    let started = scanned.starts.iter().map(|wal_file| wal_file.first_seq.0);
    let synced = scanned.frames.iter().map(|found| found.header.synced_seq.0);
    let proven = started.map(|seq| seq.saturating_sub(1)).chain(synced).max();
    let mut plan = ReplayPlan {
        next: covered.next(),
        proven: FrameSeq(proven.unwrap_or(0)),
        ..ReplayPlan::default()
    };
    for (at, found) in scanned.frames.iter().enumerate() {
        let seq = found.header.seq;
        if seq > plan.next {
            let later = scanned.frames.get(at..).unwrap_or_default();
            if !was_durable(plan.next, later, &scanned.starts) {
                plan.torn = true;
                return plan;
            }
            plan.missing.push((plan.next, seq));
        }
        plan.frames.push(*found);
        plan.next = seq.next();
    }
    // A file is started only after all earlier frames are durable.
    let newest = scanned
        .starts
        .last()
        .map_or(plan.next, |wal_file| wal_file.first_seq);
    if newest > plan.next {
        plan.missing.push((plan.next, newest));
        plan.next = newest;
    }
    plan.torn = scanned.incomplete && plan.missing.is_empty();
    plan
}

/// Returns whether frame `missing` was durable, as proven by later frames and files.
fn was_durable(missing: FrameSeq, later: &[FoundFrame], starts: &[WalFileHeader]) -> bool {
    let Some(first) = later.first() else {
        return false;
    };
    // A file of an earlier incarnation proves nothing about this one's frames.
    let since = first.header.incarnation;
    later.iter().any(|found| found.header.synced_seq >= missing)
        || starts
            .iter()
            .any(|wal_file| wal_file.incarnation >= since && wal_file.first_seq > missing)
}

/// Returns the sequence that ends the files of `incarnation`: the first of a later incarnation.
pub(crate) fn end_of(wal_files: &[&WalFile], incarnation: Incarnation) -> FrameSeq {
    let later = wal_files
        .iter()
        .filter(|wal_file| wal_file.header.incarnation > incarnation);
    later
        .map(|wal_file| wal_file.header.first_seq)
        .min()
        .unwrap_or(FrameSeq(u64::MAX))
}

fn scan_file(
    index: usize,
    wal_file: &WalFile,
    end: FrameSeq,
    covered: FrameSeq,
    scanned: &mut ScanResult,
) -> io::Result<()> {
    let mut min_seq = wal_file.header.first_seq;
    let mut from = WAL_HEADER_BYTES as u64;
    let mut window = Window::new(wal_file);
    while let Some(at) = window.next_magic(from)? {
        // Unless a valid frame follows, the search continues at the next aligned position: old data
        // may contain the magic anywhere.
        from = at + FRAME_ALIGN as u64;
        let Some(header) = FrameHeader::decode(window.at(at, FRAME_HEADER_BYTES)?) else {
            continue;
        };
        // A recycled file contains frames of earlier incarnations and record data that may look
        // like a frame. Sequences within one file only increase.
        if !header.is_of(&wal_file.header) || header.seq < min_seq || header.seq >= end {
            continue;
        }
        from = at + header.frame_bytes() as u64;
        if header.seq > covered {
            // Space is allocated durably before a frame is written into it.
            let frame_end = at + (header.header_bytes() + header.body_bytes) as u64;
            if frame_end > wal_file.bytes {
                scanned.cut = Some(index);
            }
            if read_frame_body(wal_file, at, &header)?.is_none() {
                // Its body may contain anything, also the image of a frame, so the scan does not
                // look inside it.
                scanned.incomplete = true;
                continue;
            }
            scanned.frames.push(FoundFrame {
                wal_file: index,
                at,
                header,
            });
        }
        min_seq = header.seq.next();
    }
    Ok(())
}

/// A part of a file in memory, so that a search reads each byte once.
struct Window<'a> {
    wal_file: &'a WalFile,
    start: u64,
    bytes: Vec<u8>,
}

impl<'a> Window<'a> {
    fn new(wal_file: &'a WalFile) -> Self {
        Self {
            wal_file,
            start: 0,
            bytes: Vec::new(),
        }
    }

    /// Returns up to `count` bytes at `at`, fewer at the end of the file.
    fn at(&mut self, at: u64, count: usize) -> io::Result<&[u8]> {
        let end = at.saturating_add(count as u64).min(self.wal_file.bytes);
        if at < self.start || end > self.start + self.bytes.len() as u64 {
            let rest =
                usize::try_from(self.wal_file.bytes.saturating_sub(at)).unwrap_or(usize::MAX);
            self.bytes.resize(rest.min(WINDOW_BYTES), 0);
            let filled = self.wal_file.file.read_at(&mut self.bytes, at)?;
            self.bytes.truncate(filled);
            self.start = at;
        }
        let skip = usize::try_from(at - self.start).unwrap_or(usize::MAX);
        let have = self.bytes.get(skip..).unwrap_or_default();
        Ok(have.get(..count).unwrap_or(have))
    }

    /// Returns the first aligned position from `from` on that contains the magic of a frame.
    fn next_magic(&mut self, mut from: u64) -> io::Result<Option<u64>> {
        while from < self.wal_file.bytes {
            self.at(from, FRAME_ALIGN)?;
            let skip = usize::try_from(from - self.start).unwrap_or(usize::MAX);
            let ahead = self.bytes.get(skip..).unwrap_or_default();
            if ahead.is_empty() {
                break;
            }
            let hit = ahead
                .chunks(FRAME_ALIGN)
                .position(|chunk| chunk.starts_with(&FRAME_MAGIC));
            if let Some(hit) = hit {
                return Ok(Some(from + (hit * FRAME_ALIGN) as u64));
            }
            from += ahead.len().next_multiple_of(FRAME_ALIGN) as u64;
        }
        Ok(None)
    }
}

fn read_frame_body(wal_file: &WalFile, at: u64, header: &FrameHeader) -> io::Result<Option<Bytes>> {
    let body_at = at + header.header_bytes() as u64;
    if body_at + header.body_bytes as u64 > wal_file.bytes {
        return Ok(None);
    }
    let mut body = vec![0; header.body_bytes];
    wal_file.file.read_at(&mut body, body_at)?;
    Ok(header.covers(&body).then(|| Bytes::from(body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Incarnation, sequence, synced sequence.
    type Frame = (u64, u64, u64);

    fn scanned(frames: &[Frame], starts: &[(u64, u64)]) -> ScanResult {
        let found = |(incarnation, seq, synced): &Frame| FoundFrame {
            wal_file: 0,
            at: 0,
            header: FrameHeader {
                salt: None,
                incarnation: Incarnation(*incarnation),
                seq: FrameSeq(*seq),
                synced_seq: FrameSeq(*synced),
                body_bytes: 0,
                body_crc: 0,
            },
        };
        let started = |(incarnation, seq): &(u64, u64)| WalFileHeader {
            incarnation: Incarnation(*incarnation),
            first_seq: FrameSeq(*seq),
            salt: None,
            successor: None,
        };
        ScanResult {
            frames: frames.iter().map(found).collect(),
            starts: starts.iter().map(started).collect(),
            incomplete: false,
            ..ScanResult::default()
        }
    }

    #[test]
    fn missing_frame_is_reported_if_proven_durable() {
        // Frames, files, covered; then replayed, missing, torn, next.
        type Case<'a> = (
            &'a str,
            &'a [Frame],
            &'a [(u64, u64)],
            u64,
            (&'a [u64], &'a [(u64, u64)], bool, u64),
        );
        let cases: &[Case<'_>] = &[
            ("nothing", &[], &[], 0, (&[], &[], false, 1)),
            (
                "in order",
                &[(1, 1, 0), (1, 2, 1)],
                &[(1, 1)],
                0,
                (&[1, 2], &[], false, 3),
            ),
            (
                "unsynced gap",
                &[(1, 1, 0), (1, 3, 0)],
                &[(1, 1)],
                0,
                (&[1], &[], true, 2),
            ),
            (
                "synced gap",
                &[(1, 1, 0), (1, 3, 2)],
                &[(1, 1)],
                0,
                (&[1, 3], &[(2, 3)], false, 4),
            ),
            (
                "a later frame shows it",
                &[(1, 1, 0), (1, 3, 0), (1, 4, 2)],
                &[(1, 1)],
                0,
                (&[1, 3, 4], &[(2, 3)], false, 5),
            ),
            (
                "a wal_file of a later opening shows it",
                &[(1, 1, 0), (2, 3, 0)],
                &[(1, 1), (2, 3)],
                0,
                (&[1, 3], &[(2, 3)], false, 4),
            ),
            (
                "an empty wal_file shows it",
                &[(1, 1, 0)],
                &[(1, 1), (1, 3)],
                0,
                (&[1], &[(2, 3)], false, 3),
            ),
            (
                "an earlier opening's wal_file shows nothing",
                &[(2, 2, 0), (2, 4, 0)],
                &[(1, 1), (1, 9), (2, 2)],
                1,
                (&[2], &[], true, 3),
            ),
        ];
        for (name, frames, starts, covered, (replayed, missing, torn, next)) in cases {
            let plan = plan(&scanned(frames, starts), FrameSeq(*covered));
            let seqs: Vec<u64> = plan.frames.iter().map(|found| found.header.seq.0).collect();
            let lost: Vec<_> = plan
                .missing
                .iter()
                .map(|(from, to)| (from.0, to.0))
                .collect();
            assert_eq!((&seqs[..], &lost[..]), (*replayed, *missing), "{name}");
            assert_eq!((plan.torn, plan.next.0), (*torn, *next), "{name}");
        }
    }
}
