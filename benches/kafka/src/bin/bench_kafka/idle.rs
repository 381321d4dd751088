//! What a broker does while nothing happens: consumers that wait in long polls.

use std::time::Duration;

use anyhow::{Result, ensure};
use avouch_tests::deadline::now;
use avouch_tests::peer::Peer;
use avouch_tests::protocol::fetch_frame;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// How long a consumer at default settings lets a fetch wait.
const FETCH_WAIT_MS: i32 = 500;
const WARM_UP: Duration = Duration::from_secs(2);

/// Percent of a core that the broker takes while `consumers` poll an empty topic. Each asks again
/// twice a second, as librdkafka and Java do by default. Java's send less from the second time on
/// where a broker has fetch sessions; heartbeats, one in three seconds, are not in it.
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
        ensure!(polling.try_join_next().is_none(), "a consumer was cut off");
        Ok(100.0 * taken / started.elapsed().as_secs_f64())
    })
}

/// Asks again whenever it is answered.
async fn poll(mut stream: TcpStream, frame: Vec<u8>) -> Result<()> {
    let mut answer = Vec::new();
    loop {
        stream.write_all(&frame).await?;
        let length = stream.read_i32().await?;
        answer.resize(usize::try_from(length)?, 0);
        stream.read_exact(&mut answer).await?;
    }
}
