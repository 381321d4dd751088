//! Java's Admin client and Kafka's command-line tools against tables of what each call returns, and
//! clients that request transactions.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use avouch_tests::family::java;
use avouch_tests::kafka_tools::run;
use avouch_tests::node::Node;
use avouch_tests::program::{Event, Running};
use avouch_tests::rust_client::config;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer as _};

/// Method of Admin, in the order of the calls, and its result or exception.
const ADMIN_CALLS: &[(&str, &str)] = &[
    ("createTopics", "done"),
    ("listTopics", "[t]"),
    ("describeTopics", "t"),
    ("createPartitions", "done"),
    ("describeConfigs", "5"),
    ("incrementalAlterConfigs", "done"),
    // The topic, and this broker as broker and as broker logger.
    ("listConfigResources", "3"),
    ("listClientMetricsResources", "[]"),
    ("listOffsets", "0"),
    ("describeProducers", "[]"),
    ("describeCluster", "1"),
    ("describeFeatures", "[metadata.version]"),
    ("updateFeatures", "InvalidUpdateVersionException"),
    ("describeMetadataQuorum", "1"),
    ("unregisterBroker", UNSUPPORTED),
    ("addRaftVoter", UNSUPPORTED),
    ("removeRaftVoter", UNSUPPORTED),
    ("describeLogDirs", "1"),
    ("describeReplicaLogDirs", "1"),
    ("alterReplicaLogDirs", "LogDirNotFoundException"),
    ("electLeaders", "Optional[ElectionNotNeededException]"),
    ("alterPartitionReassignments", "done"),
    ("listPartitionReassignments", "0"),
    ("describeClientQuotas", "{}"),
    ("alterClientQuotas", UNSUPPORTED),
    // The client has no telemetry subscription, since the broker does not support KIP-714.
    ("clientInstanceId", "IllegalStateException"),
    ("alterConsumerGroupOffsets", "done"),
    ("listGroups", "1"),
    ("listConsumerGroups", "1"),
    ("describeConsumerGroups", "Empty"),
    ("describeClassicGroups", "Empty"),
    ("listConsumerGroupOffsets", "1"),
    // The client rejects the request, because the group has no members.
    ("removeMembersFromConsumerGroup", "IllegalArgumentException"),
    ("deleteConsumerGroupOffsets", "done"),
    // A group without members and offsets does not exist any more.
    ("deleteConsumerGroups", "GroupIdNotFoundException"),
    ("describeShareGroups", UNSUPPORTED),
    ("alterShareGroupOffsets", UNSUPPORTED),
    ("listShareGroupOffsets", UNSUPPORTED),
    ("deleteShareGroupOffsets", UNSUPPORTED),
    ("deleteShareGroups", "GroupIdNotFoundException"),
    ("describeStreamsGroups", UNSUPPORTED),
    ("alterStreamsGroupOffsets", "done"),
    ("listStreamsGroupOffsets", "1"),
    ("deleteStreamsGroupOffsets", "done"),
    ("deleteStreamsGroups", "GroupIdNotFoundException"),
    ("describeAcls", "SecurityDisabledException"),
    ("createAcls", "SecurityDisabledException"),
    ("deleteAcls", "SecurityDisabledException"),
    ("describeUserScramCredentials", "{}"),
    ("alterUserScramCredentials", UNSUPPORTED),
    ("createDelegationToken", UNSUPPORTED),
    ("renewDelegationToken", UNSUPPORTED),
    ("expireDelegationToken", UNSUPPORTED),
    ("describeDelegationToken", UNSUPPORTED),
    ("listTransactions", "[]"),
    ("describeTransactions", TRANSACTIONAL_ID),
    ("abortTransaction", UNSUPPORTED),
    ("fenceProducers", TRANSACTIONAL_ID),
    ("forceTerminateTransaction", TRANSACTIONAL_ID),
    ("KafkaProducer.initTransactions", TRANSACTIONAL_ID),
    ("deleteRecords", "0"),
    ("deleteTopics", "done"),
    ("not called", ""),
];
const UNSUPPORTED: &str = "UnsupportedVersionException";
const TRANSACTIONAL_ID: &str = "TransactionalIdAuthorizationException";

