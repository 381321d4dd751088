//! Limits of the HTTP listener: pipelining, slow clients, connections and memory.
#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use avouch_node::{HttpLimits, Node, NodeConfig, Role};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(60);
const LIVEZ: &[u8] = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n";
const OPENAPI: &[u8] = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n";

async fn start(http: HttpLimits) -> (Node, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let mut config = NodeConfig::new(dir.path());
    config.role = Role::RegistryOnly;
    config.http = http;
    (Node::start(config).await.unwrap(), dir)
}

async fn connect(node: &Node) -> TcpStream {
    TcpStream::connect(node.http_address()).await.unwrap()
}

/// Sends a request on a new connection and returns the whole response.
async fn exchange(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    Ok(response)
}

/// Returns the sum of a metric over its labels.
async fn metric(node: &Node, name: &str) -> io::Result<f64> {
    let text = exchange(node.http_address(), "/metrics").await?;
    let samples = text.lines().filter(|line| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with([' ', '{']))
    });
    let values = samples.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap());
    Ok(values.sum())
}

/// Waits until the metric has the value.
async fn wait_for_metric(node: &Node, name: &str, value: f64) {
    let waiting = async {
        // A scrape above the limit of connections is reset.
        while metric(node, name).await.unwrap_or_default() < value {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .unwrap_or_else(|_| panic!("{name} does not reach {value}"));
}

/// Returns the resident memory of this process in KiB.
fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let value = line.unwrap().split_whitespace().nth(1).unwrap();
    value.parse().unwrap()
}

/// Writes as much of `bytes` as the connection takes within 200 ms.
async fn write_some(stream: &mut TcpStream, bytes: &[u8]) {
    let mut written = 0;
    while written < bytes.len() {
        let write = stream.write(&bytes[written..]);
        match tokio::time::timeout(Duration::from_millis(200), write).await {
            Ok(count) => written += count.unwrap(),
            Err(_) => return,
        }
    }
}

/// Reads until `count` responses to [`LIVEZ`] have arrived.
async fn read_livez(stream: &mut TcpStream, count: usize) {
    let mut text = Vec::new();
    let reading = async {
        while text.windows(5).filter(|bytes| *bytes == b"alive").count() < count {
            let read = stream.read_buf(&mut text).await.unwrap();
            assert!(read > 0, "closed after {} bytes", text.len());
        }
    };
    let ended = tokio::time::timeout(PATIENCE, reading).await;
    assert!(ended.is_ok(), "no further response");
}

// Conformance: operation/8
#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_do_not_hold_memory() {
    let (node, _dir) = start(HttpLimits::default()).await;
    let requests = LIVEZ.repeat((256 << 10) / LIVEZ.len());
    exchange(node.http_address(), "/livez").await.unwrap();
    let before = resident_kib();
    let mut clients = Vec::new();
    for _ in 0..60 {
        let mut client = connect(&node).await;
        write_some(&mut client, &requests).await;
        clients.push(client);
    }
    let live = exchange(node.http_address(), "/livez");
    let live = tokio::time::timeout(Duration::from_secs(5), live).await;
    assert!(live.unwrap().unwrap().starts_with("HTTP/1.1 200"));
    let grown_kib = resident_kib().saturating_sub(before);
    assert!(grown_kib < 48 << 10, "{grown_kib} KiB for 60 connections");
    assert!(metric(&node, "avouch_http_connections").await.unwrap() > 60.0);
    drop(clients);
    node.shutdown().await;
}

// Conformance: operation/9
#[tokio::test(flavor = "multi_thread")]
async fn slow_request_is_closed() {
    let limits = HttpLimits {
        request_read_timeout: Duration::from_millis(300),
        ..HttpLimits::default()
    };
    let (node, _dir) = start(limits).await;
    let head = "POST /subjects/a/versions HTTP/1.1\r\nHost: a\r\n";
    for partial in [
        head.to_owned(),
        format!("{head}Content-Length: 100\r\n\r\n{{\"sche"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n64\r\n{{\"sche"),
    ] {
        let mut client = connect(&node).await;
        client.write_all(partial.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        // The connection can be reset, since the server has not read the request.
        let closed = tokio::time::timeout(PATIENCE, client.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "{partial:?} is still open");
    }
    wait_for_metric(&node, "avouch_http_connections_closed_total", 3.0).await;
    node.shutdown().await;
}

// Conformance: operation/9
#[tokio::test(flavor = "multi_thread")]
async fn unread_response_is_closed() {
    let limits = HttpLimits {
        response_write_timeout: Duration::from_millis(300),
        ..HttpLimits::default()
    };
    let (node, _dir) = start(limits).await;
    let mut client = connect(&node).await;
    write_some(&mut client, &OPENAPI.repeat(1_000)).await;
    wait_for_metric(&node, "avouch_http_connections_closed_total", 1.0).await;
    wait_for_metric(&node, "avouch_http_connections", 1.0).await;
    assert!(metric(&node, "avouch_http_memory_bytes").await.unwrap() < 1e6);
    node.shutdown().await;
}

// Conformance: operation/10
#[tokio::test(flavor = "multi_thread")]
async fn excess_connection_is_closed_on_accept() {
    let limits = HttpLimits {
        connections_max: 2,
        ..HttpLimits::default()
    };
    let (node, _dir) = start(limits).await;
    let mut served = connect(&node).await;
    served.write_all(LIVEZ).await.unwrap();
    read_livez(&mut served, 1).await;
    let mut idle = connect(&node).await;
    idle.write_all(LIVEZ).await.unwrap();
    read_livez(&mut idle, 1).await;
    let mut excess = connect(&node).await;
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(PATIENCE, excess.read_to_end(&mut rest)).await;
    assert!(closed.is_ok() && rest.is_empty());
    served.write_all(LIVEZ).await.unwrap();
    read_livez(&mut served, 1).await;
    drop(idle);
    wait_for_metric(&node, "avouch_http_connections_rejected_total", 1.0).await;
    node.shutdown().await;
}

// Conformance: operation/10
#[tokio::test(flavor = "multi_thread")]
async fn response_above_memory_limit_is_503() {
    let limits = HttpLimits {
        memory_bytes_max: 16 << 10,
        ..HttpLimits::default()
    };
    let (node, _dir) = start(limits).await;
    let address = node.http_address();
    let large = exchange(address, "/openapi.json").await.unwrap();
    assert!(large.starts_with("HTTP/1.1 503"), "{}", &large[..100]);
    let small = exchange(address, "/livez").await.unwrap();
    assert!(small.starts_with("HTTP/1.1 200"));
    node.shutdown().await;
}

// Conformance: operation/8
#[tokio::test(flavor = "multi_thread")]
async fn bodies_and_pipelined_requests_keep_order() {
    let (node, _dir) = start(HttpLimits::default()).await;
    let body = r#"{"schema": "\"string\""}"#;
    let post =
        "POST /subjects/a/versions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
    let chunked = format!(
        "{post}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    let sized = format!("{post}Content-Length: {}\r\n\r\n{body}", body.len());
    // The handler of this path does not read the body.
    let unread = concat!(
        "GET /livez HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        "3\r\n\r\n\n\r\n0\r\n\r\n"
    );
    let mut client = connect(&node).await;
    for request in [&chunked, &sized, unread] {
        client.write_all(request.as_bytes()).await.unwrap();
        client.write_all(LIVEZ).await.unwrap();
    }
    read_livez(&mut client, 4).await;
    node.shutdown().await;
}
