//! Files of a stopped node that are corrupt, cut, missing or swapped. The node must report it: it
//! fails to start and names a file, or it starts, returns no wrong record, and logs a warning if
//! an acknowledged record is missing.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use avouch_avro_testing::Random;
use avouch_tests::node::Node;
use avouch_tests::protocol::Connection;

use super::ledger::Ledger;

const STEPS: usize = 120;
/// Corruptions per run of `.ci/run`.
const CORRUPTIONS: u64 = 16;
const SECTOR_BYTES: usize = 512;

// Conformance: log-proof/32
#[test]
fn corrupt_files_are_reported() -> Result<()> {
    let seeds = super::seeds(CORRUPTIONS)?;
    let mut random = Random::new(seeds.start);
    let original = tempfile::tempdir()?;
    let data_dir = original.path().join("data");
    let mut ledger = Ledger::default();
    let mut node = Node::start_on(&data_dir)?;
    let mut connection = Connection::open(node.bootstrap())?;
    for _ in 0..STEPS {
        ledger.step(&node, &mut connection, &mut random, &|| 0)?;
    }
    // Half of the files below exist only after a clean stop: segments and their indexes.
    ensure!(node.terminate()?.success(), "the node failed to stop");
    for seed in seeds {
        let copy = tempfile::tempdir()?;
        let data_dir = copy.path().join("data");
        let files = copy_directory(&original.path().join("data"), &data_dir)?;
        let corruption = corrupt(&files, &mut Random::new(seed))?;
        check(&ledger, &data_dir).with_context(|| format!("seed {seed}: {corruption}"))?;
    }
    Ok(())
}

fn check(ledger: &Ledger, data_dir: &Path) -> Result<()> {
    let node = match Node::start_on(data_dir) {
        Ok(node) => node,
        Err(error) => {
            let text = error.to_string();
            ensure!(!text.contains("panicked"), "{text}");
            let name = data_dir.to_string_lossy();
            ensure!(text.contains(&*name), "the error names no file: {text}");
            return Ok(());
        }
    };
    let missing = ledger.count_missing(&node)?;
    let log = node.log()?;
    ensure!(!log.contains("panicked"), "{log}");
    let is_reported = log.contains(" WARN ") || log.contains("ERROR ");
    ensure!(
        missing == 0 || is_reported,
        "{missing} records are missing without a warning"
    );
    Ok(())
}

/// Copies a directory and returns the copied files that belong to the log.
fn copy_directory(from: &Path, to: &Path) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(to)?;
    let mut files = Vec::new();
    let mut entries = fs::read_dir(from)?.collect::<Result<Vec<_>, _>>()?;
    // The order of a directory differs between machines; a seed must not.
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            files.extend(copy_directory(&entry.path(), &target)?);
        } else {
            fs::copy(entry.path(), &target)?;
            // SQLite does not checksum its pages, so it cannot report a changed one.
            if target.components().any(|part| part.as_os_str() == "log") {
                files.push(target);
            }
        }
    }
    Ok(files)
}

/// Corrupts one file and returns a description.
fn corrupt(files: &[PathBuf], random: &mut Random) -> Result<String> {
    let file = &files[random.below(files.len())];
    let name = file.display();
    let mut content = fs::read(file)?;
    let at = random.below(content.len().max(1));
    Ok(match random.below(5) {
        0 if !content.is_empty() => {
            content[at] ^= 1 << random.below(8);
            fs::write(file, content)?;
            format!("flipped a bit of byte {at} of {name}")
        }
        1 if !content.is_empty() => {
            let end = content.len().min(at + SECTOR_BYTES);
            content[at..end].fill(0);
            fs::write(file, content)?;
            format!("cleared the bytes {at} to {end} of {name}")
        }
        2 => {
            let length = content.len();
            content.truncate(at);
            fs::write(file, content)?;
            format!("cut {name} from {length} to {at} bytes")
        }
        3 => {
            let same_kind: Vec<&PathBuf> = files
                .iter()
                .filter(|other| *other != file && other.extension() == file.extension())
                .collect();
            let Some(other) = same_kind.get(random.below(same_kind.len().max(1))) else {
                return Ok(format!(
                    "changed nothing: {name} is the only one of its kind"
                ));
            };
            fs::write(file, fs::read(other)?)?;
            fs::write(other, content)?;
            format!("swapped {name} and {}", other.display())
        }
        _ => {
            fs::remove_file(file)?;
            format!("removed {name}")
        }
    })
}
