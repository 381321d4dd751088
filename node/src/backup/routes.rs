//! `/v1/backups`: starts a backup and reports its progress.
//!
//! A backup writes a directory that the client names, so only a client on the node's machine may
//! start one. The content type keeps web pages from doing so: a browser sends JSON to another
//! origin only if that permits it.

use std::net::IpAddr;
use std::path::Path as FilePath;

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use avouch_http::{Endpoint, ErrorBody, endpoints, error_response};
use avouch_registry_api::rest::{BackupBody, BackupRequest};

use super::{Backups, NotStarted};

/// Lists the endpoints.
pub(crate) fn backup_endpoints() -> Vec<Endpoint> {
    endpoints![start_backup, backup]
}

/// Start a backup of the node
///
/// The node copies its log, metadata and registry into a directory on its machine, as of one point
/// in time, while it serves clients. Only clients on the machine of the node may start a backup.
#[utoipa::path(
    post,
    path = "/v1/backups",
    tag = "server",
    request_body = BackupRequest,
    responses(
        (status = 202, description = "The backup is running", body = BackupBody),
        (status = 400, description = "The directory cannot be used", body = ErrorBody),
        (status = 403, description = "The client is on another machine", body = ErrorBody),
        (status = 409, description = "Another backup is running", body = ErrorBody),
        (status = 415, description = "The request is not JSON", body = ErrorBody),
        (status = 503, description = "The node stops", body = ErrorBody),
    )
)]
async fn start_backup(request: HttpRequest, body: Bytes, backups: Data<Backups>) -> HttpResponse {
    let peer = request.peer_addr().map(|peer| peer.ip().to_canonical());
    if !peer.is_some_and(|peer: IpAddr| peer.is_loopback()) {
        let message = "backups are started on the machine of the node, at a loopback address";
        return error_response(StatusCode::FORBIDDEN, message.to_owned());
    }
    let content_type = request.headers().get(CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    // Any JSON type, such as the registry's `application/vnd.schemaregistry.v1+json`.
    let media_type = content_type.and_then(|value| value.split(';').next());
    let is_json = |value: &str| value.starts_with("application/") && value.ends_with("json");
    if !media_type.map(str::trim).is_some_and(is_json) {
        let message = "unsupported content type; expected application/json";
        return error_response(StatusCode::UNSUPPORTED_MEDIA_TYPE, message.to_owned());
    }
    let wanted: BackupRequest = match serde_json::from_slice(&body) {
        Ok(wanted) => wanted,
        Err(error) => return error_response(StatusCode::BAD_REQUEST, error.to_string()),
    };
    match backups.start(FilePath::new(&wanted.to)) {
        Ok(job) => HttpResponse::Accepted().json(job.body()),
        Err(error) => {
            let status = match error {
                NotStarted::Busy { .. } => StatusCode::CONFLICT,
                NotStarted::Stopped => StatusCode::SERVICE_UNAVAILABLE,
                NotStarted::Nothing(_) | NotStarted::Target(_) => StatusCode::BAD_REQUEST,
            };
            error_response(status, error.to_string())
        }
    }
}

/// Get the state of a backup
#[utoipa::path(
    get,
    path = "/v1/backups/{id}",
    tag = "server",
    params(("id" = u64, Path, description = "The number of the backup")),
    responses(
        (status = 200, description = "The state of the backup", body = BackupBody),
        (status = 404, description = "No such backup since the node started", body = ErrorBody),
    )
)]
async fn backup(id: Path<u64>, backups: Data<Backups>) -> HttpResponse {
    match backups.find(*id) {
        Some(job) => HttpResponse::Ok().json(job.body()),
        None => error_response(StatusCode::NOT_FOUND, format!("no backup {id}")),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use actix_web::App;
    use actix_web::test::{TestRequest, call_service, init_service};
    use avouch_http::mount;

    use super::*;
    use crate::backup::BackupSources;

    // Conformance: operation/backup-6
    #[tokio::test]
    async fn only_local_json_requests_start_backups() {
        let root = tempfile::tempdir().unwrap();
        let backups = Backups::new(BackupSources {
            data_dir: root.path().to_owned(),
            broker: None,
            registry: None,
            omitted: None,
        });
        let app = App::new()
            .app_data(Data::new(backups))
            .configure(|application| mount(&backup_endpoints(), application));
        let app = init_service(app).await;
        const JSON: &str = "application/json; charset=utf-8";
        const CONFLUENT: &str = "application/vnd.schemaregistry.v1+json";
        let cases = [
            ("10.1.2.3:4", JSON, 403),
            ("[2001:db8::1]:4", JSON, 403),
            ("127.0.0.1:4", "text/plain", 415),
            ("127.0.0.1:4", "", 415),
            // There is nothing to back up.
            ("127.0.0.1:4", JSON, 400),
            ("[::1]:4", CONFLUENT, 400),
            ("[::ffff:127.0.0.1]:4", JSON, 400),
        ];
        for (peer, content_type, expected) in cases {
            let request = TestRequest::post()
                .uri("/v1/backups")
                .peer_addr(peer.parse::<SocketAddr>().unwrap())
                .insert_header((CONTENT_TYPE, content_type))
                .set_payload(r#"{"to":"/backup"}"#);
            let response = call_service(&app, request.to_request()).await;
            assert_eq!(
                response.status().as_u16(),
                expected,
                "{peer} {content_type}"
            );
        }
    }
}
