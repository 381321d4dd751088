//! Verifies the crash tests: each injected bug must be detected.

use super::bit_flips::flip_bits;
use super::crash::enumerate;
use super::faults::fail_each_sync;
use super::scripts::SCRIPTS;
use super::sim::Faults;
use crate::Durability;
use crate::failpoints::{Bug, with};

/// Returns the first violation that the crash tests find with `bug`.
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
fn acknowledging_before_sync_is_caught() {
    let wrong = complaint(Bug::AckBeforeSync).expect("it loses what it acknowledged");
    assert!(wrong.contains("is gone"), "{wrong}");
}

// Conformance: log-proof/7
#[test]
fn every_other_bug_is_caught() {
    let bugs = [
        (Bug::FailedSyncRetried, "is gone"),
        (Bug::NamesNotSynced, "missing"),
        (Bug::SegmentsNotSynced, "corrupt"),
        (Bug::CheckpointNotSynced, "is gone"),
        (Bug::ReplayNotSynced, "corrupt"),
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
