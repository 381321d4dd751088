//! The harness of the whole-system tests: an `avouch` process, and clients that others wrote. It
//! knows nothing of Avouch's insides; what it sees is what a user's machine sees.

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

/// The root of the checkout.
pub fn checkout() -> PathBuf {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    tests.parent().map_or(tests.clone(), PathBuf::from)
}
