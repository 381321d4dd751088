//! Listens for the changes of other nodes on the same PostgreSQL database. The change sequence in
//! the database is authoritative and is read at least every [`POLL_INTERVAL`]; a notification only
//! triggers the next read. Each read also determines whether the database is reachable.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgListener, PgPool};

use crate::service::Service;
use crate::store::{CHANGES_CHANNEL, Engine};

/// Maximum time between two reads, which bounds how long a node can miss a change.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Applies the changes of other nodes until the future is dropped. An SQLite database has no
/// others.
pub(crate) async fn listen_for_changes(service: Arc<Service>) {
    match &service.store.engine {
        Engine::Sqlite { .. } => {}
        Engine::Postgres { readers, .. } => listen_on_postgres(&service, readers).await,
    }
}

async fn listen_on_postgres(service: &Service, pool: &PgPool) {
    let mut listener = None;
    let mut was_disconnected = false;
    loop {
        let was_reachable = service.store.engine.is_reachable();
        // Notifications may have been lost with the connection, so that everything is invalidated.
        let is_reachable = match service.catch_up(was_disconnected).await {
            Ok(()) => {
                was_disconnected = false;
                true
            }
            Err(error) => {
                if was_reachable {
                    tracing::error!(%error, "registry database unreachable");
                }
                // The connection may be half open; a new one subscribes again.
                listener = None;
                was_disconnected = true;
                false
            }
        };
        if is_reachable && !was_reachable {
            tracing::info!("registry database reachable again");
        }
        service.store.engine.set_reachable(is_reachable);
        service.freshness().set_reachable(is_reachable);
        if is_reachable && listener.is_none() {
            listener = subscribe(pool).await;
        }
        let was_listening = listener.is_some();
        // Timeout, notification and a lost connection all lead to the next read.
        let _any = tokio::time::timeout(POLL_INTERVAL, notified(&mut listener)).await;
        // A database that is restored under a running node closes its connections.
        was_disconnected |= was_listening && listener.is_none();
    }
}

async fn subscribe(pool: &PgPool) -> Option<PgListener> {
    let mut listener = PgListener::connect_with(pool).await.ok()?;
    listener.listen(CHANGES_CHANNEL).await.ok()?;
    Some(listener)
}

/// Waits for a notification. Removes the listener if its connection is lost.
async fn notified(listener: &mut Option<PgListener>) {
    let Some(connected) = listener else {
        return std::future::pending().await;
    };
    if !matches!(connected.try_recv().await, Ok(Some(_))) {
        *listener = None;
    }
}
