//! The proof of the proof: a log with a bug is caught, whichever bug it is.

use super::bit_flips::flip_bits;
use super::crash::enumerate;
use super::faults::fail_each_sync;
use super::scripts::SCRIPTS;
use super::sim::Faults;
use crate::Durability;
use crate::failpoints::{Bug, with};

/// What the proof says first about a log with `bug`; nothing if it has no complaint.
fn complaint(bug: Bug) -> Option<String> {
    let wrong = |(name, script): &(&str, &str)| {
        let crashed = enumerate(script, Durability::Fsync, Faults::default()).map(drop);
        let tried = crashed
            .and_then(|()| fail_each_sync(script))
            .and_then(|()| flip_bits(script));
        tried.err().map(|wrong| format!("{name}: {wrong}"))
    };
    with(bug, || SCRIPTS.iter().find_map(wrong))
}

// Conformance: log-proof/6
#[test]
fn a_log_that_acknowledges_before_it_syncs_is_caught() {
    let wrong = complaint(Bug::AckBeforeSync).expect("it loses what it acknowledged");
    assert!(wrong.contains("is gone"), "{wrong}");
}

// Conformance: log-proof/7
#[test]
fn a_log_that_has_any_other_bug_is_caught_too() {
    let bugs = [
        (Bug::FailedSyncRetried, "is gone"),
        (Bug::NamesNotSynced, "damaged"),
        (Bug::SegmentsNotSynced, "damaged"),
        (Bug::CheckpointNotSynced, "is gone"),
        (Bug::ReplayNotSynced, "damaged"),
        (Bug::TornFrameAccepted, "wrong"),
        (Bug::ChecksumIgnored, "wrong"),
        (Bug::ProducersForgotten, "Duplicate"),
    ];
    let mut all = Vec::new();
    for (bug, word) in bugs {
        match complaint(bug) {
            Some(wrong) if wrong.contains(word) => {}
            wrong => all.push((bug, wrong)),
        }
    }
    assert!(
        all.is_empty(),
        "unnoticed, or noticed for another reason: {all:#?}"
    );
}
