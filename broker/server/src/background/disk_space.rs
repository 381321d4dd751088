//! How large the disk under a directory is.

use std::path::Path;

/// Bytes of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DiskSpace {
    /// All there are.
    pub(crate) total_bytes: i64,
    /// Those that we may still write.
    pub(crate) usable_bytes: i64,
}

/// The space of the file system that holds `dir`; `None` when the system does not tell.
pub(crate) async fn of(dir: &Path) -> Option<DiskSpace> {
    let dir = dir.to_owned();
    // A network file system may take its time.
    let told = tokio::task::spawn_blocking(move || rustix::fs::statvfs(&dir)).await;
    let stat = told.ok()?.ok()?;
    let bytes = |blocks: u64| i64::try_from(blocks.saturating_mul(stat.f_frsize)).ok();
    Some(DiskSpace {
        total_bytes: bytes(stat.f_blocks)?,
        usable_bytes: bytes(stat.f_bavail)?,
    })
}
