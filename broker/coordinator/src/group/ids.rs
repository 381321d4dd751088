//! The names and numbers of the group protocol as types, so that no two bare strings stand side by
//! side. Knows no rule about them.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

macro_rules! text {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Whether the name is empty, which on the wire mostly means "none given".
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
    /// A group's name.
    GroupId;
    /// A member's name, given by the coordinator; empty in a request of a member that has none yet.
    MemberId;
    /// A static member's name (`group.instance.id`, KIP-345), given by its operator.
    InstanceId;
    /// What kind of group it is: `consumer`, `connect`, or a client's own word.
    ProtocolType;
    /// A way of assigning work that a member supports, for consumers an assignor's name.
    ProtocolName;
    /// A topic's name: committed offsets are kept by name, as Kafka's log format has it.
    TopicName;
}

/// How often a group has completed a rebalance, 1 and up; -1 for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub i32);

impl Generation {
    /// What a client that is in no generation sends.
    pub const NONE: Self = Self(-1);

    /// The generation after this one; starts again at 1 after 2^31-1.
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
