//! What the tests have shown of each client, for the page docs/compatibility.md.
//!
//! A test that has compared its last value says so here. Nothing is written unless the variable
//! `AVOUCH_SHOWN` names a file, which `just compatibility` does.

use std::fs::OpenOptions;
use std::io::Write as _;

use anyhow::Result;

use crate::family::Family;

/// Notes that `feature` has just been shown of a family's client.
///
/// # Errors
/// When the file cannot be written.
pub fn shown(family: Family, feature: &str) -> Result<()> {
    shown_of(family.client(), feature)
}

/// The same of a client that is no family.
///
/// # Errors
/// As [`shown`].
pub fn shown_of(client: &str, feature: &str) -> Result<()> {
    let Some(path) = std::env::var_os("AVOUCH_SHOWN") else {
        return Ok(());
    };
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    // One write, so that tests side by side do not mix their lines.
    file.write_all(format!("{client}\t{feature}\n").as_bytes())?;
    Ok(())
}
