//! The directory that a backup is written into: new or empty, outside the data directory.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::files::{FileError, create_dir, is_empty, remove};

/// A directory that no backup can be written into. Nothing was changed.
#[derive(Debug, Error)]
pub(super) enum BadTarget {
    #[error("{} is not an absolute path", .0.display())]
    Relative(PathBuf),
    #[error("{} is not empty; a backup needs a new directory", .0.display())]
    NotEmpty(PathBuf),
    #[error("{} is inside the data directory", .0.display())]
    InsideDataDir(PathBuf),
    #[error(transparent)]
    File(#[from] FileError),
}

/// The directory of a backup that is being written.
#[derive(Debug)]
pub(super) struct Target {
    path: PathBuf,
    /// True if it did not exist before.
    is_new: bool,
}

impl Target {
    /// Checks and creates the directory.
    pub(super) fn create(path: &Path, data_dir: &Path) -> Result<Self, BadTarget> {
        if !path.is_absolute() {
            return Err(BadTarget::Relative(path.to_owned()));
        }
        let is_new = match is_empty(path)? {
            None => true,
            Some(true) => false,
            Some(false) => return Err(BadTarget::NotEmpty(path.to_owned())),
        };
        // The parent of a new directory must exist: a mistyped path is not created.
        let existing = match path.parent() {
            Some(parent) if is_new => parent,
            Some(_) | None => path,
        };
        // Resolved, so that no symbolic link and no `..` leads into the data directory.
        let resolve = |path: &Path| path.canonicalize().map_err(FileError::at(path));
        if resolve(existing)?.starts_with(resolve(data_dir)?) {
            return Err(BadTarget::InsideDataDir(path.to_owned()));
        }
        if is_new {
            create_dir(path)?;
        }
        let path = path.to_owned();
        Ok(Self { path, is_new })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes what a failed backup wrote.
    pub(super) fn remove(&self) -> io::Result<()> {
        remove(&self.path, self.is_new)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    // Conformance: operation/backup-6
    #[test]
    fn unsuitable_targets_are_rejected() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        let data_dir = at("data");
        for dir in ["data/log", "empty", "full/file"] {
            fs::create_dir_all(at(dir)).unwrap();
        }
        symlink(at("data"), at("link")).unwrap();
        let cases = [
            ("data/backup", "inside the data directory"),
            ("data/log", "inside the data directory"),
            ("link/backup", "inside the data directory"),
            ("full/../data/backup", "inside the data directory"),
            ("full", "is not empty"),
            ("missing/backup", "No such file"),
        ];
        for (name, part) in cases {
            let error = Target::create(&at(name), &data_dir).unwrap_err();
            assert!(error.to_string().contains(part), "{name}: {error}");
        }
        let error = Target::create(Path::new("backup"), &data_dir).unwrap_err();
        assert!(matches!(error, BadTarget::Relative(_)));

        for (name, is_new) in [("new", true), ("empty", false)] {
            let target = Target::create(&at(name), &data_dir).unwrap();
            if is_new {
                let mode = fs::metadata(at(name)).unwrap().permissions().mode();
                assert_eq!(mode & 0o777, 0o700);
            }
            fs::create_dir(at(name).join("data")).unwrap();
            fs::write(at(name).join("data/file"), "").unwrap();
            fs::write(at(name).join("file"), "").unwrap();
            target.remove().unwrap();
            assert_eq!(at(name).exists(), !is_new);
        }
        assert_eq!(fs::read_dir(at("empty")).unwrap().count(), 0);
    }
}
