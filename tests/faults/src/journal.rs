//! All changes of a file system, in order, with the syncs between them.

use std::ffi::OsString;
use std::sync::Arc;

/// Number of a file or directory; it is never reused.
pub type Inode = u64;

/// A change of the file system, or a sync.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Change {
    /// A new name in a directory: of a new file or directory, or a second one of a file.
    Link {
        /// The directory that contains the name.
        parent: Inode,
        /// The name.
        name: OsString,
        /// The named file or directory.
        inode: Inode,
        /// True for a directory.
        is_directory: bool,
    },
    /// A removed name.
    Unlink {
        /// The directory that contained the name.
        parent: Inode,
        /// The name.
        name: OsString,
    },
    /// A moved name; it replaces an existing one.
    Rename {
        /// Directory and name before.
        from: (Inode, OsString),
        /// Directory and name after.
        to: (Inode, OsString),
    },
    /// Written bytes.
    Write {
        /// The file.
        inode: Inode,
        /// Offset of the first byte.
        offset: usize,
        /// The bytes.
        bytes: Arc<[u8]>,
    },
    /// A new length of a file.
    SetLength {
        /// The file.
        inode: Inode,
        /// The length in bytes.
        length: usize,
    },
    /// A sync of a file or of the names in a directory. It makes earlier changes durable.
    Sync {
        /// The file or directory.
        inode: Inode,
    },
}

impl Change {
    /// Returns the files or directories whose sync makes the change durable. A rename between
    /// directories is durable after both were synced.
    pub(crate) fn synced_by(&self) -> Vec<Inode> {
        match self {
            Self::Link { parent, .. } | Self::Unlink { parent, .. } => vec![*parent],
            Self::Rename { from, to } => vec![from.0, to.0],
            Self::Write { inode, .. } | Self::SetLength { inode, .. } => vec![*inode],
            Self::Sync { .. } => Vec::new(),
        }
    }

    /// Returns whether the change is one of names, which a file system keeps in order.
    pub(crate) fn is_of_names(&self) -> bool {
        matches!(
            self,
            Self::Link { .. } | Self::Unlink { .. } | Self::Rename { .. }
        )
    }
}

/// The changes since the file system was mounted.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    changes: Vec<Change>,
}

impl Journal {
    /// Returns the changes, oldest first.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    pub(crate) fn push(&mut self, change: Change) {
        self.changes.push(change);
    }
}
