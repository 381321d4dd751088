//! Limits of connections: their number, and for other machines the number and rate per address.
//!
//! Invariant: memory is bounded by the open connections and by the addresses seen within one
//! second. Pure: the time is an argument.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use thiserror::Error;

/// Kafka's value of a number without a limit.
const UNLIMITED: usize = 0x7fff_ffff;

/// Length of the window in which new connections are counted, in ms.
const WINDOW_MS: u64 = 1_000;

/// Limits of the connections of a listener.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// `max.connections`: the maximum number of open connections; further ones are closed on
    /// accept. Default 10,000.
    pub connections_max: usize,
    /// The number of open connections for which the process has file handles; further ones are
    /// closed on accept. Default unlimited.
    pub connection_handles_max: usize,
    /// `max.connections.per.ip`: the maximum number of open connections from one address of another
    /// machine. Default unlimited, as Kafka's: many clients can share one address.
    pub connections_per_ip_max: usize,
    /// `max.connection.creation.rate`: the maximum number of new connections from one such address
    /// in a second. Default unlimited, as Kafka's, for the same reason.
    pub connections_per_ip_and_second_max: usize,
    /// `socket.request.max.bytes`: the maximum size of a request. Default 100 MiB, as Kafka's.
    pub request_bytes_max: usize,
    /// `connections.max.idle.ms`: the maximum time between two requests. Default 10 minutes, as
    /// Kafka's.
    pub idle_timeout: Duration,
    /// The time to receive a complete request after its first byte, in addition to the time that
    /// `request_bytes_per_second_min` grants for received bytes. Default 30 s.
    pub request_read_timeout: Duration,
    /// The minimum rate of a large request. Default 1 MiB per second, so that a request of 100 MiB
    /// can take 130 s and one without progress 30 s.
    pub request_bytes_per_second_min: usize,
    /// The maximum time without progress while a response is sent. Default 60 s.
    pub response_write_timeout: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            connections_max: 10_000,
            connection_handles_max: UNLIMITED,
            connections_per_ip_max: UNLIMITED,
            connections_per_ip_and_second_max: UNLIMITED,
            request_bytes_max: 100 * MIB,
            idle_timeout: Duration::from_secs(600),
            request_read_timeout: Duration::from_secs(30),
            request_bytes_per_second_min: MIB,
            response_write_timeout: Duration::from_secs(60),
        }
    }
}

/// The limit that a new connection exceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum LimitExceeded {
    #[error("max.connections reached")]
    Connections,
    #[error("no file handle is free for it; raise the limit of open files (ulimit -n)")]
    FileHandles,
    #[error("max.connections.per.ip reached")]
    PerAddress,
    #[error("max.connection.creation.rate exceeded")]
    Rate,
}

impl LimitExceeded {
    /// Returns the label of the limit in metrics.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::FileHandles => "file_handles",
            Self::PerAddress => "address",
            Self::Rate => "rate",
        }
    }
}

/// Counts of the open connections and of the new ones of the current second.
#[derive(Debug, Default)]
pub(crate) struct ConnectionCounts {
    open: usize,
    open_by_address: HashMap<IpAddr, usize>,
    window_start_ms: u64,
    new_by_address: HashMap<IpAddr, usize>,
}

impl ConnectionCounts {
    /// Counts a connection from `address` until [`ConnectionCounts::remove`].
    ///
    /// # Errors
    /// When the connection would exceed a limit; then it is not counted as open.
    pub(crate) fn add(
        &mut self,
        now_ms: u64,
        address: IpAddr,
        limits: &ConnectionLimits,
    ) -> Result<(), LimitExceeded> {
        if self.open >= limits.connections_max {
            return Err(LimitExceeded::Connections);
        }
        if self.open >= limits.connection_handles_max {
            return Err(LimitExceeded::FileHandles);
        }
        // Without limits per address the maps stay empty.
        let counts = limits.connections_per_ip_max < UNLIMITED
            || limits.connections_per_ip_and_second_max < UNLIMITED;
        if counts && !is_local(address) {
            self.add_remote(now_ms, address, limits)?;
        }
        self.open += 1;
        Ok(())
    }

    /// Removes a connection that was counted and has ended.
    pub(crate) fn remove(&mut self, address: IpAddr) {
        self.open = self.open.saturating_sub(1);
        if let Some(open) = self.open_by_address.get_mut(&address) {
            *open -= 1;
            if *open == 0 {
                self.open_by_address.remove(&address);
            }
        }
    }

