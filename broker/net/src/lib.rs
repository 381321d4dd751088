//! The network side of a Kafka server: listener, connections, request frames, ordered responses and
//! their memory.
//!
//! A server implements [`Service`] and passes it to [`listen`]. The crate parses the length of a
//! frame and nothing else of a request.

mod clock;
mod connection;
mod connection_limits;
mod frame_reader;
mod listener;
mod memory_pool;
mod metrics;
mod request_memory;
mod response_writer;
mod service;
mod session;
mod transport;
mod warning_limit;

pub use clock::Clock;
pub use connection_limits::ConnectionLimits;
pub use listener::{ListenerContext, listen};
pub use memory_pool::{MemoryPermit, MemoryPool};
pub use metrics::ConnectionMetrics;
pub use request_memory::{RequestMemory, RequestPermit};
pub use response_writer::FileAccess;
pub use service::{PendingResponse, RejectedRequest, Service};
pub use session::{Authentication, Principal, Session};
pub use warning_limit::WarningLimit;
