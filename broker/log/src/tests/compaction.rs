//! Compaction over a disk that crashes at every step.
//!
//! The property: a record is missing only if a newer one with its key exists, or if it is an
//! expired tombstone; all others are unchanged and at their offsets.

use std::path::Path;
use std::sync::Arc;

use avouch_protocol::batch::{BatchHeader, Codec, HEADER_BYTES, crc_matches};
use avouch_protocol::builder::BatchBuilder;
use avouch_protocol::compress::{Decompressor, Limits};
use avouch_protocol::records::RecordIter;
use avouch_protocol::types::{Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};

use super::batches::tp;
use super::harness::{Driven, small};
use super::sim::{Crash, Faults, SimDisk};
use crate::{
    AppendBatch, AppendOutcome, CompactionSettings, Disk, Origin, PartitionSettings, ReadError,
};

const CHECKPOINT: &str = "/data/checkpoint";

const DELETE_RETENTION_MS: i64 = 100;

/// One letter per step: `a` to `e` write that key, `A` to `E` delete it, `Z` writes all keys in one
/// batch; `r` rolls the segment, `m` compacts, `w` waits until tombstones expire, `!` takes a
/// checkpoint, `f` writes segments, `k` kills, `s` raises the log start by two.
const SCRIPTS: &[&str] = &[
    "aba r m",
    "aabbab r ab r m ab r m !",
    "abc r ! abc r ! m ! abc r m ! k m a",
    "aA bB r m w m r a r m !",
    "A r m ! w m ! a k",
    "Z a b ! r m ! Z r m k Z",
    "ab r m k m ! k ab r m !",
    "abab r f s m ! abab r s m !",
    "aaaa r aaaa r m ! aaaa r m ! aaaa",
    "abcde ABCDE r m ! w r m ! m k abc r m",
];

struct Run {
    disk: SimDisk,
    driven: Option<Driven>,
    now: i64,
    /// Key and value by offset, acknowledged or pending.
    sent: Vec<(u8, Option<i64>)>,
    acked: usize,
    log_start: i64,
    sequence: i32,
}

fn settings() -> PartitionSettings {
    PartitionSettings {
        segment_bytes: 2_000,
        compaction: Some(CompactionSettings {
            min_dirty_ratio: 0.0,
            delete_retention_ms: DELETE_RETENTION_MS,
            ..CompactionSettings::default()
        }),
        ..PartitionSettings::default()
    }
}

fn open(disk: &SimDisk) -> Result<Driven, String> {
    let opened = Driven::open(small("/data"), Arc::new(disk.clone()));
    let (driven, _) = opened.map_err(|error| error.to_string())?;
    let created = driven.log.create_partition(tp(1));
    created.map_err(|error| error.to_string())?;
    driven.log.configure(tp(1), settings());
    Ok(driven)
}

impl Run {
    fn new(disk: SimDisk) -> Self {
        Self {
            disk,
            driven: None,
            now: 1_000,
            sent: Vec::new(),
            acked: 0,
            log_start: 0,
            sequence: 0,
        }
    }

    fn play(&mut self, script: &str) -> Result<(), String> {
        self.driven = Some(open(&self.disk)?);
        for step in script.bytes().filter(|step| *step != b' ') {
            self.step(step)?;
        }
        Ok(())
    }

    fn step(&mut self, step: u8) -> Result<(), String> {
        self.now += 1;
        let now = TimestampMs(self.now);
        let mut driven = self.driven.take().unwrap();
        let text = |error| Err(format!("{error}"));
        let result = match step {
            b'a'..=b'e' => self.append(&mut driven, &[(step, Some(self.now))]),
            b'A'..=b'E' => self.append(&mut driven, &[(step.to_ascii_lowercase(), None)]),
            b'Z' => {
                let all: Vec<_> = (b'a'..=b'e').map(|key| (key, Some(self.now))).collect();
                self.append(&mut driven, &all)
            }
            b'r' => driven.roll(tp(1)).or_else(text),
            b'f' => driven.flush().or_else(text),
            b'!' => driven.checkpoint().or_else(text),
            b'm' => driven.compact(tp(1), now).map(drop).or_else(text),
            b's' => {
                self.log_start = (self.log_start + 2).min(self.acked.try_into().unwrap());
                let offset = Offset(self.log_start);
                driven.log.set_log_start(tp(1), offset, Box::new(drop));
                driven.commit();
                Ok(())
            }
            b'w' => {
                self.now += DELETE_RETENTION_MS;
                Ok(())
            }
            b'k' => {
                drop(driven);
                driven = open(&self.disk)?;
                Ok(())
            }
            other => panic!("no step {other}"),
        };
        self.driven = Some(driven);
        result
    }

