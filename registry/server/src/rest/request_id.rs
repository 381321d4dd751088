//! A name for each HTTP request: the caller's own if it brings a usable one, a new one otherwise.
//! It stands in every log line of the request and in its answer, so that the two can be joined.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

/// The header that carries the name both ways.
pub static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Bytes a caller's own name may have.
const BYTES_MAX: usize = 128;

/// The name of the request with these headers; without a usable one, a new name each time.
#[must_use]
pub fn request_id(headers: &HeaderMap) -> HeaderValue {
    let given = headers.get(&X_REQUEST_ID).filter(|given| is_usable(given));
    given.cloned().unwrap_or_else(|| {
        let name = Uuid::new_v4().to_string();
        HeaderValue::try_from(name).expect("a UUID is visible ASCII")
    })
}

/// Whether a name can stand in a log line.
fn is_usable(given: &HeaderValue) -> bool {
    let name = given.as_bytes();
    (1..=BYTES_MAX).contains(&name.len()) && name.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: operation/5
    #[test]
    fn a_usable_name_stays_and_any_other_is_replaced() {
        let long = "x".repeat(BYTES_MAX);
        let longer = "x".repeat(BYTES_MAX + 1);
        for (given, stays) in [
            ("deploy-42", true),
            (long.as_str(), true),
            (longer.as_str(), false),
            ("two words", false),
            ("", false),
        ] {
            let given = HeaderValue::from_str(given).unwrap();
            let headers = HeaderMap::from_iter([(X_REQUEST_ID.clone(), given.clone())]);
            let name = request_id(&headers);
            assert_eq!(name == given, stays, "{given:?}: {name:?}");
            assert!(
                stays || Uuid::parse_str(name.to_str().unwrap()).is_ok(),
                "{name:?}"
            );
        }
        let unnamed = HeaderMap::new();
        assert_ne!(request_id(&unnamed), request_id(&unnamed));
    }
}
