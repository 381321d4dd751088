//! Kills of group members under load, for several client families. The remaining members take over,
//! every record is read by some member, and committed offsets never decrease.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use avouch_tests::deadline::{Deadline, PROGRAM_LIMIT};
use avouch_tests::family::Family;
use avouch_tests::matrix::record_feature;
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
/// Minimum number of records that each member reads between two kills.
const READ_MIN: usize = 30;
/// Maximum number of unread records: members commit after each record and are therefore slow.
const UNREAD_MAX: usize = 200;
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

// Conformance: broker/groups-14
#[test]
fn killed_members_lose_no_records_or_commits() -> Result<()> {
    let node = Node::start()?;
    let families = [Family::Java, Family::Java, Family::Python, Family::Python];
    let mut group = Group::join(node.bootstrap(), &families)?;
    group.settle()?;
    // The last remaining member is a Java client, so it commits all partitions at the end.
    for victim in [Family::Java, Family::Python, Family::Python] {
        group.work()?;
        group.kill(victim)?;
        group.settle()?;
    }
    group.work()?;
    group.finish()?;
    for family in [Family::Java, Family::Python] {
        record_feature(family, "takes over partitions of members killed under load")?;
    }
    Ok(())
}

struct Member {
    family: Family,
    program: Running,
    assigned: usize,
    read: usize,
}

/// The members, a producer, and a client that observes their commits.
struct Group {
    load: ThreadedProducer<Deliveries>,
    delivered: Deliveries,
    sent: usize,
    members: Vec<Member>,
    /// Partition and offset of records read by any member, including killed ones.
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

    /// Consumes until all partitions are assigned to the remaining members, some to each.
    fn settle(&mut self) -> Result<()> {
        let all = usize::try_from(PARTITIONS)?;
        Deadline::after(PROGRAM_LIMIT).wait("an assignment for each member", || {
            self.step()?;
            let shares: Vec<usize> = self.members.iter().map(|member| member.assigned).collect();
            let settled = shares.iter().sum::<usize>() == all && !shares.contains(&0);
            Ok(settled.then_some(()))
        })
    }

    /// Consumes until every member has read [`READ_MIN`] more records.
    fn work(&mut self) -> Result<()> {
        let before: Vec<usize> = self.members.iter().map(|member| member.read).collect();
        Deadline::after(PROGRAM_LIMIT).wait("records for every member", || {
            self.step()?;
            let mut pairs = self.members.iter().zip(&before);
            let enough = pairs.all(|(member, before)| member.read - before >= READ_MIN);
            Ok(enough.then_some(()))
        })
    }

    /// Kills a member of this family while it consumes.
    fn kill(&mut self, family: Family) -> Result<()> {
        let found = self.members.iter().position(|m| m.family == family);
        let victim = self.members.remove(found.context("no such member")?);
        // Records that were read before the kill are not read again if they were committed.
        for event in victim.program.kill_9()? {
            if let Event::Record(record) = event {
                self.seen.insert((record.partition, record.offset));
            }
        }
        Ok(())
    }

    /// Stops producing and waits until all records are read and committed.
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
        let (acked_count, sent) = (acked.len(), self.sent);
        // The broker was not killed, so each record is acknowledged.
        ensure!(acked_count == sent, "{acked_count} of {sent} acknowledged");
        let mut ends = BTreeMap::new();
        for (partition, offset) in &acked {
            ends.insert(*partition, offset + 1);
        }
        Deadline::after(PROGRAM_LIMIT).wait("the last record and its commit", || {
            self.process_events();
            self.check_commits()?;
            Ok((self.committed == ends && acked.is_subset(&self.seen)).then_some(()))
        })
    }

    fn step(&mut self) -> Result<()> {
        // Otherwise the members would not catch up before the deadline.
        while self.sent < self.seen.len() + UNREAD_MAX {
            let partition = i32::try_from(self.sent)? % PARTITIONS;
            send(&self.load, (TOPIC, Some(partition)), "work", b"work")?;
            self.sent += 1;
        }
        self.process_events();
        self.check_commits()
    }

    fn process_events(&mut self) {
        for member in &mut self.members {
            for event in member.program.new_events() {
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

    /// Checks that no committed offset has decreased since the last call.
    fn check_commits(&mut self) -> Result<()> {
        let mut wanted = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            wanted.add_partition(TOPIC, partition);
        }
        let found = self.watcher.committed_offsets(wanted, REQUEST_LIMIT)?;
        for found in found.elements() {
            let Offset::Offset(offset) = found.offset() else {
                continue;
            };
            let before = self.committed.insert(found.partition(), offset);
            ensure!(
                // A late commit of a killed member must be rejected, not overwrite a newer one.
                before.is_none_or(|before| before <= offset),
                "partition {}: committed {before:?}, found {offset}",
                found.partition()
            );
        }
        Ok(())
    }
}
