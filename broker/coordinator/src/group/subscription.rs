//! The topics of a consumer's subscription, which protect offsets from deletion and expiry.

use avouch_protocol::coordinator_records::{ConsumerProtocolSubscription, CoordinatorRecord as _};

/// Returns the topics in a consumer's metadata, or `None` if the bytes are not a subscription.
pub(super) fn topics(metadata: &[u8]) -> Option<Vec<String>> {
    let (_, subscription) = ConsumerProtocolSubscription::from_stored(metadata).ok()?;
    Some(subscription.topics)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_of_valid_subscriptions_are_decoded() {
        let two = b"\0\x01\0\0\0\x02\0\x01a\0\x02bc\xff\xff\xff\xff";
        assert_eq!(topics(two), Some(vec!["a".to_owned(), "bc".to_owned()]));
        for nonsense in [
            &b""[..],
            b"\0\0\x7f\xff\xff\xff",
            b"\0\0\0\0\0\x01\0\x05ab",
            b"ma",
        ] {
            assert_eq!(topics(nonsense), None, "{nonsense:?}");
        }
    }
}
