//! The listener: accepts connections and serves each in a task of its own.
//!
//! A connection above a limit is closed before any of its bytes is read.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{Instrument as _, debug, error_span, warn};

use crate::clock::Clock;
use crate::connection;
use crate::connection_limits::{ConnectionCounts, ConnectionLimits, LimitExceeded};
use crate::metrics::ConnectionMetrics;
use crate::request_memory::RequestMemory;
use crate::response_writer::FileAccess;
use crate::service::Service;
use crate::session::Session;
use crate::transport::Transport;
use crate::warning_limit::WarningLimit;

/// State shared by all connections of a listener.
#[derive(Debug)]
pub struct ListenerContext {
    /// Limits of connections.
    pub limits: ConnectionLimits,
    /// Memory of the requests of all connections.
    pub memory: Arc<RequestMemory>,
    /// The clock of deadlines and rates.
    pub clock: Clock,
    /// Metrics of connections.
    pub metrics: ConnectionMetrics,
    /// Access to the files of response parts.
    pub files: FileAccess,
}

/// Accepts connections until `stop` turns true, then returns once all connections have ended.
pub async fn listen<S: Service>(
    listener: TcpListener,
    context: Arc<ListenerContext>,
    service: Arc<S>,
    mut stop: watch::Receiver<bool>,
) {
    let counts = Arc::default();
    let mut connections = JoinSet::new();
    let mut accepted_count = 0_u64;
    let (mut rejections, mut failures) = (WarningLimit::default(), WarningLimit::default());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((stream, peer)) => match ConnectionPermit::acquire(&counts, &context, peer.ip()) {
                Ok(permit) => {
                    accepted_count += 1;
                    // At the highest level, so that the span exists whenever a line is logged.
                    let span = error_span!("kafka", conn = accepted_count, %peer);
                    let (context, service) = (Arc::clone(&context), Arc::clone(&service));
                    let serving = serve(context, service, stream, peer, stop.clone(), permit);
                    connections.spawn(serving.instrument(span));
                }
                Err(exceeded) => {
                    context.metrics.count_rejected(exceeded.label());
                    if let Some(count) = rejections.count(context.clock.monotonic_ms()) {
                        warn!(%peer, count, "connections rejected: {exceeded}");
                    }
                }
            },
            Err(error) => {
                if let Some(count) = failures.count(context.clock.monotonic_ms()) {
                    warn!(%error, count, "cannot accept connections");
                }
                // The system may have no file handle left. The pending connection stays readable,
                // so an immediate retry would spin.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn serve<S: Service>(
    context: Arc<ListenerContext>,
    service: Arc<S>,
    stream: TcpStream,
    peer: SocketAddr,
    stop: watch::Receiver<bool>,
    permit: ConnectionPermit,
) {
    // Responses are written whole, so Nagle's algorithm would only delay their last segment.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "cannot set TCP_NODELAY");
    }
    // The local address of a connected socket is known unless the peer is gone already.
    if let Ok(local) = stream.local_addr() {
        let gauge = context.metrics.open.clone();
        gauge.inc();
        let session = Session::new(peer, local);
        connection::serve(&context, service, Transport::Tcp(stream), session, stop).await;
        gauge.dec();
    }
    drop(permit);
}

/// The count of one open connection, released on drop.
struct ConnectionPermit {
    counts: Arc<Mutex<ConnectionCounts>>,
    address: IpAddr,
}

impl ConnectionPermit {
    fn acquire(
        counts: &Arc<Mutex<ConnectionCounts>>,
        context: &ListenerContext,
        address: IpAddr,
    ) -> Result<Self, LimitExceeded> {
        let now_ms = context.clock.monotonic_ms();
        locked(counts).add(now_ms, address, &context.limits)?;
        Ok(Self {
            counts: Arc::clone(counts),
            address,
        })
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        locked(&self.counts).remove(self.address);
    }
}

fn locked(counts: &Mutex<ConnectionCounts>) -> MutexGuard<'_, ConnectionCounts> {
    // A panic between two updates leaves counts that are still safe to use.
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}
