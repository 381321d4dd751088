//! The topics of a consumer's subscription: the head of Kafka's `ConsumerProtocolSubscription`,
//! `version i16 | count i32 | count x (length i16, name)`, the same in every version. What follows
//! the topics is the clients' own business.

use super::field::Reader;

/// The topics that a consumer's metadata names, `None` if the bytes are not a subscription.
pub(super) fn topics(metadata: &[u8]) -> Option<Vec<&str>> {
    let mut reader = Reader::new(metadata);
    reader.i16().ok()?;
    let count = reader.count(2).ok()?;
    (0..count).map(|_| reader.text().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_read_and_nonsense_is_not() {
        let two = b"\0\x01\0\0\0\x02\0\x01a\0\x02bc\xff\xff\xff\xff";
        assert_eq!(topics(two), Some(vec!["a", "bc"]));
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
