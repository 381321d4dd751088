//! A small file next to an SQLite database, `registry.ids` for `registry.sqlite`. It proves that
//! the database existed and bounds the IDs that it has assigned, so that a lost database file is
//! not taken for a first start, which would assign ID 1 again.
//!
//! One line for each context: its name and an ID that it has not exceeded. The line `lost` records
//! that the loss of the database was accepted. Invariant: no ID above its context's bound is
//! committed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use crate::store::connection::AssignedIds;

/// Number of IDs by which a bound is raised: one write of the file serves as many registrations,
/// and a new database skips at most as many IDs.
const BLOCK: i64 = 1_000;
/// The line that accepts the loss.
const LOST: &str = "lost";

/// The file's content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct IdBounds {
    by_context: BTreeMap<String, i64>,
    is_loss_accepted: bool,
}

/// The file of an open database.
#[derive(Debug)]
pub(crate) struct IdsFile {
    path: PathBuf,
    bounds: IdBounds,
}

impl IdBounds {
    /// Reads the file of a database; `None` if there is none.
    ///
    /// # Errors
    /// If the file cannot be read or is malformed.
    pub(crate) fn read(database: &Path) -> io::Result<Option<Self>> {
        match fs::read_to_string(path_of(database)) {
            Ok(text) => match Self::parse(&text) {
                Some(bounds) => Ok(Some(bounds)),
                None => Err(io::Error::new(ErrorKind::InvalidData, "malformed line")),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut bounds = Self::default();
        for line in text.lines() {
            if line == LOST {
                bounds.is_loss_accepted = true;
                continue;
            }
            // A context may contain spaces, a number may not.
            let (context, bound) = line.rsplit_once(' ')?;
            bounds
                .by_context
                .insert(context.to_owned(), bound.parse().ok()?);
        }
        Some(bounds)
    }

    /// Returns true if the loss of the database was accepted.
    pub(crate) fn is_loss_accepted(&self) -> bool {
        self.is_loss_accepted
    }

    /// Returns the contexts with the bounds of their IDs.
    pub(crate) fn by_context(&self) -> &BTreeMap<String, i64> {
        &self.by_context
    }

    /// Raises the bound of a context to at least `id`. Returns true if it was lower.
    fn raise(&mut self, context: &str, id: i64) -> bool {
        if self
            .by_context
            .get(context)
            .is_some_and(|&bound| bound >= id)
        {
            return false;
        }
        let bound = id.saturating_add(BLOCK);
        self.by_context.insert(context.to_owned(), bound);
        true
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let mut text = String::new();
        for (context, bound) in &self.by_context {
            let _infallible = writeln!(text, "{context} {bound}");
        }
        if self.is_loss_accepted {
            text.push_str(LOST);
            text.push('\n');
        }
        // Renamed over the old file, so that a crash leaves one of the two complete.
        let new = path.with_extension("ids-new");
        let mut file = File::create(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        // The rename is durable once the directory is synced.
        match path.parent() {
            Some(parent) if parent != Path::new("") => File::open(parent)?.sync_all(),
            Some(_) | None => File::open(".")?.sync_all(),
        }
    }
}

impl IdsFile {
    /// Returns the file of a database, to be written by [`Self::cover`].
    pub(crate) fn new(database: &Path, bounds: Option<IdBounds>) -> Self {
        let mut bounds = bounds.unwrap_or_default();
        bounds.is_loss_accepted = false;
        Self {
            path: path_of(database),
            bounds,
        }
    }

    /// Makes sure that the file covers the highest IDs of contexts, before they are committed.
    /// Writes the file only if a bound is too low or the file does not exist yet.
    pub(crate) fn cover(&mut self, highest: &AssignedIds, is_new: bool) -> io::Result<()> {
        let mut bounds = self.bounds.clone();
        let mut is_raised = is_new;
        for (context, id) in highest {
            is_raised |= bounds.raise(context, *id);
        }
        if is_raised {
            bounds.write(&self.path)?;
            self.bounds = bounds;
        }
        Ok(())
    }
}

/// Accepts that the database file is lost: the next start creates an empty one, whose IDs continue
/// after those that the lost one can have assigned. Returns false if the database exists or was
/// never there, so that nothing is lost.
///
/// # Errors
/// If the file cannot be read or written.
pub fn accept_loss(database: &Path) -> io::Result<bool> {
    if database.exists() {
        return Ok(false);
    }
    let Some(mut bounds) = IdBounds::read(database)? else {
        return Ok(false);
    };
    bounds.is_loss_accepted = true;
    bounds.write(&path_of(database))?;
    Ok(true)
}

fn path_of(database: &Path) -> PathBuf {
    database.with_extension("ids")
}

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: registry/stores-15
    #[test]
    fn bounds_cover_ids_in_blocks() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("registry.sqlite");
        let mut file = IdsFile::new(&database, None);
        let cover = |file: &mut IdsFile, ids: &[(&str, i64)]| {
            let ids = ids.iter().map(|&(context, id)| (context.to_owned(), id));
            file.cover(&ids.collect(), false).unwrap();
        };
        file.cover(&AssignedIds::new(), true).unwrap();
        let read = || IdBounds::read(&database).unwrap().unwrap();
        assert_eq!(read(), IdBounds::default());
        cover(&mut file, &[(".", 1), (".a b", 7)]);
        assert_eq!(read().by_context().get("."), Some(&1_001));
        assert_eq!(read().by_context().get(".a b"), Some(&1_007));
        let before = read();
        cover(&mut file, &[(".", 1_001)]);
        assert_eq!(read(), before);
        cover(&mut file, &[(".", 1_002)]);
        assert_eq!(read().by_context().get("."), Some(&2_002));
        assert!(accept_loss(&database).unwrap());
        assert!(read().is_loss_accepted());
        fs::write(path_of(&database), "x").unwrap();
        assert!(IdBounds::read(&database).is_err());
    }
}
