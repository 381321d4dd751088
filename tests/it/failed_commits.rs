//! Full disks: data acknowledged after failed commits survive a restart, and no id is issued twice.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use apache_avro::types::Value;
use avouch_tests::node::Node;
use avouch_tests::protocol::{Connection, topic_name};
use avouch_tests::registry::{get, register, request, try_register};
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use kafka_protocol::messages::{
    CreatePartitionsRequest, DescribeConfigsRequest, IncrementalAlterConfigsRequest,
};
use kafka_protocol::protocol::StrBytes;
use reqwest::Method;
use rlimit::{INFINITY, Resource, prlimit};
use schema_registry_converter::async_impl::avro::AvroEncoder;
use schema_registry_converter::async_impl::schema_registry::SrSettings;
use schema_registry_converter::schema_registry_common::{
    SchemaType, SubjectNameStrategy, SuppliedSchema,
};

const KAFKA_STORAGE_ERROR: i16 = 56;
const COORDINATOR_NOT_AVAILABLE: i16 = 15;
const TOPIC_RESOURCE: i8 = 2;
/// More ids than the broker reserves at a time.
const PRODUCER_IDS: usize = 2_500;

/// Limits the size of `file` to its current size. SQLite then fails to append a commit to it, with
/// the error of a full disk.
fn forbid_growth(node: &Node, file: &Path) -> Result<()> {
    let bytes = fs::metadata(file).with_context(|| file.display().to_string())?;
    bound_files(node, bytes.len())
}

fn bound_files(node: &Node, bytes: u64) -> Result<()> {
    let pid = i32::try_from(node.pid())?;
    Ok(prlimit(
        pid,
        Resource::FSIZE,
        Some((bytes, INFINITY)),
        None,
    )?)
}

// Conformance: broker/admin-21
#[test]
fn acknowledged_metadata_survives_a_full_disk() -> Result<()> {
    let mut node = Node::start_restartable()?;
    let mut connection = Connection::open(node.bootstrap())?;
    let first_id = producer_id(&mut connection)?;
    for topic in ["deleted", "changed"] {
        assert_eq!(connection.create_topic(topic, 1, &[])?.error_code, 0);
    }

    forbid_growth(&node, &node.data_dir().join("metadata.sqlite-wal"))?;
    for topic in ["failed", "failed-too"] {
        let response = connection.create_topic(topic, 1, &[])?;
        assert_eq!(response.error_code, KAFKA_STORAGE_ERROR);
    }
    let mut ids = vec![first_id];
    // The broker issues the reserved ids; then it cannot reserve more.
    let mut error_code = 0;
    for _ in 0..PRODUCER_IDS {
        let response = connection.init_producer_id()?;
        error_code = response.error_code;
        if error_code != 0 {
            break;
        }
        ids.push(response.producer_id.0);
    }
    bound_files(&node, INFINITY)?;

    for topic in ["failed", "created"] {
        assert_eq!(connection.create_topic(topic, 1, &[])?.error_code, 0);
    }
    assert_eq!(connection.delete_topic("deleted")?, 0);
    assert_eq!(add_partitions(&mut connection, "changed", 3)?, 0);
    assert_eq!(set_retention(&mut connection, "changed", "12345")?, 0);
    for _ in 0..PRODUCER_IDS {
        ids.push(producer_id(&mut connection)?);
    }
    let acknowledged = topics(&mut connection)?;
    let expected = [("changed", 3), ("created", 1), ("failed", 1)];
    assert_eq!(
        acknowledged,
        expected
            .map(|(name, count)| (name.to_owned(), count))
            .into()
    );

    assert!(node.terminate()?.success());
    node.restart()?;
    let mut connection = Connection::open(node.bootstrap())?;
    assert_eq!(topics(&mut connection)?, acknowledged);
    assert_eq!(retention(&mut connection, "changed")?, "12345");
    for topic in acknowledged.keys() {
        let response = connection.produce_values(topic, &[Some(b"value")])?;
        assert_eq!(response.error_code, 0, "{topic}");
    }
    for _ in 0..PRODUCER_IDS {
        ids.push(producer_id(&mut connection)?);
    }
    let issued = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), issued, "producer ids were issued twice");
    assert_eq!(error_code, COORDINATOR_NOT_AVAILABLE);
    Ok(())
}

