//! Backups of a node under load, restored into another data directory.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context as _, Result, ensure};
use avouch_avro_testing::Random;
use avouch_tests::deadline::eventually;
use avouch_tests::node::{Node, binary};
use avouch_tests::protocol::{Connection, topic_name};
use avouch_tests::registry::{get, register};
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::{
    FindCoordinatorRequest, GroupId, OffsetCommitRequest, OffsetFetchRequest,
};
use kafka_protocol::protocol::StrBytes;
use rlimit::{INFINITY, Resource, prlimit};

use crate::disk_faults::ledger::Ledger;

/// Acknowledged requests before the backup, and again before the node is stopped.
const STEPS: usize = 120;
const ORDERS: &str = "orders";
const GROUP: &str = "billing";
const INVALID_RECORD: i16 = 87;

/// A topic with a contract, and a group that commits each record.
struct Orders {
    schema_id: u32,
    /// Value and offset of acknowledged records.
    records: Mutex<Vec<(i64, Vec<u8>)>>,
    committed: AtomicUsize,
}

impl Orders {
    fn create(node: &Node) -> Result<Self> {
        let schema_id = register(&node.url(), "orders-value", r#""long""#)?;
        let mut connection = Connection::open(node.bootstrap())?;
        ensure!(connection.create_topic(ORDERS, 1, &[])?.error_code == 0);
        // Creates the topic of committed offsets.
        let group = FindCoordinatorRequest::default().with_key(StrBytes::from_static_str(GROUP));
        eventually("the group coordinator", || {
            let found = connection.call(3, &group)?;
            Ok((found.error_code == 0).then_some(()))
        })?;
        Ok(Self {
            schema_id,
            records: Mutex::default(),
            committed: AtomicUsize::new(0),
        })
    }

    fn value(&self, number: u8) -> Vec<u8> {
        let mut value = vec![0];
        value.extend(self.schema_id.to_be_bytes());
        // Zigzag: one byte for numbers below 64.
        value.push((number % 64) * 2);
        value
    }

    /// Produces a record and commits the offset after it.
    fn step(&self, connection: &mut Connection, number: u8) -> Result<()> {
        let value = self.value(number);
        let produced = connection.produce_values(ORDERS, &[Some(&value[..])])?;
        ensure!(produced.error_code == 0, "{produced:?}");
        let offset = produced.base_offset;
        self.records().push((offset, value));
        commit(connection, offset + 1)?;
        self.committed
            .store(usize::try_from(offset + 1)?, Ordering::SeqCst);
        Ok(())
    }

    fn records(&self) -> std::sync::MutexGuard<'_, Vec<(i64, Vec<u8>)>> {
        self.records
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Checks what was acknowledged before the backup, and that the contract is in force.
    fn check(&self, node: &Node, (count, committed): (usize, usize)) -> Result<()> {
        let mut connection = Connection::open(node.bootstrap())?;
        let found = connection.values(ORDERS, 0)?;
        let records = self.records();
        ensure!(found.len() >= count, "{} of {count} records", found.len());
        ensure!(found[..] == records[..found.len()], "other records");
        let restored = usize::try_from(fetch_committed(&mut connection)?)?;
        ensure!(
            (committed..=found.len()).contains(&restored),
            "committed {restored}; expected {committed} to {}",
            found.len()
        );
        let violation = connection.produce_values(ORDERS, &[Some(b"no order")])?;
        ensure!(violation.error_code == INVALID_RECORD, "{violation:?}");
        let value = self.value(1);
        let valid = connection.produce_values(ORDERS, &[Some(&value[..])])?;
        ensure!(
            valid.base_offset == i64::try_from(found.len())?,
            "{valid:?}"
        );
        Ok(())
    }
}

fn commit(connection: &mut Connection, offset: i64) -> Result<()> {
    let partition = OffsetCommitRequestPartition::default().with_committed_offset(offset);
    let topic = OffsetCommitRequestTopic::default()
        .with_name(topic_name(ORDERS))
        .with_partitions(vec![partition]);
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(StrBytes::from_static_str(GROUP)))
        .with_topics(vec![topic]);
    let response = connection.call(8, &request)?;
    let committed = response
        .topics
        .first()
        .and_then(|topic| topic.partitions.first());
    let error_code = committed
        .context("no partition in the response")?
        .error_code;
    ensure!(error_code == 0, "{response:?}");
    Ok(())
}

fn fetch_committed(connection: &mut Connection) -> Result<i64> {
    let topic = OffsetFetchRequestTopics::default()
        .with_name(topic_name(ORDERS))
        .with_partition_indexes(vec![0]);
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(GroupId(StrBytes::from_static_str(GROUP)))
        .with_topics(Some(vec![topic]));
    let request = OffsetFetchRequest::default().with_groups(vec![group]);
    let response = connection.call(8, &request)?;
    let topic = response
        .groups
        .first()
        .and_then(|group| group.topics.first());
    let partition = topic.and_then(|topic| topic.partitions.first());
    Ok(partition
        .context("no partition in the response")?
        .committed_offset)
}

/// Runs a command of the binary.
fn avouch(arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(binary())
        .env_clear()
        .args(arguments)
        .output()?)
}

