//! Which connections are taken: a bound on all, and for addresses of other machines one on each
//! and on how fast it opens new ones. Those of addresses are unlimited unless set; what is not
//! limited is not counted.
//!
//! Invariant: memory is bounded by the connections that are open and by the addresses seen within
//! a second. Pure: the clock is an argument. Knows no sockets.

use std::collections::HashMap;
use std::net::IpAddr;

use thiserror::Error;

use crate::config::{Limits, UNLIMITED};

/// How long new connections are counted together, in ms.
const WINDOW_MS: u64 = 1_000;

/// Why a connection is closed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Refused {
    #[error("max.connections reached")]
    Full,
    #[error("max.connections.per.ip reached")]
    FullForAddress,
    #[error("max.connection.creation.rate exceeded")]
    Rate,
}

impl Refused {
    /// What metrics call the limit.
    pub(crate) fn limit(self) -> &'static str {
        match self {
            Self::Full => "connections",
            Self::FullForAddress => "address",
            Self::Rate => "rate",
        }
    }
}

/// The connections that are open, and the new ones of this second.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    open: usize,
    open_by_address: HashMap<IpAddr, usize>,
    window_start_ms: u64,
    new_by_address: HashMap<IpAddr, usize>,
}

impl Admission {
    /// Takes a connection from `address` in, to be given back by [`Admission::closed`].
    ///
    /// # Errors
    /// When it would exceed a limit; then there is nothing to give back.
    pub(crate) fn opened(
        &mut self,
        now_ms: u64,
        address: IpAddr,
        limits: &Limits,
    ) -> Result<(), Refused> {
        if self.open >= limits.connections_max {
            return Err(Refused::Full);
        }
        let counts = limits.connections_per_ip_max < UNLIMITED
            || limits.connections_per_ip_and_second_max < UNLIMITED;
        if counts && !is_local(address) {
            self.opened_elsewhere(now_ms, address, limits)?;
        }
        self.open += 1;
        Ok(())
    }

    /// A connection that was taken in has ended.
    pub(crate) fn closed(&mut self, address: IpAddr) {
        self.open = self.open.saturating_sub(1);
        if let Some(open) = self.open_by_address.get_mut(&address) {
            *open -= 1;
            if *open == 0 {
                self.open_by_address.remove(&address);
            }
        }
    }

    fn opened_elsewhere(
        &mut self,
        now_ms: u64,
        address: IpAddr,
        limits: &Limits,
    ) -> Result<(), Refused> {
        if now_ms.saturating_sub(self.window_start_ms) >= WINDOW_MS {
            self.window_start_ms = now_ms;
            self.new_by_address = HashMap::new();
        }
        let new = self.new_by_address.entry(address).or_default();
        if *new >= limits.connections_per_ip_and_second_max {
            return Err(Refused::Rate);
        }
        *new += 1;
        let open = self.open_by_address.get(&address).copied().unwrap_or(0);
        if open >= limits.connections_per_ip_max {
            return Err(Refused::FullForAddress);
        }
        self.open_by_address.insert(address, open + 1);
        Ok(())
    }
}

/// Whether the peer is on this machine: it could do worse than connect.
fn is_local(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
    const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn limits(all: usize, per_ip: usize, per_second: usize) -> Limits {
        Limits {
            connections_max: all,
            connections_per_ip_max: per_ip,
            connections_per_ip_and_second_max: per_second,
            ..Limits::default()
        }
    }

    #[test]
    fn all_connections_are_counted_and_given_back() {
        let (mut admission, limits) = (Admission::default(), limits(2, 9, 9));
        assert_eq!(admission.opened(0, LOCAL, &limits), Ok(()));
        assert_eq!(admission.opened(0, ELSEWHERE, &limits), Ok(()));
        assert_eq!(admission.opened(0, LOCAL, &limits), Err(Refused::Full));
        admission.closed(ELSEWHERE);
        assert_eq!(admission.opened(0, LOCAL, &limits), Ok(()));
    }

    // Conformance: broker/input-4
    #[test]
    fn an_address_has_no_bound_of_its_own_by_default() {
        let (mut admission, limits) = (Admission::default(), Limits::default());
        for _ in 0..limits.connections_max {
            assert_eq!(admission.opened(0, ELSEWHERE, &limits), Ok(()));
        }
        assert_eq!(admission.opened(0, ELSEWHERE, &limits), Err(Refused::Full));
    }

    // Conformance: broker/input-4
    #[test]
    fn an_address_elsewhere_has_its_own_bound_and_this_machine_has_none() {
        let (mut admission, limits) = (Admission::default(), limits(9, 1, 9));
        assert_eq!(admission.opened(0, ELSEWHERE, &limits), Ok(()));
        let refused = Err(Refused::FullForAddress);
        assert_eq!(admission.opened(0, ELSEWHERE, &limits), refused);
        assert_eq!(admission.opened(0, OTHER, &limits), Ok(()));
        for local in [
            LOCAL,
            LOCAL,
            IpAddr::V6(Ipv6Addr::LOCALHOST),
            IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped()),
        ] {
            assert_eq!(admission.opened(0, local, &limits), Ok(()), "{local}");
        }
        admission.closed(ELSEWHERE);
        assert_eq!(admission.opened(0, ELSEWHERE, &limits), Ok(()));
    }

    // Conformance: broker/input-4
    #[test]
    fn an_address_opens_so_many_a_second_and_then_again() {
        let (mut admission, limits) = (Admission::default(), limits(9, 9, 2));
        for (now_ms, taken) in [
            (0, Ok(())),
            (10, Ok(())),
            (999, Err(Refused::Rate)),
            (1_000, Ok(())),
            (1_001, Ok(())),
            (1_002, Err(Refused::Rate)),
        ] {
            let opened = admission.opened(now_ms, ELSEWHERE, &limits);
            assert_eq!(opened, taken, "at {now_ms}");
            if opened.is_ok() {
                admission.closed(ELSEWHERE);
            }
        }
    }

    #[test]
    fn nothing_is_remembered_of_addresses_that_are_gone() {
        let (mut admission, limits) = (Admission::default(), limits(1_000, 9, 9));
        for last in 1..=200 {
            let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, last));
            assert_eq!(admission.opened(0, address, &limits), Ok(()));
            admission.closed(address);
        }
        assert_eq!(admission.opened(1_000, ELSEWHERE, &limits), Ok(()));
        assert_eq!(admission.open_by_address.len(), 1);
        assert_eq!(admission.new_by_address.len(), 1);
    }
}
