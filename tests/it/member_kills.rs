//! Members of a group are killed under load, one family after the other. Those that are left take
//! over, every record is read by somebody, and what was committed is never taken back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use avouch_tests::deadline::{Deadline, PROGRAM_LIMIT};
use avouch_tests::family::Family;
use avouch_tests::matrix::shown;
use avouch_tests::node::Node;
use avouch_tests::program::{Event, Running};
use avouch_tests::protocol::Connection;
use avouch_tests::rust_client::{Deliveries, config, producer, send};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{Producer as _, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

const TOPIC: &str = "kept-busy";
const GROUP: &str = "survivors";
const PARTITIONS: i32 = 6;
/// What every member reads between two kills, at least.
const READ_MIN: usize = 30;
/// Records that nobody has read yet, at most: members commit each record, which takes its time.
const UNREAD_MAX: usize = 200;
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

// Conformance: broker/groups-14
#[test]
fn members_are_killed_under_load_and_the_others_lose_neither_records_nor_commits() -> Result<()> {
    let node = Node::start()?;
    let families = [Family::Java, Family::Java, Family::Python, Family::Python];
    let mut group = Group::join(node.bootstrap(), &families)?;
    group.settle()?;
    // The last one left is of the Java family, so all commits are at last its own.
    for victim in [Family::Java, Family::Python, Family::Python] {
        group.work()?;
        group.kill(victim)?;
        group.settle()?;
    }
    group.work()?;
    group.finish()?;
    for family in [Family::Java, Family::Python] {
        shown(family, "takes over from members killed under load")?;
    }
    Ok(())
}

struct Member {
    family: Family,
    program: Running,
    assigned: usize,
    read: usize,
}

/// The members, somebody who gives them work, and somebody who watches what they commit.
struct Group {
    load: ThreadedProducer<Deliveries>,
    delivered: Deliveries,
    sent: usize,
    members: Vec<Member>,
    /// Partition and offset of what members told of, killed ones included.
    seen: BTreeSet<(i32, i64)>,
    watcher: BaseConsumer,
    committed: BTreeMap<i32, i64>,
}

impl Group {
    fn join(broker: &str, families: &[Family]) -> Result<Self> {
        Connection::open(broker)?.create_topic(TOPIC, PARTITIONS, &[])?;
        let (load, delivered) = producer(&config(broker))?;
        let mut members = Vec::new();
        for family in families {
            members.push(Member {
                family: *family,
                program: family.join(broker, TOPIC, GROUP)?,
                assigned: 0,
                read: 0,
            });
        }
        Ok(Self {
            load,
            delivered,
            sent: 0,
            members,
            seen: BTreeSet::new(),
            watcher: config(broker).set("group.id", GROUP).create()?,
            committed: BTreeMap::new(),
        })
    }

    /// Works until the members that are left have all partitions between them, each a share.
    fn settle(&mut self) -> Result<()> {
        let all = usize::try_from(PARTITIONS)?;
        Deadline::after(PROGRAM_LIMIT).wait("a share for each member", || {
            self.turn()?;
            let shares: Vec<usize> = self.members.iter().map(|member| member.assigned).collect();
            let settled = shares.iter().sum::<usize>() == all && !shares.contains(&0);
            Ok(settled.then_some(()))
        })
    }

    /// Works until every member has read enough since now.
    fn work(&mut self) -> Result<()> {
        let before: Vec<usize> = self.members.iter().map(|member| member.read).collect();
        Deadline::after(PROGRAM_LIMIT).wait("every member's work", || {
            self.turn()?;
            let mut pairs = self.members.iter().zip(&before);
            let enough = pairs.all(|(member, before)| member.read - before >= READ_MIN);
            Ok(enough.then_some(()))
        })
    }

    /// Kills a member of this family in the midst of its work.
    fn kill(&mut self, family: Family) -> Result<()> {
        let found = self.members.iter().position(|m| m.family == family);
        let victim = self.members.remove(found.context("a member to kill")?);
        for event in victim.program.kill_9()? {
            if let Event::Record(record) = event {
                self.seen.insert((record.partition, record.offset));
            }
        }
        Ok(())
    }

    /// No more work: all there is gets read, and committed to the end.
    fn finish(&mut self) -> Result<()> {
        self.load.flush(PROGRAM_LIMIT)?;
        let acked: BTreeSet<(i32, i64)> = self
            .delivered
            .events()
            .iter()
            .filter_map(|event| match event {
                Event::Acked {
                    partition, offset, ..
                } => Some((*partition, *offset)),
                _ => None,
            })
            .collect();
        ensure!(acked.len() == self.sent, "all that was sent is there");
        let mut ends = BTreeMap::new();
        for (partition, offset) in &acked {
            ends.insert(*partition, offset + 1);
        }
        Deadline::after(PROGRAM_LIMIT).wait("the last record and its commit", || {
            self.listen();
            self.check_commits()?;
            Ok((self.committed == ends && acked.is_subset(&self.seen)).then_some(()))
        })
    }

    fn turn(&mut self) -> Result<()> {
        while self.sent < self.seen.len() + UNREAD_MAX {
            let place = i32::try_from(self.sent)? % PARTITIONS;
            send(&self.load, (TOPIC, Some(place)), "work", b"work")?;
            self.sent += 1;
        }
        self.listen();
        self.check_commits()
    }

    fn listen(&mut self) {
        for member in &mut self.members {
            for event in member.program.news() {
                match event {
                    Event::Assigned { partitions } => member.assigned = partitions.len(),
                    Event::Record(record) => {
                        member.read += 1;
                        self.seen.insert((record.partition, record.offset));
                    }
                    _ => {}
                }
            }
        }
    }

    /// That no commit went back since the last look.
    fn check_commits(&mut self) -> Result<()> {
        let mut asked = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            asked.add_partition(TOPIC, partition);
        }
        let found = self.watcher.committed_offsets(asked, REQUEST_LIMIT)?;
        for place in found.elements() {
            let Offset::Offset(offset) = place.offset() else {
                continue;
            };
            let before = self.committed.insert(place.partition(), offset);
            ensure!(
                before.is_none_or(|before| before <= offset),
                "partition {}: {before:?} was committed, {offset} is",
                place.partition()
            );
        }
        Ok(())
    }
}
