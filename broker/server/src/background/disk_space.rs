//! Size and free space of the data directory's file system.

use std::path::Path;

/// Sizes of a file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DiskSpace {
    pub(crate) total_bytes: i64,
    /// Free bytes that an unprivileged process may use.
    pub(crate) usable_bytes: i64,
}

/// Returns the space of the file system that contains `dir`; `None` if the system reports an error.
pub(crate) async fn of(dir: &Path) -> Option<DiskSpace> {
    let dir = dir.to_owned();
    // On a network file system this can block for seconds.
    let stat = tokio::task::spawn_blocking(move || rustix::fs::statvfs(&dir)).await;
    let stat = stat.ok()?.ok()?;
    let bytes = |blocks: u64| i64::try_from(blocks.saturating_mul(stat.f_frsize)).ok();
    Some(DiskSpace {
        total_bytes: bytes(stat.f_blocks)?,
        usable_bytes: bytes(stat.f_bavail)?,
    })
}
