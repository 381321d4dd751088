//! The HTTP layer that the registry, the broker and the node share: JSON error bodies, request IDs,
//! request logging, and routes that carry their OpenAPI documentation.
//!
//! A handler is annotated with [`utoipa::path`], which states its method, path, parameters, bodies
//! and responses. [`endpoints!`] lists annotated handlers as [`Endpoint`]s. [`mount`] routes such a
//! list and [`document`] describes it, so a route that is served is documented and the reverse.
//!
//! ```
//! use actix_web::HttpResponse;
//! use avouch_http::{Endpoint, endpoints};
//!
//! /// Report that the process is running
//! #[utoipa::path(get, path = "/livez", responses((status = 200)))]
//! async fn livez() -> HttpResponse {
//!     HttpResponse::Ok().finish()
//! }
//!
//! fn routes() -> Vec<Endpoint> {
//!     endpoints![livez]
//! }
//! ```
//!
//! Invariant: this crate defines no route and depends on no other crate of Avouch.

mod endpoint;
mod error;
mod request_id;
mod traced;

pub use crate::endpoint::{Endpoint, document, mount, resources};
pub use crate::error::{ErrorBody, error_response, not_found, status_response, with_json_error};
pub use crate::request_id::{X_REQUEST_ID, request_id};
pub use crate::traced::{Unchanged, logs_reads, traced};

#[doc(hidden)]
pub mod __private {
    pub use actix_web::web;
    pub use pastey::paste;
}
