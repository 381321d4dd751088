//! Bytes in, values out: the Kafka protocol. No sockets, no tokio.

pub mod batch;
