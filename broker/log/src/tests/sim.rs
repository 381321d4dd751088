//! Simulated disk with two images: the contents that programs see, and those after a power loss.
//!
//! Writes, lengths and names are durable only after a sync. At a crash each 512-byte (or 4 KiB)
//! block of an unsynced write, and each unsynced name, is lost or kept, depending on a seed.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::locks::lock;
use crate::{Disk, DiskFile, FileSystem, OpenMode, SECTOR_BYTES};

/// The unsynced writes that survive a crash.
#[derive(Clone, Copy, Debug)]
pub(super) enum Crash {
    /// Process crash: all survive.
    Killed,
    /// Power loss: none survives.
    Nothing,
    /// Power loss: some blocks of this size survive, by seed.
    Torn { block: usize, seed: u64 },
}

/// Faults of the disk.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    /// The step (write, sync, rename, ...) at which the machine stops, from 1.
    pub(super) crash_at: Option<u64>,
    /// Syncs succeed and do nothing.
    pub(super) syncs_lie: bool,
    /// The sync of a file or directory that fails, from 1; the unsynced writes are lost at a crash.
    pub(super) failing_sync: Option<u64>,
    /// No file handle is free: opening a file or directory fails with EMFILE.
    pub(super) no_handles: bool,
    /// Maximum bytes of all files together.
    pub(super) capacity: Option<u64>,
}

#[derive(Clone, Debug)]
pub(super) struct SimDisk(Arc<Mutex<World>>);

#[derive(Debug, Default)]
struct World {
    files: Vec<Content>,
    live: BTreeMap<PathBuf, Node>,
    durable: BTreeMap<PathBuf, Node>,
    faults: Faults,
    steps: u64,
    syncs: u64,
    salts: u64,
    dead: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Dir,
    File(usize),
}

#[derive(Clone, Debug, Default)]
struct Content {
    live: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
}

#[derive(Debug)]
struct SimFile {
    world: Arc<Mutex<World>>,
    file: usize,
    in_sectors: bool,
}

impl SimDisk {
    pub(super) fn new(faults: Faults) -> Self {
        let root = BTreeMap::from([(PathBuf::from("/"), Node::Dir)]);
        let world = World {
            live: root.clone(),
            durable: root,
            faults,
            ..World::default()
        };
        Self(Arc::new(Mutex::new(world)))
    }

    pub(super) fn set_faults(&self, faults: Faults) {
        lock(&self.0).faults = faults;
    }

    /// Returns the number of steps.
    pub(super) fn steps(&self) -> u64 {
        lock(&self.0).steps
    }

    /// Returns the number of syncs.
    pub(super) fn syncs(&self) -> u64 {
        lock(&self.0).syncs
    }

    pub(super) fn used_bytes(&self) -> u64 {
        lock(&self.0).used_bytes()
    }

    /// Returns the disk after a crash.
    pub(super) fn after(&self, crash: Crash) -> Self {
        let mut toss = Toss::of(crash);
        let world = lock(&self.0);
        let mut next = World {
            salts: world.salts,
            ..World::default()
        };
        let names: BTreeSet<&PathBuf> = world.live.keys().chain(world.durable.keys()).collect();
        for name in names {
            let (live, durable) = (world.live.get(name), world.durable.get(name));
            let node = if live == durable || toss.keeps() {
                live
            } else {
                durable
            };
            let parent_stays = name
                .parent()
                .is_none_or(|parent| next.live.contains_key(parent));
            let Some(node) = node.filter(|_| parent_stays) else {
                continue;
            };
            let kept = match node {
                Node::Dir => Node::Dir,
                Node::File(file) => {
                    let bytes = world.files[*file].after(&mut toss);
                    next.files.push(Content {
                        live: bytes.clone(),
                        durable: bytes,
                        unsynced: Vec::new(),
                    });
                    Node::File(next.files.len() - 1)
                }
            };
            next.live.insert(name.clone(), kept);
        }
        next.durable = next.live.clone();
        Self(Arc::new(Mutex::new(next)))
    }

    /// Changes the bytes of a file, as a failing disk would.
    pub(super) fn corrupt(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut world = lock(&self.0);
        let Some(Node::File(file)) = world.live.get(path).copied() else {
            panic!("{} is no file", path.display());
        };
        let content = &mut world.files[file];
        change(&mut content.live);
        content.durable = content.live.clone();
        content.unsynced.clear();
    }

    /// Returns all files with their contents.
    pub(super) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let world = lock(&self.0);
        let content = |(path, node): (&PathBuf, &Node)| match node {
            Node::Dir => None,
            Node::File(file) => Some((path.clone(), world.files[*file].live.clone())),
        };
        world.live.iter().filter_map(content).collect()
    }
}

impl World {
    fn step(&mut self) -> io::Result<()> {
        self.steps += 1;
        if self.faults.crash_at == Some(self.steps) {
            self.dead = true;
        }
        self.alive()
    }

