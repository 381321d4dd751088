//! Static broker configs: set by flag, environment and file, and returned to Kafka's tools.

use std::collections::BTreeMap;
use std::fs;

use avouch_protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResponse,
};
use tempfile::tempdir;

use crate::node::{Node, avouch, kafka_request};

/// Returns the configs of broker 1: name, value and code of the source.
pub(crate) fn describe(kafka: &str) -> BTreeMap<String, (Option<String>, i8)> {
    let request = DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: 4,
            resource_name: "1".to_owned(),
            configuration_keys: None,
        }],
        ..Default::default()
    };
    let mut response: DescribeConfigsResponse = kafka_request(kafka, 4, &request);
    let configs = response.results.remove(0).configs.into_iter();
    configs
        .map(|config| (config.name, (config.value, config.config_source)))
        .collect()
}

// Conformance: broker/admin-19, broker/admin-24
#[test]
fn broker_configs_follow_the_order_of_sources() {
    const STATIC: i8 = 4;
    let root = tempdir().unwrap();
    let file = "[serve.broker-config]\nnum.partitions = 3\npartitions.max = ' 100 '";
    fs::write(root.path().join("avouch.toml"), file).unwrap();
    // Values are parsed as in Kafka: trimmed, and booleans in any case.
    let environment = "num.partitions= 4 \navouch.auto.exclude=a,b,strict.replication=TRUE";
    type Expected = [(&'static str, &'static str); 4];
    let cases: [(&[&str], Expected); 2] = [
        (
            &[],
            [
                ("num.partitions", "4"),
                ("partitions.max", "100"),
                ("avouch.auto.exclude", "a,b"),
                ("strict.replication", "true"),
            ],
        ),
        (
            &[
                "--broker-config",
                "num.partitions=5",
                "--broker-config",
                "auto.create.topics.enable=False",
            ],
            [
                ("num.partitions", "5"),
                ("partitions.max", "100"),
                ("auto.create.topics.enable", "false"),
                ("log.dirs", "data"),
            ],
        ),
    ];
    for (flags, expected) in cases {
        let mut command = avouch(root.path());
        command.env("AVOUCH_BROKER_CONFIG", environment);
        let flags = [&["--data-dir", "data"], flags].concat();
        let node = Node::start_with(command, root.path(), &flags);
        let configs = describe(&node.kafka());
        for (config, value) in expected {
            assert_eq!(
                configs[config],
                (Some(value.to_owned()), STATIC),
                "{config}"
            );
        }
        node.stop("-TERM");
    }
}
