//! Records verified features of each client for the page docs/compatibility.md.
//!
//! A test calls this after its last assertion. Nothing is written unless the environment variable
//! `AVOUCH_SHOWN` names a file, as in `just compatibility`.

use std::fs::OpenOptions;
use std::io::Write as _;

use anyhow::Result;

use crate::family::Family;

/// Records that a test has verified `feature` with the client of a family.
///
/// # Errors
/// Fails if the file cannot be written.
pub fn record_feature(family: Family, feature: &str) -> Result<()> {
    record_client_feature(family.client(), feature)
}

/// Records that a test has verified `feature` with a client outside the families.
///
/// # Errors
/// Like [`record_feature`].
pub fn record_client_feature(client: &str, feature: &str) -> Result<()> {
    record_client_result(client, feature, "yes")
}

/// Records the result of a test that verifies how a client behaves, such as `no`.
///
/// # Errors
/// Like [`record_feature`].
pub fn record_client_result(client: &str, feature: &str, result: &str) -> Result<()> {
    let Some(path) = std::env::var_os("AVOUCH_SHOWN") else {
        return Ok(());
    };
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    // A single write in append mode, so that lines of concurrent tests do not interleave.
    file.write_all(format!("{client}\t{feature}\t{result}\n").as_bytes())?;
    Ok(())
}
