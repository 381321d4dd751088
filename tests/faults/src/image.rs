//! Directories as a power cut can leave them.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;

use avouch_avro_testing::Random;

use crate::journal::{Change, Inode, Journal};

/// The root directory.
pub(crate) const ROOT: Inode = 1;
/// A disk writes a sector completely or not at all.
const SECTOR_BYTES: usize = 512;

/// Fate of the changes that no sync made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// All are lost.
    All,
    /// All are kept, as after a kill of the process.
    Nothing,
    /// Writes are lost at random and cut at sectors; changes of names are lost from a random one
    /// on.
    Random,
}

impl Journal {
    /// Writes the file system after a power cut at `position` (a number of changes) into the empty
    /// directory `into`.
    ///
    /// # Errors
    /// Fails if a file cannot be written.
    pub fn write_image(
        &self,
        position: usize,
        loss: Loss,
        random: &mut Random,
        into: &Path,
    ) -> io::Result<()> {
        let changes = self.changes().get(..position).unwrap_or(self.changes());
        let mut image = Image::default();
        for change in surviving(changes, loss, random) {
            image.apply(change);
        }
        image.write_directory(ROOT, into)
    }
}

/// Returns the changes that are on the disk after a power cut, in order.
fn surviving(changes: &[Change], loss: Loss, random: &mut Random) -> Vec<Change> {
    let durable = durable(changes);
    let volatile_names = changes
        .iter()
        .zip(&durable)
        .filter(|(change, durable)| change.is_of_names() && !**durable)
        .count();
    let mut kept_names = match loss {
        Loss::All => 0,
        Loss::Nothing => volatile_names,
        Loss::Random => random.below(volatile_names + 1),
    };
    let mut surviving = Vec::new();
    for (change, durable) in changes.iter().zip(durable) {
        if durable || loss == Loss::Nothing {
            surviving.push(change.clone());
        } else if change.is_of_names() {
            if kept_names > 0 {
                kept_names -= 1;
                surviving.push(change.clone());
            }
        } else if loss == Loss::Random {
            surviving.extend(torn(change, random));
        }
    }
    surviving
}

/// Returns for each change whether a later sync made it durable.
fn durable(changes: &[Change]) -> Vec<bool> {
    let mut last_sync: HashMap<Inode, usize> = HashMap::new();
    for (at, change) in changes.iter().enumerate() {
        if let Change::Sync { inode } = change {
            last_sync.insert(*inode, at);
        }
    }
    let is_synced = |inode: &Inode, at| last_sync.get(inode).is_some_and(|sync| *sync > at);
    changes
        .iter()
        .enumerate()
        .map(|(at, change)| change.synced_by().iter().all(|inode| is_synced(inode, at)))
        .collect()
}

/// Returns what a power cut leaves of a change of a file: all, nothing, or the sectors up to one.
fn torn(change: &Change, random: &mut Random) -> Option<Change> {
    if random.one_in(2) {
        return None;
    }
    match change {
        Change::Write {
            inode,
            offset,
            bytes,
        } if random.one_in(3) => {
            // Sectors are counted from the start of the file, not of the write.
            let end = offset + random.below(bytes.len() + 1);
            let end = (end - end % SECTOR_BYTES).max(*offset);
            Some(Change::Write {
                inode: *inode,
                offset: *offset,
                bytes: bytes.get(..end - offset)?.into(),
            })
        }
        _ => Some(change.clone()),
    }
}

/// Contents by inode, names by directory.
#[derive(Debug, Default)]
struct Image {
    files: BTreeMap<Inode, Vec<u8>>,
    names: BTreeMap<Inode, BTreeMap<OsString, (Inode, bool)>>,
}