    fn handle(&self) -> io::Result<()> {
        const EMFILE: i32 = 24;
        match self.faults.no_handles {
            true => Err(io::Error::from_raw_os_error(EMFILE)),
            false => Ok(()),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.syncs += 1;
        if self.faults.failing_sync == Some(self.syncs) {
            return Err(io::Error::other("input/output error"));
        }
        Ok(())
    }

    fn alive(&self) -> io::Result<()> {
        if self.dead {
            Err(io::Error::other("the machine stopped"))
        } else {
            Ok(())
        }
    }

    fn used_bytes(&self) -> u64 {
        let bytes = |node: &Node| match node {
            Node::Dir => 0,
            Node::File(file) => self.files[*file].live.len() as u64,
        };
        self.live.values().map(bytes).sum()
    }
}

impl SimDisk {
    fn opened(&self, path: &Path, mode: OpenMode) -> io::Result<SimFile> {
        let mut world = lock(&self.0);
        world.alive()?;
        world.handle()?;
        let file = match (world.live.get(path).copied(), mode) {
            (Some(Node::File(file)), OpenMode::Truncate) => {
                world.step()?;
                world.files[file].live.clear();
                world.files[file].unsynced.push(Change::Length(0));
                file
            }
            (
                Some(Node::File(file)),
                OpenMode::ReadOnly | OpenMode::Existing | OpenMode::Create,
            ) => file,
            (Some(Node::Dir), _) => return Err(io::ErrorKind::IsADirectory.into()),
            (None, OpenMode::ReadOnly | OpenMode::Existing) => {
                return Err(io::ErrorKind::NotFound.into());
            }
            (None, OpenMode::Create | OpenMode::Truncate) => {
                world.step()?;
                if path
                    .parent()
                    .is_none_or(|parent| !world.live.contains_key(parent))
                {
                    return Err(io::ErrorKind::NotFound.into());
                }
                world.files.push(Content::default());
                let file = world.files.len() - 1;
                world.live.insert(path.to_owned(), Node::File(file));
                file
            }
        };
        Ok(SimFile {
            world: Arc::clone(&self.0),
            file,
            in_sectors: false,
        })
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(self.opened(path, mode)?))
    }