    fn add_remote(
        &mut self,
        now_ms: u64,
        address: IpAddr,
        limits: &ConnectionLimits,
    ) -> Result<(), LimitExceeded> {
        if now_ms.saturating_sub(self.window_start_ms) >= WINDOW_MS {
            self.window_start_ms = now_ms;
            // A new map, because a cleared one keeps the memory of its largest window.
            self.new_by_address = HashMap::new();
        }
        let new = self.new_by_address.entry(address).or_default();
        if *new >= limits.connections_per_ip_and_second_max {
            return Err(LimitExceeded::Rate);
        }
        *new += 1;
        let open = self.open_by_address.get(&address).copied().unwrap_or(0);
        if open >= limits.connections_per_ip_max {
            return Err(LimitExceeded::PerAddress);
        }
        self.open_by_address.insert(address, open + 1);
        Ok(())
    }
}

/// Returns whether the address is of this machine.
fn is_local(address: IpAddr) -> bool {
    // A process of this machine can exhaust it in other ways, so limits would not protect it.
    address.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    const REMOTE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const REMOTE_2: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
    const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn limits(all: usize, per_ip: usize, per_second: usize) -> ConnectionLimits {
        ConnectionLimits {
            connections_max: all,
            connections_per_ip_max: per_ip,
            connections_per_ip_and_second_max: per_second,
            ..ConnectionLimits::default()
        }
    }

    #[test]
    fn closed_connections_leave_room() {
        let (mut counts, limits) = (ConnectionCounts::default(), limits(2, 9, 9));
        assert_eq!(counts.add(0, LOCAL, &limits), Ok(()));
        assert_eq!(counts.add(0, REMOTE, &limits), Ok(()));
        assert_eq!(
            counts.add(0, LOCAL, &limits),
            Err(LimitExceeded::Connections)
        );
        counts.remove(REMOTE);
        assert_eq!(counts.add(0, LOCAL, &limits), Ok(()));
    }

    // Conformance: operation/11
    #[test]
    fn file_handles_limit_connections() {
        let mut limits = limits(9, 9, 9);
        limits.connection_handles_max = 1;
        let mut counts = ConnectionCounts::default();
        assert_eq!(counts.add(0, LOCAL, &limits), Ok(()));
        let rejected = Err(LimitExceeded::FileHandles);
        assert_eq!(counts.add(0, LOCAL, &limits), rejected);
        counts.remove(LOCAL);
        assert_eq!(counts.add(0, LOCAL, &limits), Ok(()));
    }

    // Conformance: broker/input-4
    #[test]
    fn addresses_are_unlimited_by_default() {
        let (mut counts, limits) = (ConnectionCounts::default(), ConnectionLimits::default());
        for _ in 0..limits.connections_max {
            assert_eq!(counts.add(0, REMOTE, &limits), Ok(()));
        }
        assert_eq!(
            counts.add(0, REMOTE, &limits),
            Err(LimitExceeded::Connections)
        );
    }

    // Conformance: broker/input-4
    #[test]
    fn only_remote_addresses_are_limited() {
        let (mut counts, limits) = (ConnectionCounts::default(), limits(9, 1, 9));
        assert_eq!(counts.add(0, REMOTE, &limits), Ok(()));
        let rejected = Err(LimitExceeded::PerAddress);
        assert_eq!(counts.add(0, REMOTE, &limits), rejected);
        assert_eq!(counts.add(0, REMOTE_2, &limits), Ok(()));
        for local in [
            LOCAL,
            LOCAL,
            IpAddr::V6(Ipv6Addr::LOCALHOST),
            IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped()),
        ] {
            assert_eq!(counts.add(0, local, &limits), Ok(()), "{local}");
        }
        counts.remove(REMOTE);
        assert_eq!(counts.add(0, REMOTE, &limits), Ok(()));
    }

    // Conformance: broker/input-4
    #[test]
    fn connection_rate_is_limited_per_second() {
        let (mut counts, limits) = (ConnectionCounts::default(), limits(9, 9, 2));
        for (now_ms, expected) in [
            (0, Ok(())),
            (10, Ok(())),
            (999, Err(LimitExceeded::Rate)),
            (1_000, Ok(())),
            (1_001, Ok(())),
            (1_002, Err(LimitExceeded::Rate)),
        ] {
            let added = counts.add(now_ms, REMOTE, &limits);
            assert_eq!(added, expected, "at {now_ms}");
            if added.is_ok() {
                counts.remove(REMOTE);
            }
        }
    }

    #[test]
    fn addresses_without_connections_are_forgotten() {
        let (mut counts, limits) = (ConnectionCounts::default(), limits(1_000, 9, 9));
        for last in 1..=200 {
            let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, last));
            assert_eq!(counts.add(0, address, &limits), Ok(()));
            counts.remove(address);
        }
        assert_eq!(counts.add(1_000, REMOTE, &limits), Ok(()));
        assert_eq!(counts.open_by_address.len(), 1);
        assert_eq!(counts.new_by_address.len(), 1);
    }
}