    fn append(&mut self, driven: &mut Driven, records: &[(u8, Option<i64>)]) -> Result<(), String> {
        let mut builder = BatchBuilder::new(Codec::Lz4).producer(
            ProducerId(7),
            ProducerEpoch(0),
            Sequence(self.sequence),
        );
        self.sequence += i32::try_from(records.len()).unwrap();
        for (key, value) in records {
            let value = value.map(i64::to_be_bytes);
            let value = value.as_ref().map(|value| &value[..]);
            builder.push(Some(&[*key; 30]), value, TimestampMs(self.now), &[]);
        }
        let base = Offset(self.sent.len().try_into().unwrap());
        self.sent.extend(records);
        let outcome = driven.append(vec![AppendBatch {
            target: tp(1),
            batch: builder.finish(),
            tag: 0,
            append_time: None,
            guard: None,
            origin: Origin::Client,
        }]);
        match outcome.as_slice() {
            [AppendOutcome::Appended { base_offset, .. }] if *base_offset == base => {
                self.acked = self.sent.len();
                Ok(())
            }
            other => Err(format!("{other:?}")),
        }
    }

    /// Checks the property.
    fn check(&self, driven: &Driven) -> Result<Vec<i64>, String> {
        let bounds = driven.log.bounds(tp(1)).ok_or("the partition is gone")?;
        let end = usize::try_from(bounds.high_watermark.0).unwrap();
        if end < self.acked || end > self.sent.len() {
            return Err(format!(
                "it ends at {end}, {} were acknowledged",
                self.acked
            ));
        }
        let found = read(driven, bounds.log_start, bounds.high_watermark)?;
        for (offset, key, value) in &found {
            let sent = self.sent.get(usize::try_from(*offset).unwrap());
            if sent != Some(&(*key, *value)) {
                return Err(format!("{offset} holds {key} {value:?}, not {sent:?}"));
            }
        }
        let there: Vec<i64> = found.iter().map(|(offset, ..)| *offset).collect();
        for (offset, (key, value)) in self.sent[..end].iter().enumerate() {
            let at = i64::try_from(offset).unwrap();
            let is_newer = |newer: &&i64| {
                **newer > at && self.sent[usize::try_from(**newer).unwrap()].0 == *key
            };
            let is_newer_deleted = || {
                let mut newer = self.sent[offset + 1..end].iter();
                newer.any(|(newer, value)| newer == key && value.is_none())
            };
            let may_miss = at < bounds.log_start.0
                || value.is_none()
                || there.iter().any(|newer| is_newer(&newer))
                || is_newer_deleted();
            if !there.contains(&at) && !may_miss {
                return Err(format!("{at} is lost, of {there:?}"));
            }
        }
        Ok(there)
    }
}

/// Returns every record from `from` on: offset, key, value.
fn read(driven: &Driven, from: Offset, end: Offset) -> Result<Vec<(i64, u8, Option<i64>)>, String> {
    let mut found = Vec::new();
    let mut next = from;
    while next < end {
        let read = driven.log.read(tp(1), next, 300);
        let read = read.map_err(|error: ReadError| format!("at {next}: {error}"))?;
        if read.batches.is_empty() {
            return Err(format!("nothing at {next}, below {end}"));
        }
        for batch in read.batches {
            let header = BatchHeader::parse(&batch).map_err(|error| error.to_string())?;
            if header.next_offset() <= next || !crc_matches(&batch) {
                return Err(format!("{} follows {next}", header.base_offset));
            }
            let mut decompressor = Decompressor::new();
            let codec = header.codec().unwrap();
            let section = decompressor.decompress(codec, &batch[HEADER_BYTES..], Limits::default());
            for record in RecordIter::new(section.unwrap(), header.record_count) {
                let record = record.map_err(|error| error.to_string())?;
                let offset = header.base_offset.0 + i64::from(record.offset_delta);
                let value = record
                    .value
                    .map(|value| i64::from_be_bytes(value.try_into().unwrap()));
                if offset >= from.0 {
                    found.push((offset, record.key.unwrap()[0], value));
                }
            }
            next = header.next_offset();
        }
    }
    Ok(found)
}

fn outlive(run: &Run, left: &SimDisk) -> Result<(), String> {
    let driven = open(left)?;
    run.check(&driven)?;
    driven.roll(tp(1)).map_err(|error| error.to_string())?;
    let later = TimestampMs(run.now + 1);
    driven
        .compact(tp(1), later)
        .map_err(|error| error.to_string())?;
    run.check(&driven)?;
    driven.checkpoint().map_err(|error| error.to_string())?;
    run.check(&open(&left.after(Crash::Nothing))?)?;
    Ok(())
}

