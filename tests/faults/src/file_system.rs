//! The mounted file system: files in memory, a journal of changes, and failures on request.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags,
    Generation, INodeNo, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyStatfs, ReplyWrite, Request, Session, TimeOrNow,
    WriteFlags,
};
use tempfile::TempDir;

use crate::image::{ROOT, write_at};
use crate::journal::{Change, Inode, Journal};

/// Entries and attributes change only through this mount, so the kernel may cache them.
const CACHED: Duration = Duration::from_secs(3_600);
const BLOCK_BYTES: u32 = 4_096;
/// Size that statfs reports, in blocks.
const BLOCKS: u64 = 1 << 24;

/// An operation that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// A write.
    Write,
    /// A sync of a file or directory.
    Sync,
    /// The creation of a file or directory.
    Create,
    /// A rename.
    Rename,
    /// A change of a file's length.
    SetLength,
}

/// A set of operations that fail.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The operation.
    pub operation: Operation,
    /// Part of the names of the files that fail; an empty one matches all.
    pub name: String,
    /// Number of matching operations that succeed before the first failure.
    pub after: u64,
    /// Number of operations that fail.
    pub count: u64,
    /// The error, such as `EIO` or `ENOSPC`.
    pub error: Errno,
}

/// A mounted file system. It is unmounted when the value is dropped.
#[derive(Debug)]
pub struct FaultFs {
    // Unmounted before its mount point is removed: fields are dropped in order.
    _session: BackgroundSession,
    mount_point: TempDir,
    shared: Arc<Mutex<State>>,
}

impl FaultFs {
    /// Mounts an empty file system in a temporary directory.
    ///
    /// # Errors
    /// Fails if FUSE is not available or the process may not mount.
    pub fn mount() -> io::Result<Self> {
        let mount_point = tempfile::tempdir()?;
        let shared = Arc::new(Mutex::new(State::new()));
        let mounted = Mounted(Arc::clone(&shared));
        let session = Session::new(mounted, mount_point.path(), &Config::default())?.spawn()?;
        Ok(Self {
            _session: session,
            mount_point,
            shared,
        })
    }

    /// Returns whether this process can mount it: `/dev/fuse` can be opened.
    pub fn is_available() -> bool {
        std::fs::File::options()
            .read(true)
            .write(true)
            .open("/dev/fuse")
            .is_ok()
    }

    /// Returns the root directory.
    pub fn path(&self) -> &Path {
        self.mount_point.path()
    }

    /// Returns the number of changes and syncs so far: a position for [`Journal::write_image`].
    pub fn position(&self) -> usize {
        lock(&self.shared).journal.changes().len()
    }

    /// Returns a copy of the journal.
    pub fn journal(&self) -> Journal {
        lock(&self.shared).journal.clone()
    }

    /// Lets operations fail from now on, in addition to earlier failures.
    pub fn fail(&self, failure: Failure) {
        lock(&self.shared).failures.push(failure);
    }

    /// Removes all failures and returns the number of operations that failed.
    pub fn repair(&self) -> u64 {
        let mut state = lock(&self.shared);
        state.failures.clear();
        std::mem::take(&mut state.failed)
    }
}

