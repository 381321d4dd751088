//! `avouch schema check` and `register`: checks the compatibility of the versions in a directory,
//! and registers a file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use avouch_avro::Schema;
use avouch_avro::compatibility::Incompatibility;
use avouch_registry_api::client::{RegisterOptions, RegistryClient};
use avouch_registry_api::rest::RegisterRequest;
use avouch_registry_api::types::{CompatibilityLevel, SchemaId};

/// The result of a check, in the order of subjects and versions.
#[derive(Debug)]
pub(crate) struct Report {
    level: CompatibilityLevel,
    subjects: Vec<SubjectReport>,
}

#[derive(Debug)]
struct SubjectReport {
    subject: String,
    versions: usize,
    breaks: Vec<Break>,
}

/// A version that cannot read data of another.
#[derive(Debug)]
struct Break {
    reader: u32,
    writer: u32,
    findings: Vec<Incompatibility>,
}

impl Report {
    /// Returns whether all versions are compatible.
    pub(crate) fn compatible(&self) -> bool {
        self.subjects
            .iter()
            .all(|subject| subject.breaks.is_empty())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for SubjectReport {
            subject,
            versions,
            breaks,
        } in &self.subjects
        {
            let verdict = if breaks.is_empty() {
                "compatible"
            } else {
                "INCOMPATIBLE"
            };
            writeln!(
                f,
                "{subject}: {verdict} ({}, {versions} versions)",
                self.level
            )?;
            for Break {
                reader,
                writer,
                findings,
            } in breaks
            {
                writeln!(f, "  version {reader} cannot read data of version {writer}")?;
                for finding in findings {
                    let kind = finding.kind.as_str();
                    writeln!(f, "    {kind} at {}: {}", finding.path, finding.info)?;
                }
            }
        }
        Ok(())
    }
}

/// Checks the versions under `paths` at `level`, each against the previous ones of its subject. A
/// path is a directory of subjects, the directory of a subject, or a file in it.
///
/// # Errors
/// When a path contains no schema, a file is not named by its version, or a schema is invalid.
pub(crate) fn check(paths: &[PathBuf], level: CompatibilityLevel) -> anyhow::Result<Report> {
    let mut folders = BTreeSet::new();
    for path in paths {
        folders.extend(subject_folders(path).with_context(|| path.display().to_string())?);
    }
    let subjects = folders.iter().map(|folder| check_subject(folder, level));
    Ok(Report {
        level,
        subjects: subjects.collect::<anyhow::Result<_>>()?,
    })
}

fn subject_folders(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let path = path.canonicalize()?;
    if path.is_file() {
        let folder = path
            .parent()
            .context("a schema file must be in the directory of its subject")?;
        return Ok(vec![folder.to_owned()]);
    }
    let mut folders = Vec::new();
    for entry in fs::read_dir(&path)? {
        let entry = entry?.path();
        if entry.is_dir() {
            folders.push(entry);
        } else if is_schema(&entry) {
            return Ok(vec![path]);
        }
    }
    if folders.is_empty() {
        bail!("no schema found; expected .avsc files");
    }
    Ok(folders)
}

fn check_subject(folder: &Path, level: CompatibilityLevel) -> anyhow::Result<SubjectReport> {
    let versions = read_versions(folder)?;
    let subject = folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let history: Vec<(u32, &Schema)> = versions.iter().map(|(at, schema)| (*at, schema)).collect();
    let (reads_older, is_read_by_older) = directions(level);
    let mut breaks = Vec::new();
    for (count, newer) in history.iter().enumerate() {
        let reach = if level.is_transitive() {
            count
        } else {
            count.min(1)
        };
        for older in history.iter().take(count).rev().take(reach) {
            if reads_older {
                breaks.extend(compare(newer, older).with_context(|| subject.clone())?);
            }
            if is_read_by_older {
                breaks.extend(compare(older, newer).with_context(|| subject.clone())?);
            }
        }
    }
    Ok(SubjectReport {
        subject,
        versions: versions.len(),
        breaks,
    })
}

/// Returns whether a version must read data of older ones, and whether older ones must read its
/// data.
fn directions(level: CompatibilityLevel) -> (bool, bool) {
    match level {
        CompatibilityLevel::None => (false, false),
        CompatibilityLevel::Backward | CompatibilityLevel::BackwardTransitive => (true, false),
        CompatibilityLevel::Forward | CompatibilityLevel::ForwardTransitive => (false, true),
        CompatibilityLevel::Full | CompatibilityLevel::FullTransitive => (true, true),
    }
}

fn compare(
    (reader_version, reader): &(u32, &Schema),
    (writer_version, writer): &(u32, &Schema),
) -> anyhow::Result<Option<Break>> {
    let compatibility = reader
        .can_read(writer)
        .with_context(|| format!("version {reader_version} reading {writer_version}"))?;
    let (reader, writer) = (*reader_version, *writer_version);
    Ok((!compatibility.is_compatible()).then(|| Break {
        reader,
        writer,
        findings: compatibility.into_findings(),
    }))
}

fn read_versions(folder: &Path) -> anyhow::Result<BTreeMap<u32, Schema>> {
    let mut versions = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if !is_schema(&path) {
            continue;
        }
        let stem = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or_default();
        let version = stem
            .parse()
            .ok()
            .filter(|version| *version > 0)
            .ok_or_else(|| {
                anyhow!(
                    "{}: invalid file name; expected a version, such as 1.avsc",
                    path.display()
                )
            })?;
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let schema = Schema::parse(&text).with_context(|| path.display().to_string())?;
        if versions.insert(version, schema).is_some() {
            bail!("{}: duplicate version {version}", path.display());
        }
    }
    if versions.is_empty() {
        bail!(
            "{}: no schema found; expected .avsc files",
            folder.display()
        );
    }
    Ok(versions)
}

fn is_schema(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "avsc")
}

/// Registers the schema in the file at `path` under `subject` and returns its id.
///
/// # Errors
/// When the file cannot be read, the registry cannot be reached, or it rejects the schema.
pub(crate) async fn register(
    registry: &RegistryClient,
    subject: &str,
    path: &Path,
) -> anyhow::Result<SchemaId> {
    let request = RegisterRequest::avro(fs::read_to_string(path)?);
    let options = RegisterOptions::default();
    let registered = registry.register(subject, &request, options).await?;
    registered.id.context("the registry returned no id")
}
