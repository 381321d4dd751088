//! `avouch schema check` and `register`: checks the compatibility of the versions in a directory,
//! and registers a file with the files that it refers to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use avouch_avro::Schema;
use avouch_avro::compatibility::Incompatibility;
use avouch_registry_api::client::{LookupOptions, RegisterOptions, RegistryClient};
use avouch_registry_api::rest::{ReferenceRequest, RegisterRequest, SchemaBody};
use avouch_registry_api::types::{CompatibilityLevel, SchemaId, Version};

use avouch_codegen::files::{SchemaFile, SchemaFiles, is_schema};

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
    // A set, because several files can belong to one subject.
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
    // The subject is the name of the directory, which `.` and `..` do not have.
    let path = path.canonicalize()?;
    // All versions of the subject are checked: a file alone has nothing to compare with.
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
        // Other levels compare with the previous version only.
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
            // Versions count from 1, as in the registry.
            .filter(|version| *version > 0)
            .ok_or_else(|| {
                anyhow!(
                    "{}: invalid file name; expected a version, such as 1.avsc",
                    path.display()
                )
            })?;
        let schema = parse(&path)?;
        // `1.avsc` and `01.avsc` have the same version.
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

/// Parses a file. Types that it does not define are searched in the files below its directory, or
/// below the directory of its subject's directory if it is named by a version.
fn parse(path: &Path) -> anyhow::Result<Schema> {
    let place = || path.display().to_string();
    let text = fs::read_to_string(path).with_context(place)?;
    let file = SchemaFile::new(path.to_owned(), text);
    if !file.has_references() {
        return Schema::parse(&file.text).with_context(place);
    }
    let (files, at) = files_around(&file)?;
    Ok(files.parse(at)?)
}

/// Reads the files that `file` may refer to, and returns them with its index.
fn files_around(file: &SchemaFile) -> anyhow::Result<(SchemaFiles, usize)> {
    let folder = file.reference_folder();
    let files = SchemaFiles::read(&folder).with_context(|| folder.display().to_string())?;
    let at = files.position(&file.path).context("the file was deleted")?;
    Ok((files, at))
}

/// Registers the schema in the file at `path` under `subject` and returns its id. Files that it
/// refers to are registered first, under the name of their directory if they are named by a
/// version, else under the full name of their type.
///
/// # Errors
/// When a file cannot be read, a reference cannot be resolved, the registry cannot be reached, or
/// it rejects a schema.
pub(crate) async fn register(
    registry: &RegistryClient,
    subject: &str,
    path: &Path,
) -> anyhow::Result<SchemaId> {
    // Symbolic links and relative paths would not equal the paths below the directory.
    let path = path.canonicalize()?;
    let file = SchemaFile::new(path.clone(), fs::read_to_string(&path)?);
    let (files, at) = match file.has_references() {
        true => files_around(&file)?,
        false => (SchemaFiles::new(vec![file]), 0),
    };
    let order = files.order(at)?;
    let mut registered: BTreeMap<usize, (String, Version)> = BTreeMap::new();
    for needed in order.into_iter().filter(|needed| *needed != at) {
        let file = files.file(needed);
        let subject = subject_of(file)?;
        let (request, body) = register_one(registry, &subject, &files, needed, &registered)
            .await
            .with_context(|| format!("{} as {subject}", file.path.display()))?;
        let version = match body.version {
            Some(version) => version,
            // Older registries return the id only.
            None => {
                let found = registry.look_up(&subject, &request, LookupOptions::default());
                found.await?.version.context("no version in the response")?
            }
        };
        registered.insert(needed, (subject, version));
    }
    let (_, body) = register_one(registry, subject, &files, at, &registered).await?;
    body.id.context("the registry returned no id")
}

async fn register_one(
    registry: &RegistryClient,
    subject: &str,
    files: &SchemaFiles,
    at: usize,
    registered: &BTreeMap<usize, (String, Version)>,
) -> anyhow::Result<(RegisterRequest, SchemaBody)> {
    let references = files.references(at)?;
    let references = references.into_iter().filter_map(|reference| {
        let (subject, version) = registered.get(&reference.file)?;
        Some(ReferenceRequest {
            name: Some(reference.name),
            subject: Some(subject.clone()),
            version: Some(version.get()),
        })
    });
    let references: Vec<ReferenceRequest> = references.collect();
    let mut request = RegisterRequest::avro(files.file(at).text.clone());
    request.references = Some(references).filter(|references| !references.is_empty());
    let body = registry
        .register(subject, &request, RegisterOptions::default())
        .await?;
    Ok((request, body))
}

fn subject_of(file: &SchemaFile) -> anyhow::Result<String> {
    let folder = file.path.parent().and_then(Path::file_name);
    let subject = match (file.version(), folder) {
        (Some(_), Some(folder)) => folder.to_str(),
        _ => file.root_name(),
    };
    let named = || {
        format!(
            "{}: the schema has no name to register it",
            file.path.display()
        )
    };
    subject.map(str::to_owned).with_context(named)
}
