//! Power cuts: a node runs once; then nodes start from images of its disk at random points.

use anyhow::{Context as _, Result, ensure};
use avouch_avro_testing::Random;
use avouch_faults::Loss;
use avouch_tests::node::Node;
use avouch_tests::protocol::Connection;

use super::ledger::Ledger;

const STEPS: usize = 150;
/// Images per run of `.ci/run`.
const IMAGES: u64 = 9;

// Conformance: log-proof/30
#[test]
fn acknowledged_data_survives_power_cuts() -> Result<()> {
    let Some(disk) = super::mount()? else {
        return Ok(());
    };
    let seeds = super::seeds(IMAGES)?;
    let mut random = Random::new(seeds.start);
    let mut ledger = Ledger::default();
    let mut node = Node::start_on(&disk.path().join("data"))?;
    let started = disk.position();
    let mut connection = Connection::open(node.bootstrap())?;
    for _ in 0..STEPS {
        ledger.step(&node, &mut connection, &mut random, &|| disk.position())?;
    }
    node.kill_9()?;
    let journal = disk.journal();
    let end = journal.changes().len();
    ensure!(ledger.acknowledged_records() > STEPS, "too few records");

    for seed in seeds {
        let mut random = Random::new(seed);
        // Later images contain more; the last change is one of them.
        let cut = started + random.below(end - started + 1);
        for loss in [Loss::All, Loss::Random] {
            let image = tempfile::tempdir()?;
            journal.write_image(cut, loss, &mut random, image.path())?;
            let context = || format!("seed {seed}: power cut at {cut} of {end}, {loss:?} lost");
            let node = Node::start_on(&image.path().join("data")).with_context(context)?;
            ledger.check(&node, cut).with_context(context)?;
        }
    }
    Ok(())
}
