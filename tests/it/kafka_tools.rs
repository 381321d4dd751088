//! Apache Kafka's tools with a running node: verifiable clients, the latency tool, and command-line
//! tools.

use anyhow::{Context as _, Result, ensure};
use avouch_tests::kafka_tools::{Outcome, program, run};
use avouch_tests::matrix::record_client_feature;
use avouch_tests::node::Node;
use avouch_tests::program::stdout_of;
use serde_json::Value;

/// Name of the tools in docs/compatibility.md.
const CLIENT: &str = "Kafka's tools";
const RECORDS: usize = 2_000;

// Conformance: broker/clients-2
#[test]
fn verifiable_consumer_reads_all_acknowledged_records() -> Result<()> {
    let node = Node::start()?;
    let create = "TopicCommand --bootstrap-server BROKER --create --topic verified --partitions 3";
    run(node.bootstrap(), &[create])?[0].text()?;
    let producer = events_of(
        &node,
        "VerifiableProducer --bootstrap-server BROKER --topic verified --throughput -1 \
         --repeating-keys 10 --max-messages 2000",
    )?;
    let consumer = events_of(
        &node,
        "VerifiableConsumer --bootstrap-server BROKER --topic verified --group-id verifiers \
         --reset-policy earliest --verbose --max-messages 2000",
    )?;
    let summary = named(&producer, "tool_data").next().context("no summary")?;
    assert_eq!([&summary["sent"], &summary["acked"]], [RECORDS, RECORDS]);
    assert_eq!(named(&producer, "producer_send_error").count(), 0);

    let places = |events: &[Value], name| {
        let place = |event: &Value| {
            let number = |field: &str| event[field].as_i64();
            (
                number("partition"),
                number("offset"),
                event["value"].to_string(),
            )
        };
        let mut places: Vec<_> = named(events, name).map(place).collect();
        // The tools print records of different partitions in any order.
        places.sort();
        places
    };
    let written = places(&producer, "producer_send_success");
    assert_eq!(places(&consumer, "record_data"), written);
    assert_eq!(written.len(), RECORDS);
    let commits: Vec<_> = named(&consumer, "offsets_committed").collect();
    assert!(!commits.is_empty());
    assert!(commits.iter().all(|commit| commit["success"] == true));
    record_client_feature(CLIENT, "verifiable producer and consumer agree")
}

// Conformance: broker/clients-2
#[test]
fn latency_tool_reads_every_record() -> Result<()> {
    let node = Node::start()?;
    let outcomes = run(
        node.bootstrap(),
        // The tool fails if a record does not arrive or differs.
        &["EndToEndLatency BROKER probed 200 all 100"],
    )?;
    let text = outcomes[0].text()?;
    assert!(text.contains("Percentiles: 50th = "), "{text}");
    record_client_feature(CLIENT, "latency tool")
}

// Conformance: broker/clients-3
#[test]
fn topic_command_creates_describes_deletes() -> Result<()> {
    let node = Node::start()?;
    let outcomes = run(
        node.bootstrap(),
        &[
            "TopicCommand --bootstrap-server BROKER --create --topic t --partitions 2 \
             --replication-factor 1 --config retention.ms=60000",
            "TopicCommand --bootstrap-server BROKER --create --topic t --partitions 2",
            "TopicCommand --bootstrap-server BROKER --create --if-not-exists --topic t",
            "TopicCommand --bootstrap-server BROKER --list",
            "TopicCommand --bootstrap-server BROKER --describe --topic t",
            "GetOffsetShell --bootstrap-server BROKER --topic t",
            "ConfigCommand --bootstrap-server BROKER --describe --entity-type topics \
             --entity-name t",
            "ConfigCommand --bootstrap-server BROKER --describe --entity-type brokers \
             --entity-name 1 --all",
            "TopicCommand --bootstrap-server BROKER --delete --topic t",
            "TopicCommand --bootstrap-server BROKER --list",
        ],
    )?;
    let [
        created,
        again,
        unless,
        list,
        described,
        ends,
        configs,
        broker,
        deleted,
        empty,
    ] = outcomes.as_slice()
    else {
        anyhow::bail!("{outcomes:?}");
    };
    assert_eq!(created.rows()?, [["Created", "topic", "t."]]);
    // A second creation must fail, but not with --if-not-exists.
    assert_eq!(again.status, 1);
    assert!(again.output.contains("already exists"), "{again:?}");
    unless.text()?;
    assert_eq!(list.rows()?, [["t"]]);
    let rows = described.rows()?;
    // One line for the topic and one for each partition.
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert!(rows[0].contains(&"retention.ms=60000"), "{rows:?}");
    assert_eq!(
        rows[2][..6],
        ["Topic:", "t", "Partition:", "1", "Leader:", "1"]
    );
    assert_eq!(ends.rows()?, [["t:0:0"], ["t:1:0"]]);
    assert!(configs.text()?.contains("retention.ms=60000"));
    assert!(
        broker
            .text()?
            .contains("socket.request.max.bytes=104857600")
    );
    deleted.text()?;
    assert!(empty.rows()?.is_empty());
    record_client_feature(CLIENT, "commands create, list, describe and delete topics")
}

