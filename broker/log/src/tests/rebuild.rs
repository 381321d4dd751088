//! Rebuild of the checkpoint: it loses no acknowledged record, whichever files a process left.

use std::path::Path;
use std::sync::Arc;

use super::harness::Driven;
use super::scripts::{Run, SCRIPTS, config};
use super::sim::{Crash, Faults, SimDisk};
use crate::{Disk, Durability, OpenError, RecoveryReport, rebuild_checkpoint};

const CHECKPOINT: &str = "/data/checkpoint";

fn open(disk: &SimDisk) -> Result<(Driven, RecoveryReport), OpenError> {
    Driven::open(config(Durability::Fsync), Arc::new(disk.clone()))
}

/// Checks everything that does not depend on a log start or a deletion, which other files than the
/// checkpoint may no longer contain.
fn check(run: &Run, script: &str, left: &SimDisk) -> Result<(), String> {
    let (driven, report) = open(left).map_err(|error| error.to_string())?;
    run.model.create_partitions(&driven)?;
    if !report.missing_frames.is_empty() || !report.corrupt_ranges.is_empty() {
        return Err(format!("{report:?}"));
    }
    run.model.check_corrupt(&driven, &run.model.fork(), false)?;
    if !script.contains(['s', 'S', 'd']) {
        run.model.check(&driven, false)?;
    }
    driven.checkpoint().map_err(|error| error.to_string())?;
    let (driven, _) = open(&left.after(Crash::Nothing)).map_err(|error| error.to_string())?;
    run.model.check_corrupt(&driven, &run.model.fork(), false)
}

// Conformance: log-proof/17
#[test]
fn corrupt_checkpoint_is_rebuilt() {
    for (name, script) in SCRIPTS {
        let mut run = Run::new(Durability::Fsync, SimDisk::new(Faults::default()));
        run.play(script).unwrap();
        let torn = Crash::Torn {
            block: 512,
            seed: 7,
        };
        for crash in [Crash::Killed, Crash::Nothing, torn] {
            for at in [0, 11, 13, 18, 25] {
                let left = run.disk.after(crash);
                left.corrupt(Path::new(CHECKPOINT), |bytes| bytes[at] ^= 1);
                check(&run, script, &left)
                    .unwrap_or_else(|wrong| panic!("{name}, byte {at}, {crash:?}: {wrong}"));
            }
        }
    }
}

// Conformance: log-proof/17
#[test]
fn missing_checkpoint_is_rebuilt_on_request() {
    let mut run = Run::new(Durability::Fsync, SimDisk::new(Faults::default()));
    let script = "i1*4 a2 p f i1*3 p c i1 a2 p";
    run.play(script).unwrap();
    let left = run.disk.after(Crash::Killed);
    let rebuild = || rebuild_checkpoint(Path::new("/data"), &left);
    let error = rebuild().unwrap_err();
    assert_eq!(error.to_string(), "the checkpoint is intact");
    left.remove_file(Path::new(CHECKPOINT)).unwrap();
    let error = open(&left).unwrap_err().to_string();
    assert!(error.contains("avouch log rebuild-checkpoint"), "{error}");
    assert_eq!(rebuild().unwrap(), 2);
    check(&run, script, &left).unwrap();
}
