//! Disk operations that fail while a node runs. It may stop; what it acknowledged must survive a
//! restart on a repaired disk, and a power cut.

use anyhow::{Context as _, Result, ensure};
use avouch_avro_testing::Random;
use avouch_faults::{Errno, Failure, FaultFs, Loss, Operation};
use avouch_tests::node::Node;
use avouch_tests::protocol::Connection;

use super::ledger::Ledger;

const STEPS: usize = 80;
/// Failures per run of `.ci/run`.
const FAILURES: u64 = 6;
const OPERATIONS: [Operation; 5] = [
    Operation::Write,
    Operation::Sync,
    Operation::Create,
    Operation::Rename,
    Operation::SetLength,
];
/// Parts of file names: both databases with their journals, the log, and everything.
const NAMES: [&str; 6] = ["metadata", "registry", "-wal", "log", "segment", ""];

// Conformance: log-proof/31
#[test]
fn acknowledged_data_survives_failed_operations() -> Result<()> {
    let mut failed = 0;
    for seed in super::seeds(FAILURES)? {
        let Some(disk) = super::mount()? else {
            return Ok(());
        };
        failed += survive(&disk, seed).with_context(|| format!("seed {seed}"))?;
    }
    ensure!(failed > 0, "no operation failed");
    Ok(())
}

/// Returns the number of operations that failed.
fn survive(disk: &FaultFs, seed: u64) -> Result<u64> {
    let mut random = Random::new(seed);
    let data_dir = disk.path().join("data");
    let mut ledger = Ledger::default();
    let mut node = Node::start_on(&data_dir)?;
    let started = disk.position();
    disk.fail(failure(&mut random));
    work(&mut node, &mut ledger, &mut random, disk)?;
    let failed = disk.repair();
    node.kill_9()?;
    drop(node);

    let cut = disk.position();
    let image = tempfile::tempdir()?;
    let journal = disk.journal();
    ensure!(cut > started, "nothing was written");
    journal.write_image(cut, Loss::Random, &mut random, image.path())?;
    for data_dir in [data_dir, image.path().join("data")] {
        let node = Node::start_on(&data_dir)?;
        ledger
            .check(&node, cut)
            .with_context(|| data_dir.display().to_string())?;
    }
    Ok(failed)
}

/// Sends requests until the node exits or the work is done. A request may fail.
fn work(node: &mut Node, ledger: &mut Ledger, random: &mut Random, disk: &FaultFs) -> Result<()> {
    let mut connection = None;
    for _ in 0..STEPS {
        if node.has_exited()? {
            break;
        }
        let open = match connection.take() {
            Some(open) => Ok(open),
            None => Connection::open(node.bootstrap()),
        };
        // A node that is exiting rejects connections and closes them.
        connection = open.ok().and_then(|mut open| {
            ledger
                .step(node, &mut open, random, &|| disk.position())
                .is_ok()
                .then_some(open)
        });
    }
    Ok(())
}

fn failure(random: &mut Random) -> Failure {
    let errors = [Errno::EIO, Errno::ENOSPC];
    // Once, a few times, or until the disk is repaired.
    let counts = [1, 3, u64::MAX];
    Failure {
        operation: OPERATIONS[random.below(OPERATIONS.len())],
        name: NAMES[random.below(NAMES.len())].to_owned(),
        after: random.number() % 20,
        count: counts[random.below(counts.len())],
        error: errors[random.below(errors.len())],
    }
}