// Conformance: registry/stores-13
#[test]
fn acknowledged_schemas_survive_a_full_disk() -> Result<()> {
    let mut node = Node::start_restartable()?;
    let url = node.url();
    let mut ids = vec![register(&url, "before", r#""int""#)?];

    forbid_growth(&node, &node.data_dir().join("registry.sqlite-wal"))?;
    for (subject, schema) in [("failed", r#""long""#), ("failed-too", r#""float""#)] {
        let (status, body) = try_register(&url, subject, schema)?;
        assert_eq!(
            (status, &body["error_code"]),
            (503, &50001.into()),
            "{body}"
        );
    }
    bound_files(&node, INFINITY)?;

    for (subject, schema) in [("failed", r#""string""#), ("after", r#""bytes""#)] {
        ids.push(register(&url, subject, schema)?);
    }
    let level = serde_json::json!({ "compatibility": "NONE" });
    let (status, body) = request(&url, Method::PUT, "/config/after", Some(&level))?;
    assert_eq!(status, 200, "{body}");
    let (status, body) = request(&url, Method::DELETE, "/subjects/before", None)?;
    assert_eq!(status, 200, "{body}");
    let paths = [
        "/subjects",
        "/schemas",
        "/config/after",
        "/subjects/after/versions/1",
    ];
    let acknowledged = responses(&url, &paths)?;

    assert!(node.terminate()?.success());
    node.restart()?;
    let url = node.url();
    assert_eq!(responses(&url, &paths)?, acknowledged);
    ids.push(register(&url, "restarted", r#""double""#)?);
    assert!(ids.is_sorted_by(|left, right| left < right), "{ids:?}");
    Ok(())
}

/// The crate repeats a registration after 503; it caches a 500 until its process ends.
// Conformance: registry/stores-12, registry/clients
#[tokio::test]
async fn converter_recovers_from_a_full_disk() -> Result<()> {
    const SCHEMA: &str = r#"{"type":"record","name":"N","fields":[{"name":"a","type":"long"}]}"#;
    let node = Node::start()?;
    let encoder = AvroEncoder::new(SrSettings::new(node.url()));
    let encode = async |topic: &str| {
        let schema = SuppliedSchema::new(Some("N".into()), SchemaType::Avro, SCHEMA.into());
        let subject = SubjectNameStrategy::TopicNameStrategyWithSchema(topic.into(), false, schema);
        encoder.encode(vec![("a", Value::Long(1))], subject).await
    };
    encode("before").await?;

    forbid_growth(&node, &node.data_dir().join("registry.sqlite-wal"))?;
    let error = encode("payments").await.err().context("a full disk")?;
    ensure!(error.to_string().contains("503"), "{error}");
    bound_files(&node, INFINITY)?;
    assert_eq!(encode("payments").await?, [0, 0, 0, 0, 1, 2]);
    Ok(())
}

fn responses(url: &str, paths: &[&str]) -> Result<Vec<serde_json::Value>> {
    let response = |path: &&str| {
        let (status, body) = get(url, path)?;
        ensure!(status == 200, "{path}: {body}");
        Ok(body)
    };
    paths.iter().map(response).collect()
}

fn producer_id(connection: &mut Connection) -> Result<i64> {
    let response = connection.init_producer_id()?;
    ensure!(response.error_code == 0, "{response:?}");
    Ok(response.producer_id.0)
}

/// Returns the partition count of each topic.
fn topics(connection: &mut Connection) -> Result<BTreeMap<String, usize>> {
    let metadata = connection.metadata()?;
    let name =
        |name: Option<_>| name.map(|name: kafka_protocol::messages::TopicName| name.to_string());
    Ok(metadata
        .topics
        .into_iter()
        .filter_map(|topic| Some((name(topic.name)?, topic.partitions.len())))
        .collect())
}

fn add_partitions(connection: &mut Connection, topic: &str, count: i32) -> Result<i16> {
    let topic = CreatePartitionsTopic::default()
        .with_name(topic_name(topic))
        .with_count(count)
        .with_assignments(None);
    let request = CreatePartitionsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(30_000);
    let response = connection.call(2, &request)?;
    let added = response.results.first();
    Ok(added.context("no topic in the response")?.error_code)
}

fn set_retention(connection: &mut Connection, topic: &str, ms: &str) -> Result<i16> {
    let config = AlterableConfig::default()
        .with_name(StrBytes::from_static_str("retention.ms"))
        .with_value(Some(StrBytes::from_string(ms.to_owned())));
    let resource = AlterConfigsResource::default()
        .with_resource_type(TOPIC_RESOURCE)
        .with_resource_name(StrBytes::from_string(topic.to_owned()))
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let response = connection.call(1, &request)?;
    let altered = response.responses.first();
    Ok(altered.context("no resource in the response")?.error_code)
}

fn retention(connection: &mut Connection, topic: &str) -> Result<String> {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(TOPIC_RESOURCE)
        .with_resource_name(StrBytes::from_string(topic.to_owned()))
        .with_configuration_keys(Some(vec![StrBytes::from_static_str("retention.ms")]));
    let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
    let response = connection.call(4, &request)?;
    let described = response.results.first();
    let config = described.and_then(|described| described.configs.first());
    let value = config.and_then(|config| config.value.as_ref());
    Ok(value.context("no config in the response")?.to_string())
}
