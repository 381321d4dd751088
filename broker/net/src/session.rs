//! The session of a connection: its addresses and its principal.

use std::fmt;
use std::net::SocketAddr;

/// The identity of a client, in Kafka's form `Type:name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal(&'static str);

impl Principal {
    /// The principal of a client that did not authenticate.
    pub const ANONYMOUS: Self = Self("User:ANONYMOUS");

    /// Returns the principal as `Type:name`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// The authentication state of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Authentication {
    /// The listener requires no authentication.
    NotRequired,
}

/// One connection of a client, created when it is accepted.
#[derive(Clone, Debug)]
pub struct Session {
    /// The address of the client.
    pub peer: SocketAddr,
    /// The address to which the client connected.
    pub local: SocketAddr,
    authentication: Authentication,
}

impl Session {
    /// Creates the session of a client that connected from `peer` to `local`, a listener without
    /// authentication.
    #[must_use]
    pub fn new(peer: SocketAddr, local: SocketAddr) -> Self {
        Self {
            peer,
            local,
            authentication: Authentication::NotRequired,
        }
    }

    /// Returns the principal of the client.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        match self.authentication {
            Authentication::NotRequired => &Principal::ANONYMOUS,
        }
    }
}
