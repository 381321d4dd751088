//! Nodes in this process: start, restart, and startup errors.

mod http_limits;

use std::error::Error;

use avouch_node::{DataDirError, Node, NodeConfig, Role, StartError};
use avouch_registry_api::client::{RegisterOptions, RegistryClient};
use avouch_registry_api::rest::RegisterRequest;
use avouch_registry_api::types::SchemaId;

type TestResult = Result<(), Box<dyn Error>>;

async fn register(node: &Node, schema: &str) -> Result<Option<SchemaId>, Box<dyn Error>> {
    let url = format!("http://{}", node.http_address());
    let client = RegistryClient::builder(&url).build()?;
    let request = RegisterRequest::avro(schema.to_owned());
    let options = RegisterOptions::default();
    Ok(client.register("names-value", &request, options).await?.id)
}

#[tokio::test(flavor = "multi_thread")]
async fn restarted_node_keeps_schemas() -> TestResult {
    let dir = tempfile::tempdir()?;
    let first = Node::start(NodeConfig::new(dir.path())).await?;
    let kafka = first.kafka_address().ok_or("no Kafka listener")?;
    tokio::net::TcpStream::connect(kafka).await?;
    let id = register(&first, "\"string\"").await?;
    first.shutdown().await;
    assert!(tokio::net::TcpStream::connect(kafka).await.is_err());

    let second = Node::start(NodeConfig::new(dir.path())).await?;
    assert_eq!(register(&second, "\"string\"").await?, id);
    second.shutdown().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_holds_a_data_directory() -> TestResult {
    let dir = tempfile::tempdir()?;
    let node = Node::start(NodeConfig::new(dir.path())).await?;
    let rejected = Node::start(NodeConfig::new(dir.path())).await;
    let in_use = matches!(
        rejected,
        Err(StartError::DataDir(DataDirError::InUse { .. }))
    );
    assert!(in_use, "{rejected:?}");
    node.shutdown().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn role_selects_the_parts() -> TestResult {
    let (registry_dir, broker_dir) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let mut config = NodeConfig::new(registry_dir.path());
    config.role = Role::RegistryOnly;
    let registry = Node::start(config).await?;
    assert_eq!(registry.kafka_address(), None);

    let mut config = NodeConfig::new(broker_dir.path());
    config.role = Role::BrokerOnly {
        registry_url: format!("http://{}", registry.http_address()),
        registry_ca_file: None,
    };
    let broker = Node::start(config).await?;
    assert!(broker.kafka_address().is_some());
    assert!(register(&broker, "\"string\"").await.is_err());
    broker.shutdown().await;
    registry.shutdown().await;
    Ok(())
}