impl Image {
    fn apply(&mut self, change: Change) {
        match change {
            Change::Link {
                parent,
                name,
                inode,
                is_directory,
            } => {
                let names = self.names.entry(parent).or_default();
                names.insert(name, (inode, is_directory));
            }
            Change::Unlink { parent, name } => {
                self.names.entry(parent).or_default().remove(&name);
            }
            Change::Rename { from, to } => {
                let moved = self.names.entry(from.0).or_default().remove(&from.1);
                if let Some(moved) = moved {
                    self.names.entry(to.0).or_default().insert(to.1, moved);
                }
            }
            Change::Write {
                inode,
                offset,
                bytes,
            } => {
                let file = self.files.entry(inode).or_default();
                write_at(file, offset, &bytes);
            }
            Change::SetLength { inode, length } => {
                self.files.entry(inode).or_default().resize(length, 0);
            }
            Change::Sync { .. } => {}
        }
    }

    fn write_directory(&self, directory: Inode, into: &Path) -> io::Result<()> {
        for (name, (inode, is_directory)) in self.names.get(&directory).into_iter().flatten() {
            let path = into.join(name);
            if *is_directory {
                fs::create_dir(&path)?;
                self.write_directory(*inode, &path)?;
            } else {
                fs::write(&path, self.files.get(inode).map_or(&[][..], Vec::as_slice))?;
            }
        }
        Ok(())
    }
}

/// Writes `bytes` at `offset`; a gap before it contains zeros.
pub(crate) fn write_at(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    if let Some(place) = file.get_mut(offset..end) {
        place.copy_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: Inode = 2;

    fn journal(changes: Vec<Change>) -> Journal {
        let mut journal = Journal::default();
        for change in changes {
            journal.push(change);
        }
        journal
    }

    fn created() -> Change {
        Change::Link {
            parent: ROOT,
            name: "file".into(),
            inode: FILE,
            is_directory: false,
        }
    }

    fn written(bytes: &[u8]) -> Change {
        Change::Write {
            inode: FILE,
            offset: 0,
            bytes: bytes.into(),
        }
    }

    fn content(journal: &Journal, position: usize, loss: Loss) -> Option<Vec<u8>> {
        let into = tempfile::tempdir().unwrap();
        let mut random = Random::new(7);
        journal
            .write_image(position, loss, &mut random, into.path())
            .unwrap();
        fs::read(into.path().join("file")).ok()
    }

    #[test]
    fn synced_changes_survive() {
        let journal = journal(vec![
            created(),
            Change::Sync { inode: ROOT },
            written(b"first"),
            Change::Sync { inode: FILE },
            written(b"later"),
        ]);
        for loss in [Loss::All, Loss::Nothing, Loss::Random] {
            let content = content(&journal, 4, loss);
            assert_eq!(content.as_deref(), Some(&b"first"[..]), "{loss:?}");
        }
        assert_eq!(
            content(&journal, 5, Loss::All).as_deref(),
            Some(&b"first"[..])
        );
        assert_eq!(
            content(&journal, 5, Loss::Nothing).as_deref(),
            Some(&b"later"[..])
        );
    }

    #[test]
    fn names_need_a_sync_of_their_directory() {
        let journal = journal(vec![
            created(),
            written(b"first"),
            Change::Sync { inode: FILE },
        ]);
        assert_eq!(content(&journal, 3, Loss::All), None);
        assert!(content(&journal, 3, Loss::Nothing).is_some());
    }

    #[test]
    fn random_loss_cuts_writes_at_sectors() {
        let whole = [1_u8; 4 * SECTOR_BYTES];
        let journal = journal(vec![
            created(),
            Change::Sync { inode: ROOT },
            written(&whole),
        ]);
        let mut lengths = std::collections::BTreeSet::new();
        let mut random = Random::new(1);
        for _ in 0..200 {
            let into = tempfile::tempdir().unwrap();
            journal
                .write_image(3, Loss::Random, &mut random, into.path())
                .unwrap();
            lengths.insert(fs::metadata(into.path().join("file")).unwrap().len());
        }
        assert_eq!(lengths, [0, 512, 1024, 1536, 2048].into());
    }
}
