//! Kills of the broker while a group consumes. The members continue in their generation without a
//! rebalance, and no committed offset is lost.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use avouch_tests::deadline::{Deadline, PROGRAM_LIMIT};
use avouch_tests::family::Family;
use avouch_tests::node::Node;
use avouch_tests::program::{Event, Running};
use avouch_tests::protocol::Connection;
use avouch_tests::rust_client::{Deliveries, config, producer, send};
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::message::Message as _;
use rdkafka::producer::{Producer as _, ThreadedProducer};
use rdkafka::topic_partition_list::Offset;

const TOPIC: &str = "worked";
const GROUP: &str = "workers";
const PARTITIONS: i32 = 6;
const KILLS: usize = 3;
/// Minimum number of records that each member reads between two kills.
const READ_MIN: usize = 50;
/// Maximum number of polls of a member per step.
const POLLS_MAX: usize = 100;
const UNDELIVERED_MAX: i32 = 1_000;
const REQUEST_LIMIT: Duration = Duration::from_secs(5);

// Conformance: broker/groups-9
#[test]
fn broker_kills_cause_no_rebalance() -> Result<()> {
    let mut node = Node::start_restartable()?;
    let mut group = Group::join(node.bootstrap())?;
    group.settle()?;
    for kill in 1..=KILLS {
        group.work()?;
        let rebalances = group.rebalances();
        node.kill_9()?;
        node.restart()?;
        group.check_commits()?;
        group.work()?;
        ensure!(
            group.rebalances() == rebalances,
            "kill {kill} caused a rebalance"
        );
    }
    Ok(())
}

/// A Java member, two librdkafka members, and a producer.
struct Group {
    load: ThreadedProducer<Deliveries>,
    sent: usize,
    java: JavaMember,
    members: Vec<Member>,
}

impl Group {
    fn join(broker: &str) -> Result<Self> {
        Connection::open(broker)?.create_topic(TOPIC, PARTITIONS, &[])?;
        // By default librdkafka waits up to 10 s before it reconnects.
        let (load, _) = producer(config(broker).set("reconnect.backoff.max.ms", "200"))?;
        Ok(Self {
            load,
            sent: 0,
            java: JavaMember::new(Family::Java.join(broker, TOPIC, GROUP)?),
            members: vec![Member::join(broker)?, Member::join(broker)?],
        })
    }

    /// Consumes until every member has partitions assigned.
    fn settle(&mut self) -> Result<()> {
        Deadline::after(PROGRAM_LIMIT).wait("an assignment for each member", || {
            self.step()?;
            let rust = self
                .members
                .iter()
                .map(|member| member.assigned().partitions);
            let shares: Vec<usize> = rust.chain([self.java.assigned.partitions]).collect();
            let all = usize::try_from(PARTITIONS)?;
            let settled = shares.iter().sum::<usize>() == all && !shares.contains(&0);
            Ok(settled.then_some(()))
        })
    }

    /// Consumes until every member has read [`READ_MIN`] more records.
    fn work(&mut self) -> Result<()> {
        let before = self.read();
        Deadline::after(PROGRAM_LIMIT).wait("records for every member", || {
            self.step()?;
            let read = self.read();
            let enough = before
                .iter()
                .zip(&read)
                .all(|(before, now)| now - before >= READ_MIN);
            Ok(enough.then_some(()))
        })
    }

    fn step(&mut self) -> Result<()> {
        // The queue of the client is limited, also while the broker is down.
        while self.load.in_flight_count() < UNDELIVERED_MAX {
            let partition = i32::try_from(self.sent)? % PARTITIONS;
            send(&self.load, (TOPIC, Some(partition)), "work", b"work")?;
            self.sent += 1;
        }
        self.java.process_events();
        self.members.iter_mut().try_for_each(Member::step)
    }

    fn read(&self) -> Vec<usize> {
        let rust = self.members.iter().map(|member| member.read);
        rust.chain([self.java.read]).collect()
    }

    /// Returns the number of assignments of each member.
    fn rebalances(&self) -> Vec<usize> {
        let rust = self.members.iter().map(|member| member.assigned().times);
        rust.chain([self.java.assigned.times]).collect()
    }

