//! The broker is killed under a group at work. Its members go on in their generation, without a
//! rebalance, and from no place before what they were told was committed.

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
/// What every member reads between two kills, at least.
const READ_MIN: usize = 50;
/// Records that one turn of a member takes at most.
const TURN_MAX: usize = 100;
const UNDELIVERED_MAX: i32 = 1_000;
const REQUEST_LIMIT: Duration = Duration::from_secs(5);

// Conformance: broker/groups-9
#[test]
fn members_go_on_without_a_rebalance_when_the_broker_is_killed_under_load() -> Result<()> {
    let mut node = Node::start_to_be_restarted()?;
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
            "kill {kill} made the group rebalance"
        );
    }
    Ok(())
}

/// A Java member, two of librdkafka, and somebody who gives them work.
struct Group {
    load: ThreadedProducer<Deliveries>,
    sent: usize,
    java: JavaMember,
    members: Vec<Member>,
}

impl Group {
    fn join(broker: &str) -> Result<Self> {
        Connection::open(broker)?.create_topic(TOPIC, PARTITIONS, &[])?;
        let (load, _) = producer(config(broker).set("reconnect.backoff.max.ms", "200"))?;
        Ok(Self {
            load,
            sent: 0,
            java: JavaMember::new(Family::Java.join(broker, TOPIC, GROUP)?),
            members: vec![Member::join(broker)?, Member::join(broker)?],
        })
    }

    /// Works until every member has its share of the partitions.
    fn settle(&mut self) -> Result<()> {
        Deadline::after(PROGRAM_LIMIT).wait("a share for each member", || {
            self.turn()?;
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

    /// Works until every member has read enough since now.
    fn work(&mut self) -> Result<()> {
        let before = self.read();
        Deadline::after(PROGRAM_LIMIT).wait("every member's work", || {
            self.turn()?;
            let read = self.read();
            let enough = before
                .iter()
                .zip(&read)
                .all(|(before, now)| now - before >= READ_MIN);
            Ok(enough.then_some(()))
        })
    }

    fn turn(&mut self) -> Result<()> {
        while self.load.in_flight_count() < UNDELIVERED_MAX {
            let place = i32::try_from(self.sent)? % PARTITIONS;
            send(&self.load, (TOPIC, Some(place)), "work", b"work")?;
            self.sent += 1;
        }
        self.java.listen();
        self.members.iter_mut().try_for_each(Member::turn)
    }

    fn read(&self) -> Vec<usize> {
        let rust = self.members.iter().map(|member| member.read);
        rust.chain([self.java.read]).collect()
    }

    /// How often each member was given partitions.
    fn rebalances(&self) -> Vec<usize> {
        let rust = self.members.iter().map(|member| member.assigned().times);
        rust.chain([self.java.assigned.times]).collect()
    }

    fn check_commits(&self) -> Result<()> {
        self.members.iter().try_for_each(Member::check_commits)
    }
}

/// What a member was given.
#[derive(Clone, Copy, Debug, Default)]
struct Assigned {
    /// How often.
    times: usize,
    /// Partitions, the last time.
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

    fn listen(&mut self) {
        for event in self.program.news() {
            match event {
                Event::Assigned { partitions } => {
                    self.assigned.times += 1;
                    self.assigned.partitions = partitions.len();
                }
                Event::Record(_) => self.read += 1,
                Event::Acked { .. }
                | Event::Failed { .. }
                | Event::Created
                | Event::Told(_)
                | Event::Done => {}
            }
        }
    }
}

/// A member of librdkafka, which commits what it has read after each turn.
struct Member {
    consumer: BaseConsumer<Watch>,
    watch: Watch,
    read: usize,
    /// By partition: the offset to read next.
    positions: BTreeMap<i32, i64>,
    /// The same, as far as a commit was acknowledged.
    committed: BTreeMap<i32, i64>,
}

#[derive(Clone, Debug, Default)]
struct Watch(Arc<Mutex<Assigned>>);

impl ClientContext for Watch {}

impl ConsumerContext for Watch {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(partitions) = rebalance {
            let mut assigned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            assigned.times += 1;
            assigned.partitions = partitions.count();
        }
    }
}

impl Member {
    fn join(broker: &str) -> Result<Self> {
        let watch = Watch::default();
        let consumer: BaseConsumer<Watch> = config(broker)
            .set("group.id", GROUP)
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            .set("reconnect.backoff.ms", "20")
            .set("reconnect.backoff.max.ms", "200")
            .create_with_context(watch.clone())?;
        consumer.subscribe(&[TOPIC])?;
        Ok(Self {
            consumer,
            watch,
            read: 0,
            positions: BTreeMap::new(),
            committed: BTreeMap::new(),
        })
    }

    fn assigned(&self) -> Assigned {
        *self.watch.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&mut self) -> Result<()> {
        for _ in 0..TURN_MAX {
            match self.consumer.poll(Duration::ZERO) {
                None => break,
                // The broker is down, or not yet known to be up again.
                Some(Err(_)) => {}
                Some(Ok(message)) => {
                    self.read += 1;
                    self.positions
                        .insert(message.partition(), message.offset() + 1);
                }
            }
        }
        let commit = self.consumer.commit_consumer_state(CommitMode::Sync);
        // What fails was not acknowledged, and counts for nothing.
        if commit.is_ok() {
            self.committed.clone_from(&self.positions);
        }
        Ok(())
    }

    /// That nothing acknowledged was lost among the partitions that are still this member's.
    fn check_commits(&self) -> Result<()> {
        let found = Deadline::after(PROGRAM_LIMIT).wait("committed offsets", || {
            Ok(self.consumer.committed(REQUEST_LIMIT).ok())
        })?;
        ensure!(found.count() > 0, "the member still has its partitions");
        for place in found.elements() {
            let Some(acked) = self.committed.get(&place.partition()) else {
                continue;
            };
            let offset = match place.offset() {
                Offset::Offset(offset) => offset,
                _ => -1,
            };
            ensure!(
                offset >= *acked,
                "partition {}: {acked} was committed, {offset} is",
                place.partition()
            );
        }
        Ok(())
    }
}
