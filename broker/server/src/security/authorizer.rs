//! The authorizer: decides which principal may do which operation.

use avouch_net::Principal;
use avouch_protocol::api::{Operation, Resource};

/// Decides on operations.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Authorizer {
    /// Allows every operation, as a Kafka broker without an authorizer does.
    AllowAll,
}

impl Authorizer {
    /// Returns whether `principal` may do `operation` on resources of this type.
    pub(crate) fn allows(self, _principal: &Principal, _: Operation, _: Resource) -> bool {
        match self {
            Self::AllowAll => true,
        }
    }

    /// Returns the operations allowed on a resource of this type, one bit for each code, as
    /// responses contain them (KIP-430).
    pub(crate) fn allowed_operations(self, principal: &Principal, resource: Resource) -> i32 {
        let allowed = resource.operations().iter();
        allowed
            .filter(|operation| self.allows(principal, **operation, resource))
            .fold(0, |bits, operation| bits | 1 << *operation as u8)
    }

    /// Returns the reason for which access control lists cannot be read or changed, in Kafka's
    /// words.
    pub(crate) fn acl_error(self) -> &'static str {
        match self {
            Self::AllowAll => "No Authorizer is configured on the broker.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allowed_operations_are_kafkas_bits() {
        for (resource, bits) in [
            (Resource::Topic, 0b1101_1111_1000),
            (Resource::Group, 0b1101_0100_1000),
            (Resource::Cluster, 0b1_1111_1010_0000),
        ] {
            let allowed = Authorizer::AllowAll.allowed_operations(&Principal::ANONYMOUS, resource);
            assert_eq!(allowed, bits, "{resource:?}");
        }
    }
}
