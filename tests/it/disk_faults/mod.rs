//! Faults of the disk below a running node: power cuts at random points, and operations that fail.
//! What the node acknowledged must survive. `AVOUCH_DISK_FAULTS` sets the number of rounds, and
//! `AVOUCH_SEED` the first seed; a failure prints its seed.

mod corruption;
mod failures;
pub(super) mod ledger;
mod power_cuts;

use std::env;
use std::io::{ErrorKind, Write as _, stderr};

use anyhow::{Context as _, Result};
use avouch_faults::FaultFs;

/// Returns the seeds of a run: `rounds` of them unless the environment has another number.
fn seeds(rounds: u64) -> Result<std::ops::Range<u64>> {
    let first = number("AVOUCH_SEED", 1)?;
    Ok(first..first + number("AVOUCH_DISK_FAULTS", rounds)?)
}

/// Returns the number in an environment variable, or `default` if it is not set.
pub(super) fn number(name: &str, default: u64) -> Result<u64> {
    match env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name}={text}")),
        Err(_) => Ok(default),
    }
}

/// Mounts a file system; `None` if this process may not mount, as in an unprivileged container.
fn mount() -> Result<Option<FaultFs>> {
    match FaultFs::mount() {
        Ok(mounted) => Ok(Some(mounted)),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::PermissionDenied
            ) =>
        {
            writeln!(
                stderr(),
                "skipped: cannot mount a FUSE file system: {error}"
            )?;
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}
