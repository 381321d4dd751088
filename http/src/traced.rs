//! Middleware around every route: request ID, log span, one log line a request, JSON errors.

use actix_web::Error;
use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use tracing::{Instrument as _, Level, debug, error_span, info};

use crate::error::with_json_error;
use crate::request_id::{X_REQUEST_ID, request_id};

/// Marks the response to a request that changed nothing although its method permits it. It is
/// logged like a read. A handler inserts it into the extensions of the response.
#[derive(Clone, Copy, Debug)]
pub struct Unchanged;

/// Returns true if successful reads are logged, which they are at level DEBUG.
#[must_use]
pub fn logs_reads() -> bool {
    tracing::enabled!(Level::DEBUG)
}

/// Assigns the request its ID, opens a span with it, logs the response, and gives an error response
/// a JSON body if it has none. A middleware for [`actix_web::middleware::from_fn`].
///
/// # Errors
/// Those of the wrapped service.
pub async fn traced<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let id = request_id(request.headers());
    // The highest level, so that the span exists whenever any line is logged inside it.
    let span = error_span!(
        "http",
        request_id = id.to_str().unwrap_or_default(),
        method = %request.method(),
        path = request.path()
    );
    // Inner services that need the ID read it here and do not generate another one.
    request
        .headers_mut()
        .insert(X_REQUEST_ID.clone(), id.clone());
    let is_read = request.method().is_safe();
    let respond = async {
        let response = next.call(request).await?;
        let status = response.status();
        let is_unchanged = response.response().extensions().contains::<Unchanged>();
        // Serializers and probes read constantly; an operator searches for changes and errors.
        if (is_read || is_unchanged) && status.is_success() {
            debug!(status = status.as_u16(), "request completed");
        } else {
            info!(status = status.as_u16(), "request completed");
        }
        Ok::<_, Error>(response)
    };
    let mut response = with_json_error(respond.instrument(span).await?);
    response.headers_mut().insert(X_REQUEST_ID.clone(), id);
    Ok(response)
}
