//! Work that no client requests: retention, compaction, expiry and syncs, and the free space of the
//! disk.

pub(crate) mod disk_space;
pub(crate) mod maintenance;
