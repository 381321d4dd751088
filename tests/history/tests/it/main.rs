//! Tests the checker with an in-memory broker: it reports nothing for a correct broker, and each
//! bug is reported by its own invariant and by no other.

mod broker;
mod workload;

use std::collections::BTreeSet;

use avouch_history::{Event, History, Invariant, Violation, check};

use broker::{BUGS, Bug};
use workload::play;

const SEEDS: u64 = 200;

// Conformance: log-proof/8
#[test]
fn correct_broker_has_no_violations() {
    for seed in 0..SEEDS {
        let (history, _) = play(seed, None);
        assert_eq!(check(&history), Vec::<Violation>::new(), "seed {seed}");
        assert!(history.events.len() > 100, "seed {seed} has too few events");
    }
}

// Conformance: log-proof/8
#[test]
fn each_bug_violates_only_its_invariant() {
    for bug in BUGS {
        let mut triggered = 0;
        for seed in 0..SEEDS {
            let (history, times) = play(seed, Some(bug));
            let wrong = check(&history);
            let broken: BTreeSet<_> = wrong.iter().map(Violation::invariant).collect();
            let expected = BTreeSet::from_iter((times > 0).then_some(bug.breaks()));
            assert_eq!(broken, expected, "{bug:?}, seed {seed}: {wrong:?}");
            triggered += times;
        }
        // A bug that rarely triggers would test nothing.
        assert!(
            triggered > SEEDS,
            "{bug:?} triggered only {triggered} times"
        );
    }
}

// Conformance: log-proof/8
#[test]
fn bugs_cover_all_broker_invariants() {
    let broken: BTreeSet<_> = BUGS.iter().map(|bug| bug.breaks()).collect();
    let numbers: Vec<_> = broken
        .iter()
        .filter_map(|invariant| invariant.number())
        .collect();
    let expected = [
        "I1", "I2", "I3", "I4", "I6", "I7", "I8", "I11", "I12", "I12", "I13",
    ];
    assert_eq!(numbers, expected);
    assert!(broken.contains(&Invariant::OnlySentValues));
}

// Conformance: log-proof/8
#[test]
fn history_without_complete_read_is_a_violation() {
    let (mut history, _) = play(1, None);
    history
        .events
        .retain(|event| !matches!(event, Event::ReadAll { .. }));
    assert_eq!(check(&history), [Violation::IncompleteRead]);
    assert_eq!(check(&History::default()), [Violation::IncompleteRead]);
}

// Conformance: log-proof/8
#[test]
fn records_below_log_start_are_not_lost() {
    let (history, _) = play(1, Some(Bug::LosesAcked));
    assert!(!check(&history).is_empty());
    let (deleted, _) = workload::play_with_deletion(1);
    assert_eq!(check(&deleted), Vec::<Violation>::new());
}
