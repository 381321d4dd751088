//! Acceptance examples: each example of the original requirements as a test, with the client it
//! names or another one of the same family.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use avouch_tests::deadline::{Deadline, PROGRAM_LIMIT};
use avouch_tests::family::{FAMILIES, Family, Produce};
use avouch_tests::matrix::record_feature;
use avouch_tests::node::Node;
use avouch_tests::program::{Event, Record, Running, acked, records};
use avouch_tests::protocol::Connection;

// Conformance: main-job/3a
#[test]
fn example_producer_and_consumer_work() -> Result<()> {
    let node = Node::start()?;
    let (broker, topic) = (node.bootstrap(), "your_topic");
    let java = Family::Java;
    java.run(broker, "create", topic, &["--partitions", "2"])?;
    java.run(broker, "example-producer", topic, &[])?;

    // The example has the default reset policy `latest`; here the consumer starts at the beginning.
    let args = ["--reset", "earliest"];
    let mut consumer = java.start(broker, "example-consumer", topic, &args)?;
    let read = consumer.wait_for("a record", |event| match event {
        Event::Record(record) => Some(record.clone()),
        _ => None,
    })?;

    let expected = Record {
        // The example produces to partition 1 explicitly.
        partition: 1,
        offset: 0,
        key: Some("your_key".to_owned()),
        value: "your_value".to_owned(),
    };
    assert_eq!(read, expected);
    Ok(())
}

// Conformance: main-job/3b
#[test]
fn delivery_callback_receives_partition_and_offset() -> Result<()> {
    let node = Node::start()?;
    let (broker, topic) = (node.bootstrap(), "topicname1");
    Family::Java.run(broker, "create", topic, &["--partitions", "2"])?;
    // All clients produce to the same partition, so their offsets continue.
    for (family, first) in [(Family::Java, 0), (Family::Python, 3), (Family::Node, 6)] {
        let what = Produce {
            partition: Some(1),
            ..three(topic)
        };
        let places: Vec<_> = acked(&family.produce(broker, &what)?)
            .iter()
            .map(|record| (record.partition, record.offset))
            .collect();
        let expected = [(1, first), (1, first + 1), (1, first + 2)];
        assert_eq!(places, expected, "{family:?}");
        record_feature(family, "receives partition and offset of each record")?;
    }
    Ok(())
}

// Conformance: main-job/3c
#[test]
fn topic_is_auto_created_with_one_partition() -> Result<()> {
    let node = Node::start()?;
    for family in FAMILIES {
        let topic = format!("first-use-{family:?}");
        family.produce(node.bootstrap(), &three(&topic))?;
        assert_eq!(partitions(&node, &topic)?, 1, "{family:?}");
        record_feature(family, "auto-creates a topic")?;
    }
    Ok(())
}

// Conformance: main-job/3c
#[test]
fn missing_partition_times_out_in_client() -> Result<()> {
    let node = Node::start()?;
    let (broker, topic) = (node.bootstrap(), "created-by-send");
    // The first metadata request creates the topic with partition 0 only. Java then waits for
    // partition 1.
    let args = ["--partition", "1", "--count", "1", "--timeout-ms", "3000"];
    let events = Family::Java.run(broker, "produce", topic, &args)?;

    let Some(Event::Failed { text, .. }) = events.first() else {
        panic!("{events:?}");
    };
    let text = text.as_deref().unwrap_or_default();
    assert!(
        text.contains("is not present in metadata after 3000 ms"),
        "{text}"
    );
    assert_eq!(partitions(&node, topic)?, 1);
    Ok(())
}

// Conformance: broker/deviation-2, main-job/3d
#[test]
fn topic_has_requested_partition_count() -> Result<()> {
    let node = Node::start()?;
    for (family, replication) in [
        // A replication factor of 3 is accepted and reduced to 1.
        (Family::Java, "3"),
        (Family::Python, "1"),
        (Family::Node, "3"),
    ] {
        let topic = format!("ourtopicname-{family:?}");
        let args = ["--partitions", "5", "--replication", replication];
        family.run(node.bootstrap(), "create", &topic, &args)?;
        assert_eq!(partitions(&node, &topic)?, 5, "{family:?}");
        record_feature(family, "creates a topic with a given number of partitions")?;
    }
    Ok(())
}

// Conformance: main-job/3a
#[test]
fn assigned_consumer_reads_only_its_partition() -> Result<()> {
    let node = Node::start()?;
    let (broker, topic) = (node.bootstrap(), "assigned");
    Family::Java.run(broker, "create", topic, &["--partitions", "3"])?;
    for partition in 0..3 {
        let what = Produce {
            partition: Some(partition),
            ..three(topic)
        };
        Family::Python.produce(broker, &what)?;
    }
    for family in [Family::Java, Family::Python] {
        let args = ["--partition", "1"];
        let read = records(&family.run(broker, "consume", topic, &args)?);
        let places: Vec<_> = read.iter().map(|at| (at.partition, at.offset)).collect();
        assert_eq!(places, [(1, 0), (1, 1), (1, 2)], "{family:?}");
    }
    Ok(())
}

