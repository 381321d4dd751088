//! A file system for fault tests: it fails on request, and it produces the images that a power cut
//! can leave.
//!
//! [`FaultFs`] is a FUSE file system in the memory of the test process. It keeps a [`Journal`] of
//! all changes and syncs. An image of the journal holds every change that a sync made durable and a
//! random part of the others, as POSIX permits: writes in any order, cut at sectors, and names that
//! are not durable before their directory is synced.

mod file_system;
mod image;
mod journal;

pub use file_system::{Failure, FaultFs, Operation};
pub use fuser::Errno;
pub use image::Loss;
pub use journal::{Change, Inode, Journal};
