//! The checker against a broker in memory: silent about one that keeps its promises, and each bug
//! of one that does not is found by its own invariant and by no other.

mod broker;
mod workload;

use std::collections::BTreeSet;

use avouch_history::{Event, History, Invariant, Violation, check};

use broker::{BUGS, Bug};
use workload::play;

const SEEDS: u64 = 200;

// Conformance: log-proof/8
#[test]
fn a_broker_that_keeps_its_promises_is_never_blamed() {
    for seed in 0..SEEDS {
        let (history, _) = play(seed, None);
        assert_eq!(check(&history), Vec::<Violation>::new(), "seed {seed}");
        assert!(
            history.events.len() > 100,
            "seed {seed} did next to nothing"
        );
    }
}

// Conformance: log-proof/8
#[test]
fn every_bug_is_found_by_its_own_invariant_and_by_no_other() {
    for bug in BUGS {
        let mut struck = 0;
        for seed in 0..SEEDS {
            let (history, times) = play(seed, Some(bug));
            let wrong = check(&history);
            let broken: BTreeSet<_> = wrong.iter().map(Violation::invariant).collect();
            let expected = BTreeSet::from_iter((times > 0).then_some(bug.breaks()));
            assert_eq!(broken, expected, "{bug:?}, seed {seed}: {wrong:?}");
            struck += times;
        }
        assert!(struck > SEEDS, "{bug:?} struck {struck} times only");
    }
}

// Conformance: log-proof/8
#[test]
fn the_bugs_cover_every_invariant_that_a_broker_can_break() {
    let broken: BTreeSet<_> = BUGS.iter().map(|bug| bug.breaks()).collect();
    let numbers: Vec<_> = broken
        .iter()
        .filter_map(|invariant| invariant.number())
        .collect();
    let expected = [
        "I1", "I2", "I3", "I4", "I6", "I7", "I8", "I11", "I12", "I12", "I13",
    ];
    assert_eq!(numbers, expected);
    assert!(broken.contains(&Invariant::NoInvention));
}

// Conformance: log-proof/8
#[test]
fn a_history_that_nobody_read_to_its_end_proves_nothing() {
    let (mut history, _) = play(1, None);
    history
        .events
        .retain(|event| !matches!(event, Event::ReadAll { .. }));
    assert_eq!(check(&history), [Violation::Unread]);
    assert_eq!(check(&History::default()), [Violation::Unread]);
}

// Conformance: log-proof/8
#[test]
fn what_stood_below_the_log_start_is_not_missed() {
    let (history, _) = play(1, Some(Bug::LosesAcked));
    assert!(!check(&history).is_empty());
    let (deleted, _) = workload::play_with_deletion(1);
    assert_eq!(check(&deleted), Vec::<Violation>::new());
}
