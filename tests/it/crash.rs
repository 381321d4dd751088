//! The broker is killed again and again with requests in flight. What it acknowledged must be
//! there, once, where it said; what it did not may be there or not; nothing else may be; and nobody
//! may ever have seen anything else. The verdict is the history checker's.

mod follower;
mod java;
mod librdkafka;
mod notes;

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
use notes::Notes;

const TOPIC: &str = "killed";
const PARTITIONS: i32 = 6;
/// Unless `AVOUCH_KILLS` says otherwise.
const KILLS: usize = 60;
/// Fewer acknowledged records of each kind of client than this a kill would prove nothing.
const ACKED_MIN: usize = 25;
/// Requests that must be unanswered when a kill is decided, by counts that are up to 50 ms old:
/// more than the 50 that are asked for.
const UNANSWERED_MIN: i64 = 80;

// Conformance: log-proof/9, main-job/7a
#[test]
fn kills_lose_nothing_acknowledged_and_show_nothing_that_is_not_so() -> Result<()> {
    let kills = kills()?;
    let mut node = Node::start_to_be_restarted()?;
    let mut clients = Clients::start(node.bootstrap())?;
    for kill in 1..=kills {
        // Another amount of work each time, so that the kills fall on other moments.
        clients.work_until(clients.notes.acked() + 100 + kill * 61 % 300)?;
        clients.follower.commit()?;
        clients.observe()?;
        let unanswered = clients.work_until_unanswered(UNANSWERED_MIN)?;
        node.kill_9()?;
        let acked = clients.notes.acked();
        writeln!(
            stderr(),
            "kill {kill}: {unanswered} produce requests unanswered, {acked} records acknowledged"
        )?;
        clients.fleet.give_up(kill)?;
        node.restart()?;
        clients.observe()?;
        clients.follower.fetch_committed()?;
    }
    clients.finish()?.verdict(kills)
}

// Conformance: broker/groups-9, main-job/7b
#[test]
fn committed_offsets_survive_a_kill() -> Result<()> {
    let mut node = Node::start_to_be_restarted()?;
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
    for life in 0..3 {
        let read = records(&Family::Rust.group(&broker, TOPIC, "readers", 4)?);
        let offsets: Vec<_> = read.iter().map(|record| record.offset).collect();
        assert_eq!(offsets, (life * 4..life * 4 + 4).collect::<Vec<_>>());
        node.kill_9()?;
        node.restart()?;
    }
    Ok(())
}

/// Reads everything with kafkajs, however long it takes, as long as it gets on.
fn read_patiently(broker: &str) -> Result<Vec<program::Event>> {
    let mut reader = Family::Node.start(broker, "consume", TOPIC, &[])?;
    let mut events = Vec::new();
    while let Some(event) = reader.next_event()? {
        events.push(event);
        reader.extend();
    }
    let is_whole = events.last() == Some(&program::Event::Done);
    ensure!(is_whole, "kafkajs stopped after {} records", events.len());
    Ok(events)
}

fn kills() -> Result<usize> {
    match std::env::var("AVOUCH_KILLS") {
        Ok(kills) => Ok(kills.parse()?),
        Err(_) => Ok(KILLS),
    }
}

/// Everybody who talks to the broker.
struct Clients {
    broker: String,
    notes: Notes,
    fleet: Fleet,
    java: JavaLoad,
    follower: Follower,
}

impl Clients {
    fn start(broker: &str) -> Result<Self> {
        Connection::open(broker)?.create_topic(TOPIC, PARTITIONS, &[])?;
        let notes = Notes::default();
        Ok(Self {
            broker: broker.to_owned(),
            fleet: Fleet::new(broker, &notes)?,
            java: JavaLoad::start(broker, &notes)?,
            follower: Follower::new(broker, &notes)?,
            notes,
        })
    }

    /// Keeps every client busy until so many records in all are acknowledged.
    fn work_until(&mut self, acked: usize) -> Result<()> {
        Deadline::after(PROGRAM_LIMIT).wait("acknowledgements", || {
            self.work()?;
            Ok((self.notes.acked() >= acked).then_some(()))
        })
    }

    /// Keeps every client busy until at least `wanted` requests are on the wire; how many.
    fn work_until_unanswered(&mut self, wanted: i64) -> Result<i64> {
        Deadline::after(PROGRAM_LIMIT).wait("requests in flight", || {
            self.work()?;
            let unanswered = self.fleet.unanswered() + self.java.unanswered();
            Ok((unanswered >= wanted).then_some(unanswered))
        })
    }

    fn work(&mut self) -> Result<()> {
        self.fleet.send_more()?;
        self.java.listen()?;
        self.follower.read()
    }

    /// Notes the watermarks of all partitions.
    fn observe(&self) -> Result<()> {
        let mut connection = Connection::open(&self.broker)?;
        for partition in 0..PARTITIONS {
            let watermarks = connection.watermarks(TOPIC, partition)?;
            self.notes.note(Event::Observed {
                observer: Observer(0),
                partition,
                watermarks,
            });
        }
        Ok(())
    }

    /// Waits until everything that is still wanted is acknowledged, and has a client of yet another
    /// family read it all.
    fn finish(self) -> Result<Notes> {
        self.java.finish()?;
        self.fleet.finish()?;
        let read = records(&read_patiently(&self.broker)?);
        writeln!(stderr(), "{} records read back by kafkajs", read.len())?;
        let reader = Reader(1);
        for partition in 0..PARTITIONS {
            let of_partition = read.iter().filter(|record| record.partition == partition);
            self.notes.note(Event::Polled {
                reader,
                partition,
                records: of_partition
                    .map(|record| (record.offset, record.value.clone()))
                    .collect(),
            });
        }
        self.notes.note(Event::ReadAll { reader });
        Ok(self.notes)
    }
}

impl Notes {
    /// What the checker says, if the history is worth judging.
    fn verdict(&self, kills: usize) -> Result<()> {
        let history = self.history();
        for client in ["java", "librdkafka"] {
            let acked = history.events.iter().filter(
                |event| matches!(event, Event::Acked { value, .. } if value.starts_with(client)),
            );
            let acked = acked.count();
            writeln!(stderr(), "{acked} records of {client} acknowledged")?;
            ensure!(acked >= kills * ACKED_MIN, "only {acked} of {client}");
        }
        let wrong = avouch_history::check(&history);
        let first: Vec<String> = wrong.iter().take(20).map(ToString::to_string).collect();
        ensure!(
            first.is_empty(),
            "{} in all:\n{}",
            wrong.len(),
            first.join("\n")
        );
        Ok(())
    }
}
