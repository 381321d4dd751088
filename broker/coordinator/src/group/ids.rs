//! Names and numbers of the group protocol as types, so that they cannot be confused.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

macro_rules! text {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Returns the name as a string.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Returns true if the name is empty, which usually means "none" on the wire.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

text! {
    /// The id of a group.
    GroupId;
    /// The id of a member, assigned by the coordinator; empty in the first request of a member.
    MemberId;
    /// The `group.instance.id` of a static member (KIP-345), set by its operator.
    InstanceId;
    /// The protocol type of a group: `consumer`, `connect` or a name that the client defines.
    ProtocolType;
    /// An assignment protocol; for consumers the name of an assignor.
    ProtocolName;
    /// A topic name. Committed offsets are stored by name, as in Kafka.
    TopicName;
}

/// The number of completed rebalances of a group, from 1; -1 for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub i32);

impl Generation {
    /// The generation of a client without a group.
    pub const NONE: Self = Self(-1);

    /// Returns the next generation. 1 follows 2^31-1.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.checked_add(1).unwrap_or(1))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
