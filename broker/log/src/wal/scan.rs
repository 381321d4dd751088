//! Which WAL frames a start replays: finds whole frames in the slots, then decides where the log
//! ends and whether something in its middle is damaged.
//!
//! Invariant: a frame that was durable is either replayed or reported, never silently dropped; a
//! frame is replayed only behind all that came before it or behind reported damage. Knows no
//! entries.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use crate::disk::DiskFile;
use crate::wal::frame::{
    FRAME_ALIGN, FRAME_HEADER_BYTES, FRAME_MAGIC, FrameHeader, FrameSeq, Incarnation,
    SLOT_HEADER_BYTES, SlotHeader,
};

const WINDOW_BYTES: usize = 1 << 20;

/// A slot to be scanned.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) header: SlotHeader,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) bytes: u64,
}

/// A whole frame and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Index of its slot.
    pub(crate) slot: usize,
    pub(crate) at: u64,
    pub(crate) header: FrameHeader,
}

/// What is to be replayed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// In order of sequence.
    pub(crate) frames: Vec<Found>,
    /// Sequences that were durable and are gone: `[from, to)`.
    pub(crate) damaged: Vec<(FrameSeq, FrameSeq)>,
    /// Sequence of the next frame to be written.
    pub(crate) next: FrameSeq,
    /// Frames up to this one were synced, as later ones and slots tell.
    pub(crate) proven: FrameSeq,
    /// Whether an incomplete frame stands at the end.
    pub(crate) torn: bool,
}

/// Everything found in the slots, which must be sorted by incarnation, then first sequence.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    frames: Vec<Found>,
    /// First sequence and incarnation of each slot, where a log may end and another begin.
    begins: Vec<SlotHeader>,
    /// A frame's header was there without its body.
    incomplete: bool,
}

/// Finds all whole frames above `covered`.
///
/// # Errors
/// When a slot cannot be read.
pub(crate) fn find_frames(slots: &[&Slot], covered: FrameSeq) -> io::Result<Findings> {
    let mut findings = Findings::default();
    for (index, slot) in slots.iter().enumerate() {
        findings.begins.push(slot.header);
        let end = end_of(slots, slot.header.incarnation);
        let next = slots.get(index + 1).map(|slot| slot.header);
        let is_covered = next.is_some_and(|next| {
            next.incarnation == slot.header.incarnation
                && next.first_seq <= covered.next()
                && next.first_seq > slot.header.first_seq
        });
        if !is_covered && end > covered.next() {
            scan_slot(index, slot, end, covered, &mut findings)?;
        }
    }
    Ok(findings)
}

/// Reads the body of a found frame again.
///
/// # Errors
/// When it cannot be read or is not what it was.
pub(crate) fn read_body(slots: &[&Slot], found: &Found) -> io::Result<Bytes> {
    let body = match slots.get(found.slot) {
        Some(slot) => read_frame_body(slot, found.at, &found.header)?,
        None => None,
    };
    body.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a WAL frame changed"))
}

/// Writes a found frame once more where it stands, so that the next sync covers it. After a sync
/// that failed the system takes its pages for clean, though the disk never got them.
///
/// # Errors
/// When it cannot be read or written.
pub(crate) fn rewrite(slots: &[&Slot], found: &Found) -> io::Result<()> {
    let Some(slot) = slots.get(found.slot) else {
        return Ok(());
    };
    let mut frame = vec![0; found.header.header_bytes() + found.header.body_bytes];
    slot.file.read_at(&mut frame, found.at)?;
    slot.file.write_at(&frame, found.at)
}

/// Decides what is replayed on top of `covered`. Pure.
pub(crate) fn plan(findings: &Findings, covered: FrameSeq) -> Plan {
    let begun = findings.begins.iter().map(|slot| slot.first_seq.0);
    let synced = findings
        .frames
        .iter()
        .map(|found| found.header.synced_seq.0);
    let proven = begun.map(|seq| seq.saturating_sub(1)).chain(synced).max();
    let mut plan = Plan {
        next: covered.next(),
        proven: FrameSeq(proven.unwrap_or(0)),
        ..Plan::default()
    };
    for (at, found) in findings.frames.iter().enumerate() {
        let seq = found.header.seq;
        if seq > plan.next {
            let later = findings.frames.get(at..).unwrap_or_default();
            if !was_durable(plan.next, later, &findings.begins) {
                plan.torn = true;
                return plan;
            }
            plan.damaged.push((plan.next, seq));
        }
        plan.frames.push(*found);
        plan.next = seq.next();
    }
    // A slot is begun only when all before it is durable.
    let newest = findings
        .begins
        .last()
        .map_or(plan.next, |slot| slot.first_seq);
    if newest > plan.next {
        plan.damaged.push((plan.next, newest));
        plan.next = newest;
    }
    plan.torn = findings.incomplete && plan.damaged.is_empty();
    plan
}

/// Whether frame `missing` was durable, judged by the frames and slots behind it.
fn was_durable(missing: FrameSeq, later: &[Found], begins: &[SlotHeader]) -> bool {
    let Some(first) = later.first() else {
        return false;
    };
    let since = first.header.incarnation;
    later.iter().any(|found| found.header.synced_seq >= missing)
        || begins
            .iter()
            .any(|slot| slot.incarnation >= since && slot.first_seq > missing)
}

