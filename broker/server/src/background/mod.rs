//! Background work: retention, compaction, expiry, periodic syncs and the free disk space.

pub(crate) mod disk_space;
pub(crate) mod maintenance;