// Conformance: broker/clients-3
#[test]
fn commands_change_topics_and_configs() -> Result<()> {
    let node = Node::start()?;
    let configs = "ConfigCommand --bootstrap-server BROKER --describe --entity-type topics \
                   --entity-name t";
    let outcomes = run(
        node.bootstrap(),
        &[
            "TopicCommand --bootstrap-server BROKER --create --topic t --partitions 1",
            "TopicCommand --bootstrap-server BROKER --alter --topic t --partitions 3",
            "TopicCommand --bootstrap-server BROKER --alter --topic t --partitions 2",
            "GetOffsetShell --bootstrap-server BROKER --topic t",
            "ConfigCommand --bootstrap-server BROKER --alter --entity-type topics \
             --entity-name t --add-config retention.ms=1000,cleanup.policy=compact",
            configs,
            "ConfigCommand --bootstrap-server BROKER --alter --entity-type topics \
             --entity-name t --delete-config retention.ms",
            configs,
            "ConfigCommand --bootstrap-server BROKER --alter --entity-type topics \
             --entity-name t --add-config no.such.config=1",
            "LogDirsCommand --bootstrap-server BROKER --describe --topic-list t",
        ],
    )?;
    let [
        created,
        grown,
        shrunk,
        ends,
        set,
        two,
        unset,
        one,
        unknown,
        dirs,
    ] = outcomes.as_slice()
    else {
        anyhow::bail!("{outcomes:?}");
    };
    for outcome in [created, grown, set, unset] {
        outcome.text()?;
    }
    assert_eq!(ends.rows()?, [["t:0:0"], ["t:1:0"], ["t:2:0"]]);
    assert_eq!(
        // The number of partitions cannot decrease.
        (shrunk.status, unknown.status),
        (1, 1),
        "{shrunk:?} {unknown:?}"
    );
    assert!(two.text()?.contains("  cleanup.policy=compact"), "{two:?}");
    assert!(two.text()?.contains("  retention.ms=1000"), "{two:?}");
    assert!(one.text()?.contains("  cleanup.policy=compact"), "{one:?}");
    assert!(!one.text()?.contains("  retention.ms="), "{one:?}");
    // The tool prints two lines of text before the JSON.
    let json = dirs.text()?.lines().find(|line| line.starts_with('{'));
    let dirs: Value = serde_json::from_str(json.context("no JSON")?)?;
    let partitions = &dirs["brokers"][0]["logDirs"][0]["partitions"];
    assert_eq!(partitions.as_array().map(Vec::len), Some(3), "{dirs}");
    record_client_feature(
        CLIENT,
        "commands change topics and configs, describe log dirs",
    )
}

// Conformance: broker/clients-4
#[test]
fn group_command_deletes_groups_and_offsets() -> Result<()> {
    let node = Node::start()?;
    let describe = "ConsumerGroupCommand --bootstrap-server BROKER --describe --group g";
    // Resetting offsets creates the group, without members and with committed offsets.
    let outcomes = run(
        node.bootstrap(),
        &[
            "TopicCommand --bootstrap-server BROKER --create --topic t --partitions 1",
            "TopicCommand --bootstrap-server BROKER --create --topic u --partitions 1",
            "ConsumerGroupCommand --bootstrap-server BROKER --group g --topic t --topic u \
             --reset-offsets --to-earliest --execute",
            "ConsumerGroupCommand --bootstrap-server BROKER --delete-offsets --group g --topic t",
            describe,
            "ConsumerGroupCommand --bootstrap-server BROKER --delete --group g",
            "ConsumerGroupCommand --bootstrap-server BROKER --list",
        ],
    )?;
    let [t, u, reset, offsets_deleted, rest, deleted, list] = outcomes.as_slice() else {
        anyhow::bail!("{outcomes:?}");
    };
    for outcome in [t, u, reset] {
        outcome.text()?;
    }
    assert_eq!(last(offsets_deleted)?, ["t", "0", "Successful"]);
    let rows = rest.rows()?;
    let topics: Vec<_> = rows.iter().filter(|row| row[0] == "g").collect();
    assert_eq!(topics.len(), 1, "{rows:?}");
    // Group, topic, partition, committed offset.
    assert_eq!(topics[0][..4], ["g", "u", "0", "0"]);
    assert!(deleted.text()?.contains("was successful"), "{deleted:?}");
    assert!(list.rows()?.is_empty(), "{list:?}");
    record_client_feature(CLIENT, "commands delete groups and offsets")
}

