//! Lost and cut files of the log: a node does not start with them, its error names the file and the
//! command, and the node starts after the command.

use std::fs::{self, OpenOptions};
use std::path::Path;

use avouch_protocol::batch::Codec;
use avouch_protocol::builder::BatchBuilder;
use avouch_protocol::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse,
};
use avouch_protocol::messages::produce::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use avouch_protocol::types::TimestampMs;
use tempfile::tempdir;

use crate::node::{Node, avouch, kafka_request};
use crate::startup_errors::error;

const FLAGS: [&str; 2] = ["--data-dir", "data"];
const WAL: &str = "wal/00000000.wal";

/// A loss in the log directory of a stopped node.
struct Loss {
    /// The signal that stopped the node: only after a crash the WAL contains records.
    signal: &'static str,
    lose: fn(&Path),
    /// The file or directory that the error names, below the log directory.
    named: &'static str,
    meaning: &'static str,
    command: &'static str,
}

const LOSSES: [Loss; 4] = [
    Loss {
        signal: "-TERM",
        lose: |log| fs::remove_dir_all(log).unwrap(),
        named: "",
        meaning: "the log is missing, and with it all records",
        command: "accept-loss",
    },
    Loss {
        signal: "-TERM",
        lose: |log| fs::remove_file(log.join(WAL)).unwrap(),
        named: "wal",
        meaning: "is missing, and with it acknowledged records",
        command: "accept-loss",
    },
    Loss {
        signal: "-KILL",
        lose: cut_wal,
        named: WAL,
        meaning: "acknowledged records are missing",
        command: "accept-loss",
    },
    Loss {
        signal: "-TERM",
        lose: |log| fs::remove_file(log.join("checkpoint")).unwrap(),
        named: "",
        meaning: "contains data but no checkpoint",
        command: "rebuild-checkpoint",
    },
];

fn cut_wal(log: &Path) {
    let wal = OpenOptions::new().write(true).open(log.join(WAL)).unwrap();
    // Within the record of the first frame, which follows the header of 512 bytes.
    wal.set_len(512 + 100).unwrap();
}

// Conformance: log-proof/19
#[test]
fn lost_log_files_prevent_start_until_accepted() {
    for loss in LOSSES {
        let root = tempdir().unwrap();
        let node = Node::start(root.path(), &FLAGS);
        produce(&node);
        node.stop(loss.signal);
        (loss.lose)(&root.path().join("data/log"));

        let line = error(root.path(), &FLAGS);
        let named = Path::new("data/log").join(loss.named);
        let named = named.to_str().unwrap().trim_end_matches('/');
        let command = format!("avouch log {}", loss.command);
        for part in [named, loss.meaning, &command] {
            assert!(line.contains(part), "{part:?} in {line}");
        }

        let repaired = avouch(root.path())
            .args(["log", loss.command])
            .args(FLAGS)
            .output()
            .unwrap();
        assert!(repaired.status.success(), "{line}: {repaired:?}");
        let (code, stderr) = Node::start(root.path(), &FLAGS).stop("-TERM");
        assert_eq!(code, Some(0), "{line}: {stderr}");
    }
}

/// Creates a topic and produces a record.
fn produce(node: &Node) {
    let request = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            name: Some("t".to_owned()),
            ..Default::default()
        }]),
        ..Default::default()
    };
    let created: MetadataResponse = kafka_request(&node.kafka(), 4, &request);
    assert_eq!(created.topics[0].name.as_deref(), Some("t"));

    let mut batch = BatchBuilder::new(Codec::None);
    batch.push(None, Some(b"value"), TimestampMs(1), &[]);
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            name: "t".to_owned(),
            partition_data: vec![PartitionProduceData {
                index: 0,
                records: Some(batch.finish().into()),
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let stored: ProduceResponse = kafka_request(&node.kafka(), 7, &request);
    assert_eq!(stored.responses[0].partition_responses[0].error_code, 0);
}
