//! Bit flips on the disk: reads return correct batches or an error, and no acknowledged batch
//! disappears without a report.

use std::path::PathBuf;
use std::sync::Arc;

use super::harness::Driven;
use super::model::{Model, Send};
use super::scripts::{Run, SCRIPTS, config};
use super::seeds::Dice;
use super::sim::{Crash, Faults, SimDisk};
use crate::{Durability, OpenError};

const FLIPS_A_SCRIPT: u64 = 60;

// Conformance: log-proof/5
#[test]
fn every_bit_flip_is_detected() {
    for (name, script) in SCRIPTS {
        flip_bits(script).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
    }
}

/// Runs a script, kills the process, and opens its disk many times with one bit flipped.
pub(super) fn flip_bits(script: &str) -> Result<(), String> {
    let mut run = Run::new(Durability::Fsync, SimDisk::new(Faults::default()));
    run.play(script)?;
    let (model, disk) = (run.model.clone(), run.disk.clone());
    let mut driven = run.driven.take().expect("it was played");
    // A corrupt last frame cannot be distinguished from an incomplete one, so another one follows.
    let last = model.fork();
    last.create_partitions(&driven)?;
    let send = Send {
        topic: 4,
        idempotent: false,
        bytes: 120,
    };
    last.send(&driven, &[send]);
    driven.commit();
    drop(driven);

    let mut dice = Dice(script.len() as u64);
    for _ in 0..FLIPS_A_SCRIPT {
        let flipped = disk.after(Crash::Killed);
        let (path, at, bit) = some_bit(&mut dice, &flipped);
        flipped.corrupt(&path, |bytes| bytes[at] ^= 1 << bit);
        check(&model, &last, &flipped)
            .map_err(|wrong| format!("{} byte {at} bit {bit}: {wrong}", path.display()))?;
    }
    Ok(())
}

fn check(model: &Model, last: &Model, disk: &SimDisk) -> Result<(), String> {
    match Driven::open(config(Durability::Fsync), Arc::new(disk.clone())) {
        Ok((driven, report)) => {
            last.create_partitions(&driven)?;
            model.check_corrupt(&driven, last, !report.missing_frames.is_empty())
        }
        // The header of a file without frames was hit.
        Err(OpenError::MissingWal { .. }) => Ok(()),
        Err(error) => Err(format!("does not open: {error}")),
    }
}

/// Chooses a bit of a nonzero byte, because zeros were never written.
fn some_bit(dice: &mut Dice, disk: &SimDisk) -> (PathBuf, usize, u64) {
    let files: Vec<_> = disk
        .files()
        .into_iter()
        .filter(|(_, bytes)| bytes.iter().any(|byte| *byte != 0))
        .collect();
    let (path, bytes) = &files[usize::try_from(dice.below(files.len() as u64)).unwrap()];
    let written: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    let at = written[usize::try_from(dice.below(written.len() as u64)).unwrap()];
    (path.clone(), at, dice.below(8))
}