    fn open_in_sectors(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(SimFile {
            in_sectors: true,
            ..self.opened(path, mode)?
        }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut world = lock(&self.0);
        world.step()?;
        for ancestor in path.ancestors() {
            world.live.entry(ancestor.to_owned()).or_insert(Node::Dir);
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = lock(&self.0);
        world.step()?;
        let node = world.live.remove(from).ok_or(io::ErrorKind::NotFound)?;
        world.live.insert(to.to_owned(), node);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut world = lock(&self.0);
        world.step()?;
        world
            .live
            .remove(path)
            .map(drop)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut world = lock(&self.0);
        world.step()?;
        if world.live.keys().any(|name| name.parent() == Some(path)) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        world
            .live
            .remove(path)
            .map(drop)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let world = lock(&self.0);
        world.alive()?;
        if world.live.get(path) != Some(&Node::Dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let children = world.live.keys().filter(|name| name.parent() == Some(path));
        Ok(children
            .filter_map(|name| name.file_name()?.to_str())
            .map(str::to_owned)
            .collect())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut world = lock(&self.0);
        world.step()?;
        world.handle()?;
        if world.live.get(path) != Some(&Node::Dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        world.sync()?;
        if world.faults.syncs_lie {
            return Ok(());
        }
        let is_child = |name: &PathBuf| name.parent() == Some(path);
        world.durable.retain(|name, _| !is_child(name));
        let children: Vec<_> = world
            .live
            .iter()
            .filter(|(name, _)| is_child(name))
            .map(|(name, node)| (name.clone(), *node))
            .collect();
        world.durable.extend(children);
        Ok(())
    }

    fn free_bytes(&self, _path: &Path) -> io::Result<u64> {
        let world = lock(&self.0);
        world.alive()?;
        let capacity = world.faults.capacity.unwrap_or(u64::MAX);
        Ok(capacity.saturating_sub(world.used_bytes()))
    }

    fn salt(&self) -> io::Result<u64> {
        let mut world = lock(&self.0);
        world.salts += 1;
        Ok(world.salts.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn exists(&self, path: &Path) -> bool {
        lock(&self.0).live.contains_key(path)
    }

    fn file_system(&self, _dir: &Path) -> io::Result<Option<Box<dyn FileSystem>>> {
        Ok(Some(Box::new(self.clone())))
    }
}

impl FileSystem for SimDisk {
    fn sync(&self) -> io::Result<()> {
        let mut world = lock(&self.0);
        world.step()?;
        if let Err(error) = world.sync() {
            world
                .files
                .iter_mut()
                .for_each(|content| content.unsynced.clear());
            return Err(error);
        }
        if !world.faults.syncs_lie {
            let World {
                files,
                live,
                durable,
                ..
            } = &mut *world;
            for content in files {
                content.durable = content.after(&mut Toss::of(Crash::Killed));
                content.unsynced.clear();
            }
            *durable = live.clone();
        }
        Ok(())
    }
}

impl DiskFile for SimFile {
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let mut world = lock(&self.world);
        world.alive()?;
        let at = usize::try_from(at).unwrap();
        let whole = if self.in_sectors {
            assert!(at.is_multiple_of(SECTOR_BYTES), "a write at {at}");
            bytes.len().next_multiple_of(SECTOR_BYTES)
        } else {
            bytes.len()
        };
        let mut bytes = bytes.to_vec();
        bytes.resize(whole, 0);
        let end = at + bytes.len();
        let growth = end.saturating_sub(world.files[self.file].live.len()) as u64;
        let used = world.used_bytes();
        let over = world
            .faults
            .capacity
            .map_or(0, |most| (used + growth).saturating_sub(most));
        let over = usize::try_from(over).unwrap();
        if growth > 0 && over > 0 {
            // The blocks that fit are written.
            let fits = bytes.len().saturating_sub(over) / 512 * 512;
            world.files[self.file].write(at, &bytes[..fits]);
            return Err(io::ErrorKind::StorageFull.into());
        }
        // A write in progress when the machine stops may be partly done.
        let stepped = world.step();
        world.files[self.file].write(at, &bytes);
        stepped
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        let world = lock(&self.world);
        world.alive()?;
        let rest = world.files[self.file]
            .live
            .get(usize::try_from(at).unwrap()..);
        let rest = rest.unwrap_or_default();
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut world = lock(&self.world);
        world.step()?;
        if let Err(error) = world.sync() {
            world.files[self.file].unsynced.clear();
            return Err(error);
        }
        if !world.faults.syncs_lie {
            let content = &mut world.files[self.file];
            content.durable = content.after(&mut Toss::of(Crash::Killed));
            content.unsynced.clear();
        }
        Ok(())
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        let mut world = lock(&self.world);
        world.step()?;
        let bytes = usize::try_from(bytes).unwrap();
        let content = &mut world.files[self.file];
        content.live.resize(bytes, 0);
        content.unsynced.push(Change::Length(bytes));
        Ok(())
    }

    fn size_bytes(&self) -> io::Result<u64> {
        let world = lock(&self.world);
        world.alive()?;
        Ok(world.files[self.file].live.len() as u64)
    }
}

impl Content {
    fn write(&mut self, at: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let end = at + bytes.len();
        self.live.resize(self.live.len().max(end), 0);
        self.live[at..end].copy_from_slice(bytes);
        self.unsynced.push(Change::Write {
            at,
            bytes: bytes.to_vec(),
        });
    }

    fn after(&self, toss: &mut Toss) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for change in &self.unsynced {
            match change {
                Change::Length(length) => {
                    if toss.keeps() {
                        bytes.resize(*length, 0);
                    }
                }
                Change::Write { at, bytes: written } => {
                    let mut from = *at;
                    for block in toss.blocks(*at, written) {
                        let end = from + block.len();
                        if toss.keeps() {
                            bytes.resize(bytes.len().max(end), 0);
                            bytes[from..end].copy_from_slice(block);
                        }
                        from = end;
                    }
                }
            }
        }
        bytes
    }
}

/// Decides whether an unsynced change survives.
struct Toss {
    crash: Crash,
    state: u64,
}

impl Toss {
    fn of(crash: Crash) -> Self {
        let state = match crash {
            Crash::Torn { seed, .. } => seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            Crash::Killed | Crash::Nothing => 1,
        };
        Self { crash, state }
    }

    fn keeps(&mut self) -> bool {
        match self.crash {
            Crash::Killed => true,
            Crash::Nothing => false,
            Crash::Torn { .. } => {
                // Xorshift is good enough for random bits.
                self.state ^= self.state << 13;
                self.state ^= self.state >> 7;
                self.state ^= self.state << 17;
                self.state & 0x10 != 0
            }
        }
    }

    /// Splits a write at the block boundaries of the disk.
    fn blocks<'a>(&self, at: usize, bytes: &'a [u8]) -> Vec<&'a [u8]> {
        let block = match self.crash {
            Crash::Torn { block, .. } => block,
            Crash::Killed | Crash::Nothing => usize::MAX / 2,
        };
        let mut blocks = Vec::new();
        let (mut at, mut rest) = (at, bytes);
        while !rest.is_empty() {
            let (first, later) = rest.split_at(rest.len().min(block - at % block));
            blocks.push(first);
            at += first.len();
            rest = later;
        }
        blocks
    }
}
