//! Deterministic races: a disk that runs another operation in the middle of one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;

use super::batches::{Spec, tp};
use super::harness::{Driven, small};
use super::model::read_all;
use super::sim::{Crash, Faults, SimDisk};
use crate::locks::lock;
use crate::wal::{WalLimits, preallocate_file};
use crate::{AppendOutcome, Disk, DiskFile, FileSystem, OpenMode};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ScanStep {
    Write,
    Sync,
}

type When = Box<dyn Fn(&Path, ScanStep) -> bool + Send>;
type Then = Box<dyn FnOnce() + Send>;

/// Runs an action once, right before the first step that matches; supports several actions.
#[derive(Clone)]
struct Interrupted {
    disk: SimDisk,
    planned: Arc<Mutex<Vec<(When, Then)>>>,
}

#[derive(Debug)]
struct InterruptedFile {
    disk: Interrupted,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
}

impl Interrupted {
    fn new() -> Self {
        Self {
            disk: SimDisk::new(Faults::default()),
            planned: Arc::default(),
        }
    }

    fn at(
        &self,
        when: impl Fn(&Path, ScanStep) -> bool + Send + 'static,
        then: impl FnOnce() + Send + 'static,
    ) {
        lock(&self.planned).push((Box::new(when), Box::new(then)));
    }

    fn before(&self, path: &Path, step: ScanStep) {
        let due = {
            let mut planned = lock(&self.planned);
            let at = planned.iter().position(|(when, _)| when(path, step));
            at.map(|at| planned.remove(at))
        };
        if let Some((_, then)) = due {
            then();
        }
    }

    fn interrupted(&self, path: &Path, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(InterruptedFile {
            disk: self.clone(),
            path: path.to_owned(),
            file,
        })
    }

    fn was_interrupted(&self) -> bool {
        lock(&self.planned).is_empty()
    }
}

impl std::fmt::Debug for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.disk.fmt(f)
    }
}

impl Disk for Interrupted {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.interrupted(path, self.disk.open(path, mode)?))
    }

    fn open_in_sectors(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.interrupted(path, self.disk.open_in_sectors(path, mode)?))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.disk.list(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_dir(path)
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        self.disk.free_bytes(path)
    }

    fn salt(&self) -> io::Result<u64> {
        self.disk.salt()
    }

    fn exists(&self, path: &Path) -> bool {
        self.disk.exists(path)
    }

    fn file_system(&self, dir: &Path) -> io::Result<Option<Box<dyn FileSystem>>> {
        self.disk.file_system(dir)
    }
}

impl DiskFile for InterruptedFile {
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.disk.before(&self.path, ScanStep::Write);
        self.file.write_at(bytes, at)
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        self.file.read_at(into, at)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.before(&self.path, ScanStep::Sync);
        self.file.sync_data()
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        self.file.size_bytes()
    }
}

fn open(disk: &Interrupted) -> Driven {
    let (driven, _) = Driven::open(small("/data"), Arc::new(disk.clone())).unwrap();
    driven.log.create_partition(tp(1)).unwrap();
    driven
}

fn append(driven: &mut Driven, id: u64, bytes: usize) -> AppendOutcome {
    let spec = Spec {
        bytes,
        ..Spec::new(id)
    };
    driven.append(vec![spec.append_to(tp(1))])[0]
}

fn count(disk: SimDisk) -> usize {
    let (driven, _) = Driven::open(small("/data"), Arc::new(disk)).unwrap();
    read_all(&driven, tp(1)).unwrap().len()
}

// Conformance: log-proof/14
#[test]
fn preallocation_avoids_the_file_being_started() {
    let disk = Interrupted::new();
    let mut driven = open(&disk);
    let (blocked, is_blocked) = channel();
    let (go_on, goes_on) = channel::<()>();
    let spare = Arc::new(Mutex::new(None));

    // The preallocating thread stops between truncating its file and filling it.
    let is_spare = |_: &Path, step: ScanStep| {
        step == ScanStep::Write && thread::current().name() == Some("spare")
    };
    disk.at(is_spare, move || {
        blocked.send(()).unwrap();
        goes_on.recv().unwrap();
    });
    // It starts right before the first sync of the writer's next file.
    let first = lock(&driven.log.shared.wal_files).live[0].id;
    let is_next = move |path: &Path, step: ScanStep| {
        let is_slot = path.extension().is_some_and(|name| name == "wal");
        is_slot && step == ScanStep::Sync && path != first.path(Path::new("/data/wal"))
    };
    let (shared, handle) = (Arc::clone(&driven.log.shared), Arc::clone(&spare));
    disk.at(is_next, move || {
        let prepare = move || {
            let limits = WalLimits::of(&shared.config);
            preallocate_file(&*shared.disk, &shared.wal_dir(), limits, &shared.wal_files).unwrap();
        };
        let thread = thread::Builder::new().name("spare".to_owned());
        *lock(&handle) = Some(thread.spawn(prepare).unwrap());
        is_blocked.recv().unwrap();
    });

    let mut id = 0;
    while lock(&driven.log.shared.wal_files).live.len() < 2 {
        id += 1;
        append(&mut driven, id, 1_500);
        assert!(id < 100);
    }
    append(&mut driven, id + 1, 1_500);
    assert!(disk.was_interrupted());
    go_on.send(()).unwrap();
    let spare = lock(&spare).take().unwrap();
    spare.join().unwrap();
    for crash in [Crash::Killed, Crash::Nothing] {
        assert_eq!(
            count(disk.disk.after(crash)),
            usize::try_from(id).unwrap() + 1
        );
    }
}

// Conformance: log-proof/15
#[test]
fn checkpoint_during_deletion_keeps_the_topic() {
    let disk = Interrupted::new();
    let mut driven = open(&disk);
    for id in 1..=3 {
        append(&mut driven, id, 120);
    }
    let (flusher, machine) = (driven.flusher(), disk.disk.clone());
    let is_wal = |path: &Path, step: ScanStep| {
        step == ScanStep::Write && path.extension().is_some_and(|name| name == "wal")
    };
    disk.at(is_wal, move || {
        flusher.checkpoint().unwrap();
        machine.set_faults(Faults {
            crash_at: Some(machine.steps() + 1),
            ..Faults::default()
        });
    });
    let topic = tp(1).topic;
    let deleted = |result: Result<(), _>| assert!(result.is_err());
    driven.log.start_deletion(topic, Box::new(deleted));
    driven.commit();
    assert!(disk.was_interrupted());
    for crash in [
        Crash::Nothing,
        Crash::Torn {
            block: 512,
            seed: 1,
        },
    ] {
        let left = disk.disk.after(crash);
        let (driven, _) = Driven::open(small("/data"), Arc::new(left)).unwrap();
        if driven.log.bounds(tp(1)).is_some() {
            assert_eq!(read_all(&driven, tp(1)).unwrap().len(), 3, "{crash:?}");
        }
    }
}
