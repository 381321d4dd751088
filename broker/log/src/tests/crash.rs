//! Exhaustive crash tests: each script is stopped at every write, sync, rename and removal, and the
//! disk after each kind of crash is opened and checked.

use std::sync::Arc;

use super::harness::Driven;
use super::model::{Model, Send, TOPICS};
use super::scripts::{Run, SCRIPTS, config};
use super::sim::{Crash, Faults, SimDisk};
use crate::{Durability, LogConfig};

/// The kinds of crashes; each is tried at every point.
fn crashes(point: u64) -> [Crash; 5] {
    [
        Crash::Killed,
        Crash::Nothing,
        Crash::Torn {
            block: 512,
            seed: point,
        },
        Crash::Torn {
            block: 512,
            seed: point + 1_000_000,
        },
        Crash::Torn {
            block: 4096,
            seed: point + 2_000_000,
        },
    ]
}

/// Returns the number of steps of a script without faults, and checks its result.
fn steps(script: &str, config: &LogConfig) -> Result<u64, String> {
    let disk = SimDisk::new(Faults::default());
    let mut run = Run::on(config.clone(), disk, Model::default());
    run.play(script)?;
    run.model.check(run.driven.as_ref().unwrap(), false)?;
    Ok(run.disk.steps())
}

/// Opens a disk, checks it, appends, cuts the power, and checks again.
pub(super) fn outlive(
    model: &Model,
    disk: &SimDisk,
    config: &LogConfig,
    may_lose_tail: bool,
) -> Result<(), String> {
    let open = |disk: &SimDisk| {
        let opened = Driven::open(config.clone(), Arc::new(disk.clone()));
        opened
            .map(|(driven, _)| driven)
            .map_err(|error| format!("does not open: {error}"))
    };
    let mut driven = open(disk)?;
    model.check(&driven, may_lose_tail)?;
    model.create_partitions(&driven)?;
    for topic in 1..=TOPICS {
        model.send(
            &driven,
            &[Send {
                topic,
                idempotent: false,
                bytes: 700,
            }],
        );
        driven.commit();
    }
    model.look(&driven);
    if disk.steps().is_multiple_of(2) {
        driven.checkpoint().map_err(|error| error.to_string())?;
    }
    model.check(&driven, may_lose_tail)?;
    let second = match config.durability {
        Durability::Fsync => Crash::Nothing,
        Durability::Os => Crash::Killed,
    };
    model.check(&open(&disk.after(second))?, may_lose_tail)
}

/// Tries every crash at every point of a script; returns their number.
pub(super) fn enumerate(
    script: &str,
    durability: Durability,
    faults: Faults,
) -> Result<u64, String> {
    enumerate_with(script, &config(durability), faults)
}

fn enumerate_with(script: &str, config: &LogConfig, faults: Faults) -> Result<u64, String> {
    let durability = config.durability;
    let mut tried = 0;
    for point in 1..=steps(script, config)? {
        let disk = SimDisk::new(Faults {
            crash_at: Some(point),
            ..faults
        });
        let mut run = Run::on(config.clone(), disk, Model::default());
        // The run ends in an error wherever the machine stopped; only the disk matters.
        drop(run.play(script));
        if let Some(driven) = &run.driven {
            run.model.look(driven);
        }
        for crash in crashes(point) {
            let is_power_cut = !matches!(crash, Crash::Killed);
            let may_lose_tail = durability == Durability::Os && is_power_cut;
            let left = run.disk.after(crash);
            outlive(&run.model.fork(), &left, config, may_lose_tail)
                .map_err(|wrong| format!("{script:?} stopped at {point}, {crash:?}: {wrong}"))?;
            tried += 1;
        }
    }
    Ok(tried)
}

// Conformance: log-proof/1, log-proof/10, main-job/7c
#[test]
fn every_crash_point_keeps_what_was_acknowledged() {
    let mut tried = 0;
    for (name, script) in SCRIPTS {
        tried += enumerate(script, Durability::Fsync, Faults::default())
            .unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
    }
    assert!(tried > 5_000, "only {tried} crashes were tried");
}

// Conformance: log-proof/1
#[test]
fn crash_points_with_file_system_syncs() {
    let config = LogConfig {
        sync_all_from: 1,
        ..config(Durability::Fsync)
    };
    for (name, script) in SCRIPTS.iter().filter(|(_, script)| script.contains('c')) {
        enumerate_with(script, &config, Faults::default())
            .unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
    }
}

// Conformance: log-proof/1
#[test]
fn mode_os_loses_only_the_end() {
    for (name, script) in SCRIPTS {
        enumerate(script, Durability::Os, Faults::default())
            .unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
    }
}

// Conformance: log-proof/6
#[test]
fn false_sync_success_is_detected() {
    let lying = Faults {
        syncs_lie: true,
        ..Faults::default()
    };
    let noticed =
        |(_, script): &&(&str, &str)| enumerate(script, Durability::Fsync, lying).is_err();
    let count = SCRIPTS.iter().filter(noticed).count();
    // Scripts without appends cannot lose anything.
    assert!(
        count >= SCRIPTS.len() - 1,
        "only {count} of {} scripts noticed",
        SCRIPTS.len()
    );
}
