//! Repeated kills of the broker with requests in flight. An acknowledged record must be stored
//! once, at its acknowledged offset; an unacknowledged one can be stored or not; no other record
//! may exist, and no reader may ever have received anything else. The history checker verifies
//! this.

mod follower;
mod java;
mod librdkafka;
mod recorder;

use std::io::{Write as _, stderr};

use anyhow::{Result, ensure};
use avouch_history::{Event, Observer, Reader};
use avouch_tests::deadline::{Deadline, PROGRAM_LIMIT};
use avouch_tests::family::{Family, Produce};
use avouch_tests::node::Node;
use avouch_tests::program::{self, records};
use avouch_tests::protocol::Connection;

use follower::Follower;
use java::JavaLoad;
use librdkafka::Fleet;
use recorder::Recorder;

const TOPIC: &str = "killed";
const PARTITIONS: i32 = 6;
/// Number of kills unless `AVOUCH_KILLS` is set.
const KILLS: usize = 60;
/// Minimum acknowledged records of each client per kill; fewer would prove nothing.
const ACKED_MIN: usize = 25;
/// Minimum requests in flight at a kill. The requirement is 50; the counts are up to 50 ms old.
const IN_FLIGHT_MIN: i64 = 80;

// Conformance: log-proof/9, main-job/7a
#[test]
fn kills_preserve_acknowledged_records() -> Result<()> {
    let kills = kills()?;
    let mut node = Node::start_restartable()?;
    let mut clients = Clients::start(node.bootstrap())?;
    for kill in 1..=kills {
        // A different amount of work each time, so that the kills hit different states.
        clients.work_until(clients.recorder.acked() + 100 + kill * 61 % 300)?;
        clients.follower.commit()?;
        clients.observe()?;
        // The kill must hit requests between receipt and acknowledgement.
        let in_flight = clients.work_until_in_flight(IN_FLIGHT_MIN)?;
        node.kill_9()?;
        let acked = clients.recorder.acked();
        writeln!(
            stderr(),
            "kill {kill}: {in_flight} produce requests in flight, {acked} records acknowledged"
        )?;
        // New producer ids also appear while the broker is down.
        clients.fleet.replace_some(kill)?;
        node.restart()?;
        clients.observe()?;
        clients.follower.fetch_committed()?;
    }
    clients.finish()?.check(kills)
}

// Conformance: broker/groups-9, main-job/7b
#[test]
fn committed_offsets_survive_a_kill() -> Result<()> {
    let mut node = Node::start_restartable()?;
    let broker = node.bootstrap().to_owned();
    let what = Produce {
        topic: TOPIC,
        partition: None,
        codecs: &["none"],
        idempotent: false,
        count: 12,
        prefix: "value",
    };
    Family::Python.produce(&broker, &what)?;
    for run in 0..3 {
        let read = records(&Family::Rust.group(&broker, TOPIC, "readers", 4)?);
        let offsets: Vec<_> = read.iter().map(|record| record.offset).collect();
        assert_eq!(offsets, (run * 4..run * 4 + 4).collect::<Vec<_>>());
        // The offsets were committed before, so the next run continues after them.
        node.kill_9()?;
        node.restart()?;
    }
    Ok(())
}

/// Reads all records with kafkajs. The time limit applies to each event, not to the whole read.
fn read_all(broker: &str) -> Result<Vec<program::Event>> {
    let mut reader = Family::Node.start(broker, "consume", TOPIC, &[])?;
    let mut events = Vec::new();
    while let Some(event) = reader.next_event()? {
        events.push(event);
        reader.extend();
    }
    let is_complete = events.last() == Some(&program::Event::Done);
    ensure!(
        is_complete,
        "kafkajs stopped after {} records",
        events.len()
    );
    Ok(events)
}

fn kills() -> Result<usize> {
    match std::env::var("AVOUCH_KILLS") {
        Ok(kills) => Ok(kills.parse()?),
        Err(_) => Ok(KILLS),
    }
}

/// All clients of the broker.
struct Clients {
    broker: String,
    recorder: Recorder,
    fleet: Fleet,
    java: JavaLoad,
    follower: Follower,
}

impl Clients {
    fn start(broker: &str) -> Result<Self> {
        Connection::open(broker)?.create_topic(TOPIC, PARTITIONS, &[])?;
        let recorder = Recorder::default();
        Ok(Self {
            broker: broker.to_owned(),
            fleet: Fleet::new(broker, &recorder)?,
            java: JavaLoad::start(broker, &recorder)?,
            follower: Follower::new(broker, &recorder)?,
            recorder,
        })
    }

    /// Keeps all clients busy until `acked` records in total are acknowledged.
    fn work_until(&mut self, acked: usize) -> Result<()> {
        Deadline::after(PROGRAM_LIMIT).wait("acknowledgements", || {
            self.work()?;
            Ok((self.recorder.acked() >= acked).then_some(()))
        })
    }

    /// Keeps all clients busy until at least `wanted` requests are in flight. Returns their number.
    fn work_until_in_flight(&mut self, wanted: i64) -> Result<i64> {
        Deadline::after(PROGRAM_LIMIT).wait("requests in flight", || {
            self.work()?;
            // Both counts are reported by the clients periodically.
            let in_flight = self.fleet.in_flight() + self.java.in_flight();
            Ok((in_flight >= wanted).then_some(in_flight))
        })
    }

    fn work(&mut self) -> Result<()> {
        self.fleet.send_more()?;
        self.java.record_events()?;
        self.follower.read()
    }

    /// Records the watermarks of all partitions.
    fn observe(&self) -> Result<()> {
        let mut connection = Connection::open(&self.broker)?;
        for partition in 0..PARTITIONS {
            let watermarks = connection.watermarks(TOPIC, partition)?;
            self.recorder.record(Event::Observed {
                observer: Observer(0),
                partition,
                watermarks,
            });
        }
        Ok(())
    }

    /// Waits until all pending records are acknowledged, then reads all records with a client of a
    /// third family.
    fn finish(self) -> Result<Recorder> {
        // The final read is complete only if no retry is pending.
        self.java.finish()?;
        self.fleet.finish()?;
        let read = records(&read_all(&self.broker)?);
        writeln!(stderr(), "{} records read back by kafkajs", read.len())?;
        let reader = Reader(1);
        for partition in 0..PARTITIONS {
            let of_partition = read.iter().filter(|record| record.partition == partition);
            self.recorder.record(Event::Polled {
                reader,
                partition,
                records: of_partition
                    .map(|record| (record.offset, record.value.clone()))
                    .collect(),
            });
        }
        self.recorder.record(Event::ReadAll { reader });
        Ok(self.recorder)
    }
}

impl Recorder {
    /// Fails if the history violates an invariant or has too few acknowledged records.
    fn check(&self, kills: usize) -> Result<()> {
        let history = self.history();
        for client in ["java", "librdkafka"] {
            let acked = history.events.iter().filter(
                |event| matches!(event, Event::Acked { value, .. } if value.starts_with(client)),
            );
            let acked = acked.count();
            writeln!(stderr(), "{acked} records of {client} acknowledged")?;
            ensure!(
                acked >= kills * ACKED_MIN,
                "only {acked} records of {client}"
            );
        }
        let wrong = avouch_history::check(&history);
        let first: Vec<String> = wrong.iter().take(20).map(ToString::to_string).collect();
        ensure!(
            first.is_empty(),
            "{} violations:\n{}",
            wrong.len(),
            first.join("\n")
        );
        Ok(())
    }
}