fn succeed(arguments: &[&str]) -> Result<String> {
    let output = avouch(arguments)?;
    ensure!(output.status.success(), "{arguments:?}: {output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

fn backup(node: &Node, to: &Path) -> Result<Output> {
    let to = to.to_str().context("UTF-8")?;
    avouch(&["backup", "--http", &node.url(), "--to", to])
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("UTF-8")
}

fn cluster_id(node: &Node) -> Result<(String, i32)> {
    let (status, body) = get(&node.url(), "/v1/metadata/id")?;
    ensure!(status == 200, "{body}");
    let metadata = Connection::open(node.bootstrap())?.metadata()?;
    let broker = metadata.brokers.first().context("no broker")?;
    Ok((body.to_string(), broker.node_id.0))
}

// Conformance: operation/backup-1
#[test]
fn restored_backup_has_what_was_acknowledged() -> Result<()> {
    let root = tempfile::tempdir()?;
    let (directory, data_dir) = (root.path().join("backup"), root.path().join("data"));
    let mut node = Node::start()?;
    let identity = cluster_id(&node)?;
    let orders = Orders::create(&node)?;
    let mut ledger = Ledger::default();
    let position = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let (at_start, end) = thread::scope(|scope| {
        let load = scope.spawn(|| -> Result<()> {
            let mut connection = Connection::open(node.bootstrap())?;
            let mut random = Random::new(7);
            let next = || position.fetch_add(1, Ordering::SeqCst) + 1;
            while !stop.load(Ordering::SeqCst) {
                ledger.step(&node, &mut connection, &mut random, &next)?;
            }
            Ok(())
        });
        let ordering = scope.spawn(|| -> Result<()> {
            let mut connection = Connection::open(node.bootstrap())?;
            for number in (0..=u8::MAX).cycle() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                orders.step(&mut connection, number)?;
            }
            Ok(())
        });
        let result = back_up_under_load(&node, &directory, &position, &orders);
        stop.store(true, Ordering::SeqCst);
        for thread in [load, ordering] {
            thread
                .join()
                .map_err(|_| anyhow::anyhow!("a thread panicked"))??;
        }
        result
    })?;
    let (cut, acknowledged) = at_start;
    node.kill_9()?;

    succeed(&["backup", "verify", text(&directory)?])?;
    succeed(&[
        "restore",
        "--from",
        text(&directory)?,
        "--data-dir",
        text(&data_dir)?,
    ])?;
    succeed(&["log", "verify", "--data-dir", text(&data_dir)?])?;
    let mut restored = Node::start_on(&data_dir)?;
    assert_eq!(cluster_id(&restored)?, identity);
    orders.check(&restored, acknowledged)?;
    ledger.check_between(&restored, cut, end)?;
    assert!(restored.terminate()?.success());
    succeed(&["log", "verify", "--data-dir", text(&data_dir)?])?;
    Ok(())
}

type AtStart = (usize, (usize, usize));

/// Takes a backup between two phases of load. Returns what was acknowledged when it was started,
/// and the position when it had ended.
fn back_up_under_load(
    node: &Node,
    directory: &Path,
    position: &AtomicUsize,
    orders: &Orders,
) -> Result<(AtStart, usize)> {
    let wait = |more: usize| {
        let target = position.load(Ordering::SeqCst) + more;
        eventually("the load", || {
            Ok((position.load(Ordering::SeqCst) >= target).then_some(()))
        })
    };
    wait(STEPS)?;
    // Committed first: a commit that is counted here has its record in the list.
    let committed = orders.committed.load(Ordering::SeqCst);
    let acknowledged = (orders.records().len(), committed);
    let cut = position.load(Ordering::SeqCst);
    let output = backup(node, directory)?;
    ensure!(output.status.success(), "{output:?}");
    let end = position.load(Ordering::SeqCst) + 1;
    wait(STEPS / 4)?;
    Ok(((cut, acknowledged), end))
}

// Conformance: operation/backup-4
#[test]
fn full_disk_fails_the_backup_alone() -> Result<()> {
    let root = tempfile::tempdir()?;
    let node = Node::start()?;
    let mut connection = Connection::open(node.bootstrap())?;
    ensure!(connection.create_topic("large", 1, &[])?.error_code == 0);
    let value = vec![b'x'; 300_000];
    let produced = connection.produce_values("large", &[Some(&value[..])])?;
    ensure!(produced.error_code == 0, "{produced:?}");
    // Moves the record into its segment, so that the next backup only copies.
    let output = backup(&node, &root.path().join("first"))?;
    ensure!(output.status.success(), "{output:?}");

    let pid = i32::try_from(node.pid())?;
    prlimit(pid, Resource::FSIZE, Some((200_000, INFINITY)), None)?;
    let failed = root.path().join("failed");
    let output = backup(&node, &failed)?;
    prlimit(pid, Resource::FSIZE, Some((INFINITY, INFINITY)), None)?;
    let error = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(
        error.contains("backup failed") && error.contains("File too large"),
        "{error}"
    );
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(!failed.exists());

    let produced = connection.produce_values("large", &[Some(b"after")])?;
    ensure!(produced.error_code == 0, "{produced:?}");
    let output = backup(&node, &failed)?;
    ensure!(output.status.success(), "{output:?}");
    assert!(fs::metadata(failed.join("manifest.json"))?.is_file());
    Ok(())
}