/// Where the slots of `incarnation` end: a later one began there.
pub(crate) fn end_of(slots: &[&Slot], incarnation: Incarnation) -> FrameSeq {
    let later = slots
        .iter()
        .filter(|slot| slot.header.incarnation > incarnation);
    later
        .map(|slot| slot.header.first_seq)
        .min()
        .unwrap_or(FrameSeq(u64::MAX))
}

fn scan_slot(
    index: usize,
    slot: &Slot,
    end: FrameSeq,
    covered: FrameSeq,
    findings: &mut Findings,
) -> io::Result<()> {
    let mut least = slot.header.first_seq;
    let mut from = SLOT_HEADER_BYTES as u64;
    let mut window = Window::new(slot);
    while let Some(at) = window.next_magic(from)? {
        from = at + FRAME_ALIGN as u64;
        let Some(header) = FrameHeader::decode(window.at(at, FRAME_HEADER_BYTES)?) else {
            continue;
        };
        // In recycled space stand older lives' frames, and records that look like one.
        if !header.is_of(&slot.header) || header.seq < least || header.seq >= end {
            continue;
        }
        from = at + header.frame_bytes() as u64;
        if header.seq > covered {
            if read_frame_body(slot, at, &header)?.is_none() {
                // Its body may hold anything, also what looks like a frame: it was passed over.
                findings.incomplete = true;
                continue;
            }
            findings.frames.push(Found {
                slot: index,
                at,
                header,
            });
        }
        least = header.seq.next();
    }
    Ok(())
}

/// A part of a slot in memory, so that a search over it reads each byte once.
struct Window<'a> {
    slot: &'a Slot,
    start: u64,
    bytes: Vec<u8>,
}

impl<'a> Window<'a> {
    fn new(slot: &'a Slot) -> Self {
        Self {
            slot,
            start: 0,
            bytes: Vec::new(),
        }
    }

    /// Up to `count` bytes at `at`, fewer at the slot's end.
    fn at(&mut self, at: u64, count: usize) -> io::Result<&[u8]> {
        let end = at.saturating_add(count as u64).min(self.slot.bytes);
        if at < self.start || end > self.start + self.bytes.len() as u64 {
            let rest = usize::try_from(self.slot.bytes.saturating_sub(at)).unwrap_or(usize::MAX);
            self.bytes.resize(rest.min(WINDOW_BYTES), 0);
            let filled = self.slot.file.read_at(&mut self.bytes, at)?;
            self.bytes.truncate(filled);
            self.start = at;
        }
        let skip = usize::try_from(at - self.start).unwrap_or(usize::MAX);
        let have = self.bytes.get(skip..).unwrap_or_default();
        Ok(have.get(..count).unwrap_or(have))
    }

    /// The first aligned position at or behind `from` that holds a frame's magic.
    fn next_magic(&mut self, mut from: u64) -> io::Result<Option<u64>> {
        while from < self.slot.bytes {
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

fn read_frame_body(slot: &Slot, at: u64, header: &FrameHeader) -> io::Result<Option<Bytes>> {
    let body_at = at + header.header_bytes() as u64;
    if body_at + header.body_bytes as u64 > slot.bytes {
        return Ok(None);
    }
    let mut body = vec![0; header.body_bytes];
    slot.file.read_at(&mut body, body_at)?;
    Ok(header.covers(&body).then(|| Bytes::from(body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Incarnation, sequence, synced sequence.
    type Frame = (u64, u64, u64);

    fn findings(frames: &[Frame], begins: &[(u64, u64)]) -> Findings {
        let found = |(incarnation, seq, synced): &Frame| Found {
            slot: 0,
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
        let begun = |(incarnation, seq): &(u64, u64)| SlotHeader {
            incarnation: Incarnation(*incarnation),
            first_seq: FrameSeq(*seq),
            salt: None,
        };
        Findings {
            frames: frames.iter().map(found).collect(),
            begins: begins.iter().map(begun).collect(),
            incomplete: false,
        }
    }

    #[test]
    fn a_missing_frame_ends_the_log_unless_something_shows_that_it_was_durable() {
        // Frames, slots, covered; then replayed, damaged, torn, next.
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
                "a slot of a later opening shows it",
                &[(1, 1, 0), (2, 3, 0)],
                &[(1, 1), (2, 3)],
                0,
                (&[1, 3], &[(2, 3)], false, 4),
            ),
            (
                "an empty slot shows it",
                &[(1, 1, 0)],
                &[(1, 1), (1, 3)],
                0,
                (&[1], &[(2, 3)], false, 3),
            ),
            (
                "an earlier opening's slot shows nothing",
                &[(2, 2, 0), (2, 4, 0)],
                &[(1, 1), (1, 9), (2, 2)],
                1,
                (&[2], &[], true, 3),
            ),
        ];
        for (name, frames, begins, covered, (replayed, damaged, torn, next)) in cases {
            let plan = plan(&findings(frames, begins), FrameSeq(*covered));
            let seqs: Vec<u64> = plan.frames.iter().map(|found| found.header.seq.0).collect();
            let lost: Vec<_> = plan
                .damaged
                .iter()
                .map(|(from, to)| (from.0, to.0))
                .collect();
            assert_eq!((&seqs[..], &lost[..]), (*replayed, *damaged), "{name}");
            assert_eq!((plan.torn, plan.next.0), (*torn, *next), "{name}");
        }
    }
}