/// Returns the state after a panic of another thread too: each change of it is complete.
fn lock(shared: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
enum Node {
    Directory(BTreeMap<OsString, Inode>),
    File(Vec<u8>),
}

#[derive(Debug)]
struct State {
    nodes: HashMap<Inode, Node>,
    /// The last name of each inode, to which failures are matched.
    names: HashMap<Inode, String>,
    next_inode: Inode,
    journal: Journal,
    failures: Vec<Failure>,
    failed: u64,
}

impl State {
    fn new() -> Self {
        Self {
            nodes: HashMap::from([(ROOT, Node::Directory(BTreeMap::new()))]),
            names: HashMap::new(),
            next_inode: ROOT + 1,
            journal: Journal::default(),
            failures: Vec::new(),
            failed: 0,
        }
    }

    /// Returns the error of the first failure that matches the operation.
    fn check(&mut self, operation: Operation, name: &str) -> Result<(), Errno> {
        for failure in &mut self.failures {
            if failure.operation != operation || !name.contains(&failure.name) {
                continue;
            }
            if failure.after > 0 {
                failure.after -= 1;
            } else if failure.count > 0 {
                failure.count -= 1;
                self.failed += 1;
                return Err(failure.error);
            }
        }
        Ok(())
    }

    fn check_inode(&mut self, operation: Operation, inode: INodeNo) -> Result<(), Errno> {
        let name = self.names.get(&inode.0).cloned().unwrap_or_default();
        self.check(operation, &name)
    }

    fn directory(&mut self, inode: INodeNo) -> Result<&mut BTreeMap<OsString, Inode>, Errno> {
        match self.nodes.get_mut(&inode.0) {
            Some(Node::Directory(names)) => Ok(names),
            Some(Node::File(_)) => Err(Errno::ENOTDIR),
            None => Err(Errno::ENOENT),
        }
    }

    fn file(&mut self, inode: INodeNo) -> Result<&mut Vec<u8>, Errno> {
        match self.nodes.get_mut(&inode.0) {
            Some(Node::File(content)) => Ok(content),
            Some(Node::Directory(_)) => Err(Errno::EISDIR),
            None => Err(Errno::ENOENT),
        }
    }

    fn attributes(&self, inode: Inode) -> Result<FileAttr, Errno> {
        let node = self.nodes.get(&inode).ok_or(Errno::ENOENT)?;
        let (kind, perm, size) = match node {
            Node::Directory(_) => (FileType::Directory, 0o755, 0),
            Node::File(content) => (FileType::RegularFile, 0o644, to_u64(content.len())),
        };
        Ok(FileAttr {
            ino: INodeNo(inode),
            size,
            blocks: size.div_ceil(512),
            atime: SystemTime::UNIX_EPOCH,
            mtime: SystemTime::UNIX_EPOCH,
            ctime: SystemTime::UNIX_EPOCH,
            crtime: SystemTime::UNIX_EPOCH,
            kind,
            perm,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: BLOCK_BYTES,
            flags: 0,
        })
    }

    fn look_up(&mut self, parent: INodeNo, name: &OsStr) -> Result<FileAttr, Errno> {
        let inode = *self.directory(parent)?.get(name).ok_or(Errno::ENOENT)?;
        self.attributes(inode)
    }

    fn create(&mut self, parent: INodeNo, name: &OsStr, node: Node) -> Result<FileAttr, Errno> {
        let text = name.to_string_lossy().into_owned();
        self.check(Operation::Create, &text)?;
        let inode = self.next_inode;
        if self.directory(parent)?.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        self.directory(parent)?.insert(name.to_owned(), inode);
        self.next_inode += 1;
        self.names.insert(inode, text);
        self.journal.push(Change::Link {
            parent: parent.0,
            name: name.to_owned(),
            inode,
            is_directory: matches!(node, Node::Directory(_)),
        });
        self.nodes.insert(inode, node);
        self.attributes(inode)
    }

    /// Removes a name. The file remains for those that have it open.
    fn remove(&mut self, parent: INodeNo, name: &OsStr) -> Result<(), Errno> {
        let inode = *self.directory(parent)?.get(name).ok_or(Errno::ENOENT)?;
        if let Some(Node::Directory(names)) = self.nodes.get(&inode)
            && !names.is_empty()
        {
            return Err(Errno::ENOTEMPTY);
        }
        self.directory(parent)?.remove(name);
        self.journal.push(Change::Unlink {
            parent: parent.0,
            name: name.to_owned(),
        });
        Ok(())
    }

    fn rename(
        &mut self,
        from: (INodeNo, &OsStr),
        to: (INodeNo, &OsStr),
        flags: RenameFlags,
    ) -> Result<(), Errno> {
        self.check(Operation::Rename, &to.1.to_string_lossy())?;
        let inode = *self.directory(from.0)?.get(from.1).ok_or(Errno::ENOENT)?;
        let replaces = self.directory(to.0)?.contains_key(to.1);
        if flags.contains(RenameFlags::RENAME_NOREPLACE) && replaces {
            return Err(Errno::EEXIST);
        }
        if flags.contains(RenameFlags::RENAME_EXCHANGE) {
            return Err(Errno::EINVAL);
        }
        self.directory(from.0)?.remove(from.1);
        self.directory(to.0)?.insert(to.1.to_owned(), inode);
        self.names
            .insert(inode, to.1.to_string_lossy().into_owned());
        self.journal.push(Change::Rename {
            from: (from.0.0, from.1.to_owned()),
            to: (to.0.0, to.1.to_owned()),
        });
        Ok(())
    }

    fn write(&mut self, inode: INodeNo, offset: u64, bytes: &[u8]) -> Result<u32, Errno> {
        self.check_inode(Operation::Write, inode)?;
        let offset = to_usize(offset)?;
        write_at(self.file(inode)?, offset, bytes);
        self.journal.push(Change::Write {
            inode: inode.0,
            offset,
            bytes: bytes.into(),
        });
        u32::try_from(bytes.len()).map_err(|_| Errno::EFBIG)
    }

    fn set_length(&mut self, inode: INodeNo, length: u64) -> Result<(), Errno> {
        self.check_inode(Operation::SetLength, inode)?;
        let length = to_usize(length)?;
        self.file(inode)?.resize(length, 0);
        self.journal.push(Change::SetLength {
            inode: inode.0,
            length,
        });
        Ok(())
    }

    fn sync(&mut self, inode: INodeNo) -> Result<(), Errno> {
        self.check_inode(Operation::Sync, inode)?;
        self.journal.push(Change::Sync { inode: inode.0 });
        Ok(())
    }

    fn read(&mut self, inode: INodeNo, offset: u64, bytes: u32) -> Result<&[u8], Errno> {
        let (start, bytes) = (to_usize(offset)?, to_usize(u64::from(bytes))?);
        let content = self.file(inode)?;
        let end = content.len().min(start.saturating_add(bytes));
        Ok(content.get(start..end).unwrap_or_default())
    }

    /// Returns inode, kind and name of the entries of a directory, in the order of their names.
    fn entries(&mut self, inode: INodeNo) -> Result<Vec<(INodeNo, FileType, OsString)>, Errno> {
        let names = self.directory(inode)?.clone();
        let entries = names.into_iter().map(|(name, inode)| {
            let kind = self.attributes(inode).map(|attributes| attributes.kind);
            kind.map(|kind| (INodeNo(inode), kind, name))
        });
        entries.collect()
    }
}

fn to_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn to_usize(offset: u64) -> Result<usize, Errno> {
    usize::try_from(offset).map_err(|_| Errno::EFBIG)
}

/// The file system as FUSE calls it.
#[derive(Debug)]
struct Mounted(Arc<Mutex<State>>);

fn send_entry(response: ReplyEntry, result: Result<FileAttr, Errno>) {
    match result {
        Ok(attributes) => response.entry(&CACHED, &attributes, Generation(0)),
        Err(error) => response.error(error),
    }
}

fn send_empty(response: ReplyEmpty, result: Result<(), Errno>) {
    match result {
        Ok(()) => response.ok(),
        Err(error) => response.error(error),
    }
}

fn send_attributes(response: ReplyAttr, result: Result<FileAttr, Errno>) {
    match result {
        Ok(attributes) => response.attr(&CACHED, &attributes),
        Err(error) => response.error(error),
    }
}

// Locks, mmap and open need no code: the kernel implements them for one machine.
impl Filesystem for Mounted {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, response: ReplyEntry) {
        send_entry(response, lock(&self.0).look_up(parent, name));
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, response: ReplyAttr) {
        send_attributes(response, lock(&self.0).attributes(inode.0));
    }

    fn setattr(
        &self,
        _: &Request,
        inode: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        length: Option<u64>,
        _accessed: Option<TimeOrNow>,
        _modified: Option<TimeOrNow>,
        _changed: Option<SystemTime>,
        _handle: Option<FileHandle>,
        _created: Option<SystemTime>,
        _attributes_changed: Option<SystemTime>,
        _backed_up: Option<SystemTime>,
        _flags: Option<fuser::BsdFileFlags>,
        response: ReplyAttr,
    ) {
        let mut state = lock(&self.0);
        // Modes, owners and times are not kept: no test depends on them.
        let result = length.map_or(Ok(()), |length| state.set_length(inode, length));
        send_attributes(response, result.and_then(|()| state.attributes(inode.0)));
    }

    fn mkdir(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        response: ReplyEntry,
    ) {
        let directory = Node::Directory(BTreeMap::new());
        send_entry(response, lock(&self.0).create(parent, name, directory));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, response: ReplyEmpty) {
        send_empty(response, lock(&self.0).remove(parent, name));
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, response: ReplyEmpty) {
        send_empty(response, lock(&self.0).remove(parent, name));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        response: ReplyEmpty,
    ) {
        let renamed = lock(&self.0).rename((parent, name), (new_parent, new_name), flags);
        send_empty(response, renamed);
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        response: ReplyCreate,
    ) {
        match lock(&self.0).create(parent, name, Node::File(Vec::new())) {
            Ok(attributes) => response.created(
                &CACHED,
                &attributes,
                Generation(0),
                FileHandle(0),
                FopenFlags::empty(),
            ),
            Err(error) => response.error(error),
        }
    }

    fn read(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        bytes: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        response: ReplyData,
    ) {
        match lock(&self.0).read(inode, offset, bytes) {
            Ok(content) => response.data(content),
            Err(error) => response.error(error),
        }
    }

    fn write(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        bytes: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        response: ReplyWrite,
    ) {
        match lock(&self.0).write(inode, offset, bytes) {
            Ok(written) => response.written(written),
            Err(error) => response.error(error),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, response: ReplyEmpty) {
        response.ok();
    }

    fn fsync(&self, _: &Request, inode: INodeNo, _: FileHandle, _: bool, response: ReplyEmpty) {
        send_empty(response, lock(&self.0).sync(inode));
    }

    fn fsyncdir(&self, _: &Request, inode: INodeNo, _: FileHandle, _: bool, response: ReplyEmpty) {
        send_empty(response, lock(&self.0).sync(inode));
    }

    fn readdir(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        mut response: ReplyDirectory,
    ) {
        let entries = match lock(&self.0).entries(inode) {
            Ok(entries) => entries,
            Err(error) => return response.error(error),
        };
        let skipped = usize::try_from(offset).unwrap_or(usize::MAX);
        for (index, (inode, kind, name)) in entries.into_iter().enumerate().skip(skipped) {
            // The offset of an entry is where the next call continues.
            if response.add(inode, to_u64(index) + 1, kind, name) {
                break;
            }
        }
        response.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, response: ReplyStatfs) {
        response.statfs(BLOCKS, BLOCKS, BLOCKS, 0, 0, BLOCK_BYTES, 255, BLOCK_BYTES);
    }
}