// Conformance: broker/clients-5, broker/rejection-1, broker/rejection-5
// Conformance: broker/rejection-6, broker/rejection-7
#[test]
fn java_admin_calls_match_table() -> Result<()> {
    let node = Node::start()?;
    let mut calls = java();
    calls.args(["admin", "--bootstrap", node.bootstrap()]);
    let mut outcomes = Vec::new();
    for event in Running::start(&mut calls)?.finish()? {
        if let Event::Output(call) = event {
            let field = |name: &str| call[name].as_str().unwrap_or_default().to_owned();
            outcomes.push((field("name"), field("outcome")));
        }
    }
    let outcomes: Vec<(&str, &str)> = outcomes
        .iter()
        .map(|(name, outcome)| (name.as_str(), outcome.as_str()))
        .collect();
    assert_eq!(outcomes, ADMIN_CALLS);
    Ok(())
}

/// Command, exit status and a part of its output.
const COMMANDS: &[(&str, i32, &str)] = &[
    (
        "TopicCommand --bootstrap-server BROKER --create --topic t",
        0,
        "Created topic t.",
    ),
    (
        "AclCommand --bootstrap-server BROKER --list",
        1,
        "SecurityDisabledException",
    ),
    (
        "BrokerApiVersionsCommand --bootstrap-server BROKER",
        0,
        "ListConfigResources(74): 0 to 1",
    ),
    (
        "ClientMetricsCommand --bootstrap-server BROKER --list",
        0,
        "",
    ),
    (
        "ClientMetricsCommand --bootstrap-server BROKER --describe",
        0,
        "",
    ),
    (
        "ClusterTool cluster-id --bootstrap-server BROKER",
        0,
        "Cluster ID: ",
    ),
    (
        "ClusterTool list-endpoints --bootstrap-server BROKER",
        0,
        "unfenced",
    ),
    (
        "ConfigCommand --bootstrap-server BROKER --describe --entity-type broker-loggers \
         --entity-name 1",
        0,
        "Dynamic configs for broker-logger 1",
    ),
    (
        "ConfigCommand --bootstrap-server BROKER --describe --entity-type client-metrics",
        0,
        "",
    ),
    (
        "ConfigCommand --bootstrap-server BROKER --describe --entity-type groups",
        0,
        "",
    ),
    (
        "ConfigCommand --bootstrap-server BROKER --describe --entity-type users",
        0,
        "",
    ),
    (
        "ConfigCommand --bootstrap-server BROKER --describe --entity-type clients",
        0,
        "",
    ),
    (
        "ConfigCommand --bootstrap-server BROKER --describe --entity-type ips",
        0,
        "",
    ),
    (
        "DelegationTokenCommand --bootstrap-server BROKER --describe --command-config /dev/null",
        1,
        "does not support DESCRIBE_DELEGATION_TOKEN",
    ),
    (
        "FeatureCommand --bootstrap-server BROKER describe",
        0,
        "FinalizedVersionLevel: 4.0-IV3",
    ),
    (
        "FeatureCommand --bootstrap-server BROKER upgrade --feature transaction.version=2",
        1,
        "Level 2 of feature transaction.version is not supported",
    ),
    (
        "GetOffsetShell --bootstrap-server BROKER --topic t",
        0,
        "t:0:0",
    ),
    (
        "LeaderElectionCommand --bootstrap-server BROKER --election-type preferred --topic t \
         --partition 0",
        0,
        "Valid replica already elected for partitions t-0",
    ),
    (
        "LogDirsCommand --bootstrap-server BROKER --describe",
        0,
        "\"partition\":\"t-0\"",
    ),
    (
        "MetadataQuorumCommand --bootstrap-server BROKER describe --status",
        0,
        "LeaderId: ",
    ),
    (
        "MetadataQuorumCommand --bootstrap-server BROKER describe --replication",
        0,
        "Leader",
    ),
    (
        "reassign.ReassignPartitionsCommand --bootstrap-server BROKER --list",
        0,
        "No partition reassignments found.",
    ),
    (
        "ConsumerGroupCommand --bootstrap-server BROKER --list",
        0,
        "",
    ),
    (
        "consumer.group.ShareGroupCommand --bootstrap-server BROKER --list",
        0,
        "",
    ),
    (
        "streams.StreamsGroupCommand --bootstrap-server BROKER --list",
        0,
        "",
    ),
    (
        "GroupsCommand --bootstrap-server BROKER --list",
        0,
        "PROTOCOL",
    ),
    (
        "TransactionsCommand --bootstrap-server BROKER list",
        0,
        "TransactionState",
    ),
    (
        "TransactionsCommand --bootstrap-server BROKER describe-producers --topic t --partition 0",
        0,
        "LastSequence",
    ),
    (
        "TransactionsCommand --bootstrap-server BROKER describe --transactional-id x",
        1,
        "Failed to describe transaction state",
    ),
    (
        "TransactionsCommand --bootstrap-server BROKER find-hanging --broker-id 1",
        0,
        "",
    ),
    (
        "ProducerPerformance --topic t --num-records 10 --record-size 10 --throughput -1 \
         --producer-props bootstrap.servers=BROKER",
        0,
        "10 records sent",
    ),
    (
        "ConsumerPerformance --bootstrap-server BROKER --topic t --messages 10 --timeout 20000",
        0,
        ", 10, ",
    ),
    (
        "consumer.ConsoleConsumer --bootstrap-server BROKER --topic t --from-beginning \
         --max-messages 10",
        0,
        "Processed a total of 10 messages",
    ),
    (
        "StreamsResetter --bootstrap-server BROKER --application-id a --input-topics t",
        0,
        "Topic: t Partition: 0 Offset: 0",
    ),
];

