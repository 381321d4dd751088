//! Data of every type from Confluent's serializers, produced as key and value to topics that
//! validate both. Each result is the serialized datum, which pins the special cases of each
//! library.

use std::process::Command;

use anyhow::Result;
use avouch_tests::checkout;
use avouch_tests::family::{java, python};
use avouch_tests::node::Node;
use avouch_tests::program::{Event, Running};

/// Types with the datum that confluent-kafka 2.16.0 writes. Under `bytes` it writes no length.
const PYTHON: [(&str, &str); 19] = [
    ("null", "null"),
    ("boolean", "01"),
    ("int", "01"),
    ("long", "808080808040"),
    ("float", "0000c03f"),
    ("double", "000000000000f83f"),
    ("bytes", "0801ff"),
    ("empty bytes", ""),
    ("bytes object", "0801ff"),
    ("bytes with attributes", "0801ff"),
    ("string", "0668c3a9"),
    ("Java string", "0668c3a9"),
    ("fixed", "00ff"),
    ("enum", "02"),
    ("array", "02026100"),
    ("map", "02026b02ff00"),
    ("union", "020261"),
    ("bytes in a union", "0202ff"),
    ("record", "02ff"),
];

/// Types with the datum that @confluentinc/schemaregistry 1.10.1 writes. It cannot write a
/// tombstone.
const JAVASCRIPT: [(&str, &str); 15] = [
    ("null", "message is empty"),
    ("boolean", "01"),
    ("int", "01"),
    ("long", "808080808040"),
    ("double", "000000000000f83f"),
    ("bytes", "0801ff"),
    ("bytes object", "0801ff"),
    ("bytes with attributes", "0801ff"),
    ("string", "0668c3a9"),
    ("Java string", "0668c3a9"),
    ("fixed", "00ff"),
    ("enum", "02"),
    ("array", "02026100"),
    ("map", "02026b02ff00"),
    ("record", "060801ff"),
];

/// Types with the datum that Avro 1.12.2 for Java writes, with the bare bytes of Confluent's
/// serializer under `bytes`.
const JAVA: [(&str, &str); 17] = [
    ("null", "null"),
    ("boolean", "01"),
    ("int", "01"),
    ("long", "808080808040"),
    ("float", "0000c03f"),
    ("double", "000000000000f83f"),
    ("bytes", "0801ff"),
    ("empty bytes", ""),
    ("bytes with attributes", "0801ff"),
    ("string", "0668c3a9"),
    ("Utf8", "0668c3a9"),
    ("Java string", "0668c3a9"),
    ("enum", "02"),
    ("array", "02026100"),
    ("map", "02026b02ff00"),
    ("union", "020261"),
    ("record", "060801ff0261"),
];

// Conformance: contract/3p
#[test]
fn every_type_of_java_is_accepted() -> Result<()> {
    let node = Node::start()?;
    let mut command = java();
    let url = node.url();
    command.args(["types", "--bootstrap", node.bootstrap(), "--url", &url]);
    compare_outputs(&mut command, &JAVA)
}

// Conformance: contract/3p
#[test]
fn every_type_of_confluent_kafka_is_accepted() -> Result<()> {
    compare_data(python("serializers.py"), &PYTHON)
}

// Conformance: contract/3p
#[test]
fn every_type_of_confluent_javascript_is_accepted() -> Result<()> {
    let mut command = Command::new("node");
    command.arg(checkout().join("tests/clients/node/serializers.js"));
    compare_data(command, &JAVASCRIPT)
}

fn compare_data(mut command: Command, expected: &[(&str, &str)]) -> Result<()> {
    let node = Node::start()?;
    compare_outputs(command.args([&node.url(), node.bootstrap()]), expected)
}

fn compare_outputs(command: &mut Command, expected: &[(&str, &str)]) -> Result<()> {
    let events = Running::start(command)?.finish()?;
    let found: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Output(value) => Some((value["call"].as_str()?, value["result"].as_str()?)),
            _ => None,
        })
        .collect();
    assert_eq!(found, expected);
    Ok(())
}
