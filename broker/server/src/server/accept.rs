//! The listener: connections in, each a task of its own.
//!
//! Knows no request. A connection beyond a limit is closed before a byte of it is read.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{Instrument as _, error_span, warn};

use crate::node::Node;
use crate::server::admission::{Admission, Refused};
use crate::server::connection;
use crate::server::service::Service;

/// Accepts until `stop` turns true, then waits for the connections there are.
pub(crate) async fn accept<S: Service>(
    node: Arc<Node>,
    service: Arc<S>,
    listener: TcpListener,
    mut stop: watch::Receiver<bool>,
) {
    let admission = Arc::default();
    let mut connections = JoinSet::new();
    let mut accepted_count = 0_u64;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((stream, peer)) => match Place::take(&admission, &node, peer.ip()) {
                Ok(place) => {
                    accepted_count += 1;
                    // Of the highest level, so that it is there whenever a line is.
                    let span = error_span!("kafka", conn = accepted_count, %peer);
                    let (node, service) = (Arc::clone(&node), Arc::clone(&service));
                    let serving = serve(node, service, stream, peer, stop.clone(), place);
                    connections.spawn(serving.instrument(span));
                }
                Err(refused) => {
                    node.metrics.connection_refused(refused.limit());
                    warn!(%peer, "connection refused: {refused}");
                }
            },
            // Out of file handles, most likely: accepting again at once would spin.
            Err(error) => {
                warn!(%error, "connection not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn serve<S: Service>(
    node: Arc<Node>,
    service: Arc<S>,
    stream: TcpStream,
    peer: SocketAddr,
    stop: watch::Receiver<bool>,
    place: Place,
) {
    let gauge = node.metrics.connections.clone();
    gauge.inc();
    connection::serve(node, service, stream, peer, stop).await;
    gauge.dec();
    drop(place);
}

/// A connection's place among those there may be; given back when it is dropped.
struct Place {
    admission: Arc<Mutex<Admission>>,
    address: IpAddr,
}

impl Place {
    fn take(
        admission: &Arc<Mutex<Admission>>,
        node: &Node,
        address: IpAddr,
    ) -> Result<Self, Refused> {
        let now_ms = node.clock.monotonic_ms();
        locked(admission).opened(now_ms, address, &node.config.limits)?;
        Ok(Self {
            admission: Arc::clone(admission),
            address,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        locked(&self.admission).closed(self.address);
    }
}

fn locked(admission: &Mutex<Admission>) -> MutexGuard<'_, Admission> {
    admission.lock().unwrap_or_else(PoisonError::into_inner)
}