// Conformance: main-job/3e
#[test]
fn next_consumer_resumes_at_committed_offset() -> Result<()> {
    let node = Node::start()?;
    let (broker, topic) = (node.bootstrap(), "seven");
    let what = Produce {
        count: 7,
        ..three(topic)
    };
    Family::Java.produce(broker, &what)?;
    for family in FAMILIES
        .into_iter()
        .filter(|family| *family != Family::Kcat)
    {
        let group = format!("stops-{family:?}");
        let offsets = |count| -> Result<Vec<i64>> {
            let read = records(&family.group(broker, topic, &group, count)?);
            Ok(read.iter().map(|record| record.offset).collect())
        };
        assert_eq!(offsets(4)?, [0, 1, 2, 3], "{family:?}");
        assert_eq!(offsets(3)?, [4, 5, 6], "{family:?}");
        record_feature(family, "resumes at the committed offset")?;
    }
    Ok(())
}

// Conformance: broker/groups-11, main-job/3f
#[test]
fn idle_java_member_takes_over() -> Result<()> {
    check_idle_member_takeover(Family::Java)
}

// Conformance: broker/groups-11, main-job/3f
#[test]
fn idle_python_member_takes_over() -> Result<()> {
    check_idle_member_takeover(Family::Python)
}

// Conformance: broker/groups-11, main-job/3f
#[test]
fn idle_kafkajs_member_takes_over() -> Result<()> {
    check_idle_member_takeover(Family::Node)
}

#[test]
fn idle_aiokafka_member_takes_over() -> Result<()> {
    check_idle_member_takeover(Family::Aiokafka)
}

// Conformance: main-job/3g
#[test]
fn two_groups_read_all_records() -> Result<()> {
    let node = Node::start()?;
    let (broker, topic) = (node.bootstrap(), "for-both");
    let what = Produce {
        count: 10,
        ..three(topic)
    };
    Family::Java.produce(broker, &what)?;
    for (family, group) in [(Family::Java, "billing"), (Family::Python, "shipping")] {
        let read = records(&family.group(broker, topic, group, 10)?);
        let offsets: Vec<_> = read.iter().map(|record| record.offset).collect();
        assert_eq!(offsets, (0..10).collect::<Vec<_>>(), "{group}");
    }
    Ok(())
}

/// A member of a group, with its current assignment.
struct Member {
    running: Running,
    assigned: Option<Vec<i32>>,
    read: Vec<Record>,
}

impl Member {
    fn process_events(&mut self) {
        for event in self.running.new_events() {
            match event {
                Event::Assigned { partitions } => self.assigned = Some(partitions),
                Event::Record(record) => self.read.push(record),
                _ => {}
            }
        }
    }
}

fn check_idle_member_takeover(family: Family) -> Result<()> {
    let node = Node::start()?;
    let (broker, topic) = (node.bootstrap(), format!("three-for-four-{family:?}"));
    let group = format!("four-{family:?}");
    Family::Java.run(broker, "create", &topic, &["--partitions", "3"])?;
    let mut members = Vec::new();
    for _ in 0..4 {
        members.push(Member {
            running: family.join(broker, &topic, &group)?,
            assigned: None,
            read: Vec::new(),
        });
    }
    let assigned = settled(&mut members, &[vec![], vec![0], vec![1], vec![2]])?;
    // Any member can be the idle one.
    let idle = assigned.iter().position(|partitions| partitions.is_empty());
    let idle = idle.context("no idle member")?;

    let victim = (idle + 1) % members.len();
    // A killed member does not leave the group. Its session must time out.
    members.remove(victim).running.kill_9()?;
    settled(&mut members, &[vec![0], vec![1], vec![2]])?;

    for partition in 0..3 {
        let what = Produce {
            partition: Some(partition),
            ..three(&topic)
        };
        Family::Python.produce(broker, &what)?;
    }
    let read: Vec<_> = Deadline::after(PROGRAM_LIMIT).wait("nine records", || {
        members.iter_mut().for_each(Member::process_events);
        let read: BTreeSet<_> = members.iter().flat_map(|member| &member.read).collect();
        // A set, because a member can read a record again after a rebalance.
        Ok((read.len() == 9).then(|| members.iter().map(|member| member.read.len()).collect()))
    })?;
    assert_eq!(read, [3, 3, 3]);
    record_feature(family, "takes over partitions of a killed member")
}

/// Waits until the assignments, sorted, equal `expected`. Returns them in the order of the members.
fn settled(members: &mut [Member], expected: &[Vec<i32>]) -> Result<Vec<Vec<i32>>> {
    Deadline::after(PROGRAM_LIMIT).wait("the assignment", || {
        members.iter_mut().for_each(Member::process_events);
        let assigned: Option<Vec<_>> = members.iter().map(|m| m.assigned.clone()).collect();
        let mut sorted = assigned.clone();
        if let Some(sorted) = &mut sorted {
            sorted.sort();
        }
        Ok(assigned.filter(|_| sorted.as_deref() == Some(expected)))
    })
}

/// Returns a produce command for three values without a fixed partition.
fn three(topic: &str) -> Produce<'_> {
    Produce {
        topic,
        partition: None,
        codecs: &["none"],
        idempotent: false,
        count: 3,
        prefix: "value",
    }
}

/// Returns the number of partitions of `topic` in the metadata.
fn partitions(node: &Node, topic: &str) -> Result<usize> {
    let metadata = Connection::open(node.bootstrap())?.metadata()?;
    let mut topics = metadata.topics.iter();
    let found = topics.find(|found| found.name.as_ref().is_some_and(|name| name.0 == *topic));
    Ok(found
        .context("topic missing in the metadata")?
        .partitions
        .len())
}
