//! Names each HTTP request in its log lines and its answer.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use avouch_registry::X_REQUEST_ID;
use tracing::{Instrument as _, Level, debug, error_span, info};

/// Whether a line is wanted of each request that only reads.
pub(crate) fn tells_reads() -> bool {
    tracing::enabled!(Level::DEBUG)
}

/// Middleware: names the request, answers with the name.
///
/// # Errors
/// Those of the service behind it.
pub(crate) async fn name(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let name = avouch_registry::request_id(request.headers());
    let id = name.to_str().unwrap_or_default();
    // Of the highest level, so that it is there whenever a line is.
    let span =
        error_span!("http", request_id = id, method = %request.method(), path = request.path());
    // Whoever answers echoes this one, and need not make another.
    let headers = request.headers_mut();
    headers.insert(X_REQUEST_ID.clone(), name.clone());
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
    answer.headers_mut().insert(X_REQUEST_ID.clone(), name);
    Ok(answer)
}
