//! CPU time of a broker while consumers poll an empty topic.

use std::time::Duration;

use anyhow::{Result, ensure};
use avouch_tests::deadline::now;
use avouch_tests::peer::Peer;
use avouch_tests::protocol::fetch_frame;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// `fetch.max.wait.ms` of consumers at default settings.
const FETCH_WAIT_MS: i32 = 500;
const WARM_UP: Duration = Duration::from_secs(2);

/// Returns the percentage of a core that the broker uses while `consumers` poll an empty topic.
///
/// Each consumer sends two fetches per second, as librdkafka and Java do by default. Java consumers
/// send smaller requests in a fetch session, and a heartbeat every three seconds; this measurement
/// has neither.
pub(crate) fn percent_of_a_core(
    peer: &Peer,
    (topic, consumers): (&str, usize),
    span: Duration,
) -> Result<f64> {
    let frame = fetch_frame(topic, FETCH_WAIT_MS)?;
    Runtime::new()?.block_on(async {
        let mut polling = JoinSet::new();
        for _ in 0..consumers {
            let stream = TcpStream::connect(peer.bootstrap()).await?;
            polling.spawn(poll(stream, frame.clone()));
        }
        tokio::time::sleep(WARM_UP).await;
        let (cpu, started) = (peer.cpu_seconds()?, now());
        tokio::time::sleep(span).await;
        let taken = peer.cpu_seconds()? - cpu;
        // A poll task ends only with an error.
        ensure!(polling.try_join_next().is_none(), "a consumer disconnected");
        Ok(100.0 * taken / started.elapsed().as_secs_f64())
    })
}

/// Sends the fetch again after each response.
async fn poll(mut stream: TcpStream, frame: Vec<u8>) -> Result<()> {
    let mut response = Vec::new();
    loop {
        stream.write_all(&frame).await?;
        let length = stream.read_i32().await?;
        response.resize(usize::try_from(length)?, 0);
        stream.read_exact(&mut response).await?;
    }
}
