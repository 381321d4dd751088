//! Request IDs: the client's own if it sends a usable one, a new one otherwise. The ID is in every
//! log line of the request and in its response, so that the two can be joined.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

/// The header that carries the ID in both directions.
pub static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Maximum length of an ID that a client sends, in bytes.
const BYTES_MAX: usize = 128;

/// Returns the ID of the request with these headers; a new one for each call if they have no usable
/// one.
#[must_use]
pub fn request_id(headers: &HeaderMap) -> HeaderValue {
    let sent = headers.get(&X_REQUEST_ID).filter(|sent| is_usable(sent));
    sent.cloned().unwrap_or_else(|| {
        let id = Uuid::new_v4().to_string();
        HeaderValue::try_from(id).expect("a UUID is visible ASCII")
    })
}

/// Returns true if the ID can be written to a log line as it is.
fn is_usable(sent: &HeaderValue) -> bool {
    let id = sent.as_bytes();
    // Spaces, control characters and other encodings could forge fields of a log line.
    (1..=BYTES_MAX).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: operation/5
    #[test]
    fn unusable_request_id_is_replaced() {
        let longest = "x".repeat(BYTES_MAX);
        let too_long = "x".repeat(BYTES_MAX + 1);
        for (sent, is_kept) in [
            ("deploy-42", true),
            (longest.as_str(), true),
            (too_long.as_str(), false),
            ("two words", false),
            ("", false),
        ] {
            let sent = HeaderValue::from_str(sent).unwrap();
            let headers = HeaderMap::from_iter([(X_REQUEST_ID.clone(), sent.clone())]);
            let id = request_id(&headers);
            assert_eq!(id == sent, is_kept, "{sent:?}: {id:?}");
            assert!(
                is_kept || Uuid::parse_str(id.to_str().unwrap()).is_ok(),
                "{id:?}"
            );
        }
        let none = HeaderMap::new();
        assert_ne!(request_id(&none), request_id(&none));
    }
}
