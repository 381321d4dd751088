//! A name for each HTTP request: the caller's own if it brings a usable one, a new one otherwise.
//! It stands in every log line of the request and in its answer, so that the two can be joined.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use tracing::{Instrument as _, debug, error_span, info};
use uuid::Uuid;

/// The header that carries the name both ways.
static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Bytes a caller's own name may have.
const BYTES_MAX: usize = 128;

/// Middleware: names the request, answers with the name.
///
/// # Errors
/// Those of the service behind it.
pub(crate) async fn name(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let given = request.headers().get(&X_REQUEST_ID).and_then(usable);
    let id = match given {
        Some(id) => id.to_owned(),
        None => Uuid::new_v4().to_string(),
    };
    // Of the highest level, so that it is there whenever a line is.
    let span =
        error_span!("http", request_id = id, method = %request.method(), path = request.path());
    // Whoever answers echoes this one, and need not make another.
    let name = HeaderValue::try_from(id);
    if let Ok(name) = &name {
        let headers = request.headers_mut();
        headers.insert(X_REQUEST_ID.clone(), name.clone());
    }
    let answering = async {
        let is_read = request.method().is_safe();
        let answer = next.call(request).await?;
        let status = answer.status();
        // Serializers and probes read all day; who changed something and who was refused is what
        // is asked for later.
        if is_read && status.is_success() {
            debug!(status = status.as_u16(), "answered");
        } else {
            info!(status = status.as_u16(), "answered");
        }
        Ok::<_, actix_web::Error>(answer)
    };
    let mut answer = answering.instrument(span).await?;
    if let Ok(name) = name {
        answer.headers_mut().insert(X_REQUEST_ID.clone(), name);
    }
    Ok(answer)
}

/// The caller's name for its request, if it can stand in a log line.
fn usable(given: &HeaderValue) -> Option<&str> {
    let id = given.to_str().ok()?;
    let is_usable = (1..=BYTES_MAX).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
    is_usable.then_some(id)
}

#[cfg(test)]
mod tests {
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, call_service, init_service};
    use actix_web::{App, HttpResponse, web};

    use super::*;

    #[actix_web::test]
    async fn a_usable_name_comes_back_and_any_other_is_replaced() {
        let app = App::new()
            .wrap(from_fn(name))
            .default_service(web::to(HttpResponse::NoContent));
        let app = init_service(app).await;
        let long = "x".repeat(BYTES_MAX);
        let longer = "x".repeat(BYTES_MAX + 1);
        for (given, comes_back) in [
            ("deploy-42", true),
            (long.as_str(), true),
            (longer.as_str(), false),
            ("two words", false),
            ("", false),
        ] {
            let request = TestRequest::get().insert_header((X_REQUEST_ID.clone(), given));
            let answer = call_service(&app, request.to_request()).await;
            let named = answer
                .headers()
                .get(&X_REQUEST_ID)
                .unwrap()
                .to_str()
                .unwrap();
            assert_eq!(named == given, comes_back, "{given:?}: {named:?}");
            assert!(comes_back || Uuid::parse_str(named).is_ok(), "{named:?}");
        }
        let unnamed = call_service(&app, TestRequest::get().to_request()).await;
        assert!(unnamed.headers().contains_key(&X_REQUEST_ID));
    }
}
