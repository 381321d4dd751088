//! Harness of the end-to-end tests: an `avouch` process and third-party clients. It uses no
//! internals of Avouch, only interfaces that users have: command line, files, sockets.

pub mod deadline;
pub mod family;
pub mod kafka_tools;
pub mod krafka_client;
pub mod matrix;
pub mod node;
pub mod payload;
pub mod peer;
pub mod program;
pub mod protocol;
pub mod registry;
pub mod rust_client;

use std::path::PathBuf;

/// Returns the root folder of the checkout.
pub fn checkout() -> PathBuf {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    tests.parent().map_or(tests.clone(), PathBuf::from)
}