// Conformance: broker/clients-4
#[test]
fn group_command_lists_describes_resets() -> Result<()> {
    let node = Node::start()?;
    let create = "TopicCommand --bootstrap-server BROKER --create --topic t --partitions 1";
    run(node.bootstrap(), &[create])?[0].text()?;
    let produce = "VerifiableProducer --bootstrap-server BROKER --topic t --max-messages 40";
    events_of(&node, produce)?;
    let consume = "VerifiableConsumer --bootstrap-server BROKER --topic t --group-id g \
                   --reset-policy earliest --max-messages 40";
    events_of(&node, consume)?;
    let describe = "ConsumerGroupCommand --bootstrap-server BROKER --describe --group g";
    let outcomes = run(
        node.bootstrap(),
        &[
            "ConsumerGroupCommand --bootstrap-server BROKER --list",
            "GroupsCommand --bootstrap-server BROKER --list",
            describe,
            "ConsumerGroupCommand --bootstrap-server BROKER --describe --group g --state",
            "ConsumerGroupCommand --bootstrap-server BROKER --describe --group g --members",
            "ConsumerGroupCommand --bootstrap-server BROKER --group g --topic t \
             --reset-offsets --to-offset 10 --execute",
            describe,
        ],
    )?;
    let [list, groups, before, state, members, reset, after] = outcomes.as_slice() else {
        anyhow::bail!("{outcomes:?}");
    };
    assert_eq!(list.rows()?, [["g"]]);
    assert_eq!(last(groups)?, ["g", "Classic", "consumer"]);
    // Group, topic, partition, committed offset, end offset, lag.
    assert_eq!(last(before)?[..6], ["g", "t", "0", "40", "40", "0"]);
    assert!(last(state)?.ends_with(&["Empty", "0"]), "{state:?}");
    assert!(members.text()?.contains("no active members"), "{members:?}");
    assert_eq!(last(reset)?, ["g", "t", "0", "10"]);
    assert_eq!(last(after)?[..6], ["g", "t", "0", "10", "40", "30"]);
    record_client_feature(CLIENT, "commands list, describe and reset groups")
}

// Conformance: broker/clients-4
#[test]
fn commands_describe_the_cluster() -> Result<()> {
    let node = Node::start()?;
    let outcomes = run(
        node.bootstrap(),
        &[
            "BrokerApiVersionsCommand --bootstrap-server BROKER",
            "ClusterTool cluster-id --bootstrap-server BROKER",
        ],
    )?;
    let versions = outcomes[0].text()?;
    assert!(versions.contains("Produce(0): 0 to "), "{versions}");
    // The tool prints UNKNOWN for APIs that this version of Kafka does not know.
    assert!(!versions.contains("UNKNOWN"), "{versions}");
    let id = last(&outcomes[1])?;
    assert_eq!(id[..2], ["Cluster", "ID:"]);
    assert_eq!(id[2].len(), 22, "not a base64 UUID");
    record_client_feature(CLIENT, "commands describe the cluster")
}

/// Runs a program of Kafka and returns its events, one JSON object per line of its output.
fn events_of(node: &Node, command: &str) -> Result<Vec<Value>> {
    let output = stdout_of(&mut program(node.bootstrap(), command)?)?;
    let event = |line: &str| serde_json::from_str(line).with_context(|| line.to_owned());
    output.lines().map(event).collect()
}

fn named<'a>(events: &'a [Value], name: &'a str) -> impl Iterator<Item = &'a Value> {
    events.iter().filter(move |event| event["name"] == name)
}

fn last(outcome: &Outcome) -> Result<Vec<&str>> {
    let last = outcome.rows()?.pop();
    // Some tools print an error and exit with 0.
    ensure!(!outcome.output.contains("Error:"), "{}", outcome.output);
    last.context("no output")
}