// Conformance: broker/clients-5
#[test]
fn kafka_commands_match_table() -> Result<()> {
    let node = Node::start()?;
    let commands: Vec<&str> = COMMANDS.iter().map(|(command, ..)| *command).collect();
    let outcomes = run(node.bootstrap(), &commands)?;
    for ((command, status, part), outcome) in COMMANDS.iter().zip(outcomes) {
        assert_eq!(outcome.status, *status, "{command}: {}", outcome.output);
        assert!(
            outcome.output.contains(part),
            "{command}: {}",
            outcome.output
        );
    }
    Ok(())
}

// Conformance: broker/fetch-7
#[test]
fn topic_command_describes_topic_by_id() -> Result<()> {
    let node = Node::start()?;
    let describe = "TopicCommand --bootstrap-server BROKER --describe";
    let create = "TopicCommand --bootstrap-server BROKER --create --topic t";
    let outcomes = run(
        node.bootstrap(),
        &[create, &format!("{describe} --topic t")],
    )?;
    let by_name = outcomes[1].rows()?;
    let mut words = by_name[0].iter().skip_while(|word| **word != "TopicId:");
    let id = words.nth(1).context("no topic id")?;
    let outcomes = run(node.bootstrap(), &[&format!("{describe} --topic-id {id}")])?;
    // The rows of partitions differ: by id the tool has no eligible leader replicas.
    assert_eq!(outcomes[0].rows()?[0], by_name[0]);
    Ok(())
}

/// librdkafka retries FindCoordinator after codes that it does not treat as final, until the
/// timeout, which would be another error here.
// Conformance: broker/rejection-1
#[test]
fn librdkafka_rejects_transactions_at_once() -> Result<()> {
    let node = Node::start()?;
    let mut settings = config(node.bootstrap());
    settings.set("transactional.id", "x");
    let producer: BaseProducer = settings.create()?;
    let Err(error) = producer.init_transactions(Duration::from_secs(20)) else {
        bail!("transactions are supported");
    };
    let KafkaError::Transaction(error) = error else {
        bail!("{error}");
    };
    assert!(error.is_fatal(), "{error}");
    let expected = RDKafkaErrorCode::TransactionalIdAuthorizationFailed;
    assert_eq!(error.code(), expected, "{error}");
    let log = node.log()?;
    let line = log
        .lines()
        .find(|line| line.contains("transactions are not supported"));
    line.context("the rejection is not logged")?;
    Ok(())
}