    fn check_commits(&self) -> Result<()> {
        self.members.iter().try_for_each(Member::check_commits)
    }
}

/// Assignments of a member.
#[derive(Clone, Copy, Debug, Default)]
struct Assigned {
    /// Number of assignments so far.
    times: usize,
    /// Number of partitions in the last assignment.
    partitions: usize,
}

struct JavaMember {
    program: Running,
    assigned: Assigned,
    read: usize,
}

impl JavaMember {
    fn new(program: Running) -> Self {
        Self {
            program,
            assigned: Assigned::default(),
            read: 0,
        }
    }

    fn process_events(&mut self) {
        for event in self.program.new_events() {
            match event {
                Event::Assigned { partitions } => {
                    self.assigned.times += 1;
                    self.assigned.partitions = partitions.len();
                }
                Event::Record(_) => self.read += 1,
                Event::Acked { .. }
                | Event::Failed { .. }
                | Event::Created
                | Event::Output(_)
                | Event::Done => {}
            }
        }
    }
}

/// A librdkafka member that commits its position after each step.
struct Member {
    consumer: BaseConsumer<Assignments>,
    assignments: Assignments,
    read: usize,
    /// Next offset to read, by partition.
    positions: BTreeMap<i32, i64>,
    /// Positions whose commit was acknowledged.
    committed: BTreeMap<i32, i64>,
}

/// Records assignments; shared with librdkafka's rebalance callback.
#[derive(Clone, Debug, Default)]
struct Assignments(Arc<Mutex<Assigned>>);

impl ClientContext for Assignments {}

impl ConsumerContext for Assignments {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(partitions) = rebalance {
            let mut assigned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            assigned.times += 1;
            // With an eager assignor each assignment is complete.
            assigned.partitions = partitions.count();
        }
    }
}

impl Member {
    fn join(broker: &str) -> Result<Self> {
        let assignments = Assignments::default();
        let consumer: BaseConsumer<Assignments> = config(broker)
            .set("group.id", GROUP)
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            .set("reconnect.backoff.ms", "20")
            .set("reconnect.backoff.max.ms", "200")
            .create_with_context(assignments.clone())?;
        consumer.subscribe(&[TOPIC])?;
        Ok(Self {
            consumer,
            assignments,
            read: 0,
            positions: BTreeMap::new(),
            committed: BTreeMap::new(),
        })
    }

    fn assigned(&self) -> Assigned {
        let assignments = self.assignments.0.lock();
        *assignments.unwrap_or_else(PoisonError::into_inner)
    }

    fn step(&mut self) -> Result<()> {
        for _ in 0..POLLS_MAX {
            match self.consumer.poll(Duration::ZERO) {
                None => break,
                // The broker is down, or the client has not reconnected yet.
                Some(Err(_)) => {}
                Some(Ok(message)) => {
                    self.read += 1;
                    self.positions
                        .insert(message.partition(), message.offset() + 1);
                }
            }
        }
        let commit = self.consumer.commit_consumer_state(CommitMode::Sync);
        // A failed commit was not acknowledged and need not survive.
        if commit.is_ok() {
            self.committed.clone_from(&self.positions);
        }
        Ok(())
    }

    /// Checks that no acknowledged commit of the member's partitions was lost.
    fn check_commits(&self) -> Result<()> {
        // The client retries until it has reconnected.
        let found = Deadline::after(PROGRAM_LIMIT).wait("committed offsets", || {
            Ok(self.consumer.committed(REQUEST_LIMIT).ok())
        })?;
        ensure!(found.count() > 0, "the member lost its partitions");
        for found in found.elements() {
            // Nothing was committed before the kill.
            let Some(acked) = self.committed.get(&found.partition()) else {
                continue;
            };
            let offset = match found.offset() {
                Offset::Offset(offset) => offset,
                _ => -1,
            };
            ensure!(
                // A commit whose response was lost can be stored, so the offset may be higher.
                offset >= *acked,
                "partition {}: committed {acked}, found {offset}",
                found.partition()
            );
        }
        Ok(())
    }
}