// Conformance: log/6
#[test]
fn compaction_outlives_a_crash_at_every_step() {
    let mut tried = 0;
    for script in SCRIPTS {
        let mut whole = Run::new(SimDisk::new(Faults::default()));
        whole.play(script).unwrap();
        whole.check(whole.driven.as_ref().unwrap()).unwrap();
        for point in 1..=whole.disk.steps() {
            let mut run = Run::new(SimDisk::new(Faults {
                crash_at: Some(point),
                ..Faults::default()
            }));
            // The run ends in an error wherever the machine stopped; only the disk matters.
            drop(run.play(script));
            let torn = Crash::Torn {
                block: 512,
                seed: point,
            };
            for crash in [Crash::Killed, Crash::Nothing, torn] {
                outlive(&run, &run.disk.after(crash))
                    .unwrap_or_else(|wrong| panic!("{script} at {point}, {crash:?}: {wrong}"));
                tried += 1;
            }
            let left = run.disk.after(Crash::Killed);
            if left.exists(Path::new(CHECKPOINT)) && !script.contains('s') {
                // The rebuild must distinguish the sources of a compaction from its results.
                left.corrupt(Path::new(CHECKPOINT), |bytes| bytes[20] ^= 1);
                outlive(&run, &left)
                    .unwrap_or_else(|wrong| panic!("{script} at {point}, rebuilt: {wrong}"));
            }
        }
    }
    assert!(tried > 1_000, "only {tried} crashes were tried");
}

// Conformance: log/2
#[test]
fn newest_records_and_active_segment_remain() {
    let mut run = Run::new(SimDisk::new(Faults::default()));
    run.play("abcabcabab r cde m ! k").unwrap();
    let driven = run.driven.as_ref().unwrap();
    assert_eq!(run.check(driven).unwrap(), [5, 8, 9, 10, 11, 12]);
    run.play_on("r m ! k");
    assert_eq!(
        run.check(run.driven.as_ref().unwrap()).unwrap(),
        [8, 9, 10, 11, 12]
    );
    let segments = |run: &Run| -> Vec<String> {
        let files = run.disk.files().into_iter();
        let names = files.filter_map(|(path, _)| path.file_name()?.to_str().map(str::to_owned));
        names.filter(|name| name.ends_with(".log")).collect()
    };
    let expected = ["00000000000000000000.2.log", "00000000000000000013.log"];
    assert_eq!(segments(&run), expected, "what was read is gone");
}

// Conformance: broker/produce-14, log/3
#[test]
fn tombstones_remain_until_their_horizon() {
    let mut run = Run::new(SimDisk::new(Faults::default()));
    run.play("aBc r a r m ! k").unwrap();
    let there = |run: &Run| run.check(run.driven.as_ref().unwrap()).unwrap();
    assert_eq!(there(&run), [1, 2, 3]);
    run.play_on("m ! k");
    assert_eq!(there(&run), [1, 2, 3], "its time is not over");
    run.play_on("w m ! k");
    assert_eq!(there(&run), [2, 3]);
    let bounds = run.driven.as_ref().unwrap().log.bounds(tp(1)).unwrap();
    assert_eq!(
        (bounds.log_start, bounds.high_watermark),
        (Offset(0), Offset(4))
    );
}

// Conformance: log/7
#[test]
fn corrupt_range_blocks_compaction_until_skipped() {
    let mut run = Run::new(SimDisk::new(Faults::default()));
    run.play("aaa r aaa r !").unwrap();
    let dir = Path::new("/data/data").join(tp(1).to_string());
    let first = dir.join("00000000000000000000.log");
    run.disk.corrupt(&first, |bytes| {
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
    });
    run.play_on("k m ! k");
    let driven = run.driven.as_ref().unwrap();
    let Err(ReadError::Corrupt { range }) = driven.log.read(tp(1), Offset(2), 1) else {
        panic!("the range is hidden");
    };
    assert_eq!((range.from, range.to), (Offset(2), Offset(3)));
    assert_eq!(
        *driven.received.corrupt_ranges.lock().unwrap(),
        [(tp(1), range)]
    );
    drop(driven.log.read(tp(1), Offset(2), 1));
    assert_eq!(
        driven.received.corrupt_ranges.lock().unwrap().len(),
        1,
        "reported once"
    );
    let mut driven = run.driven.take().unwrap();
    driven.skip_corrupt_range(tp(1), range);
    run.driven = Some(driven);
    run.play_on("k");
    let driven = run.driven.as_ref().unwrap();
    let next = driven
        .log
        .read(tp(1), Offset(2), 1)
        .unwrap()
        .batches
        .remove(0);
    assert_eq!(BatchHeader::parse(&next).unwrap().base_offset, Offset(3));
    run.play_on("m ! k");
    let driven = run.driven.as_ref().unwrap();
    let found = read(driven, Offset(0), Offset(6)).unwrap();
    assert_eq!(found.len(), 1, "only the newest is left: {found:?}");
}

impl Run {
    /// Continues where the last script ended.
    fn play_on(&mut self, script: &str) {
        for step in script.bytes().filter(|step| *step != b' ') {
            self.step(step).unwrap();
        }
    }
}
