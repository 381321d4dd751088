//! References between schema files: which files define the named types that a file uses, in the
//! order in which they must be parsed or registered. Only [`SchemaFiles::read`] reads files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use avouch_avro::Schema;
use avouch_avro::schema::{Limits, ParseError};
use serde_json::Value;
use thiserror::Error;

/// Maximum depth of the directories that are searched for definitions.
const DIRECTORY_DEPTH_MAX: usize = 8;
const PRIMITIVES: [&str; 8] = [
    "null", "boolean", "int", "long", "float", "double", "bytes", "string",
];

/// A schema whose references cannot be resolved.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// No file defines a type.
    #[error(
        "{}: unknown type {name:?}; expected a definition in this file or another .avsc file",
        path.display()
    )]
    Unknown {
        /// The file that uses the type.
        path: PathBuf,
        /// The full name of the type.
        name: String,
    },
    /// Several files define a type.
    #[error("{}: type {name:?} is defined in several files: {}", path.display(), paths(.files))]
    Ambiguous {
        /// The file that uses the type.
        path: PathBuf,
        /// The full name of the type.
        name: String,
        /// The files that define it.
        files: Vec<PathBuf>,
    },
    /// Files need each other.
    #[error("the schema files refer to each other in a cycle: {}", paths(.files))]
    Cycle {
        /// The files; the last one is the first one again.
        files: Vec<PathBuf>,
    },
    /// A file is not a valid schema.
    #[error("{}: {error}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The error with its position.
        error: ParseError,
    },
}

fn paths(files: &[PathBuf]) -> String {
    let shown: Vec<_> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    shown.join(", ")
}

/// A file with a schema.
#[derive(Clone, Debug)]
pub struct SchemaFile {
    /// The path as it is shown in errors.
    pub path: PathBuf,
    /// The schema.
    pub text: String,
    names: Names,
}

/// The full names of the types that a schema defines and uses.
#[derive(Clone, Debug, Default)]
struct Names {
    root: Option<String>,
    defined: BTreeSet<String>,
    /// A used name with the enclosing namespace, and as it is written.
    used: BTreeSet<(String, String)>,
}

impl SchemaFile {
    /// Returns a file with the names in `text`. Invalid JSON has no names: the parser reports it.
    pub fn new(path: PathBuf, text: String) -> Self {
        let mut names = Names::default();
        if let Ok(schema) = serde_json::from_str(&text) {
            names.root = full_name(&schema, "");
            names.collect(&schema, "");
        }
        Self { path, text, names }
    }

    /// Returns the full name of the schema if it is a record, enum or fixed.
    pub fn root_name(&self) -> Option<&str> {
        self.names.root.as_deref()
    }

    /// Returns the version in the name of a file such as `SUBJECT/1.avsc`.
    pub fn version(&self) -> Option<u32> {
        let stem = self.path.file_stem()?.to_str()?;
        stem.parse().ok().filter(|version| *version > 0)
    }

    /// Returns the folder of a file that is named by its version, as `SUBJECT/1.avsc`: the subject.
    pub(crate) fn subject(&self) -> Option<String> {
        self.version()?;
        let folder = self.path.parent()?.file_name()?;
        folder.to_str().map(str::to_owned)
    }

    /// Returns a name for a schema without one: that of the subject or of the file.
    pub(crate) fn stem(&self) -> String {
        let stem = || self.path.file_stem()?.to_str().map(str::to_owned);
        self.subject().or_else(stem).unwrap_or_default()
    }

    /// Returns the folder whose files a file may refer to: its own, or that of its subject's folder
    /// if it is named by a version.
    pub fn reference_folder(&self) -> PathBuf {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let folder = match self.version() {
            Some(_) => folder.parent().unwrap_or(folder),
            None => folder,
        };
        // The parent of a relative path may be empty, which is no folder.
        match folder.as_os_str().is_empty() {
            true => PathBuf::from("."),
            false => folder.to_owned(),
        }
    }

    /// Returns true if the file uses types that it does not define.
    pub fn has_references(&self) -> bool {
        self.missing().next().is_some()
    }

    /// Returns the used names that the file does not define.
    fn missing(&self) -> impl Iterator<Item = &(String, String)> {
        let defined = &self.names.defined;
        let used = self.names.used.iter();
        used.filter(move |(full, written)| !defined.contains(full) && !defined.contains(written))
    }
}

impl Names {
    fn collect(&mut self, schema: &Value, namespace: &str) {
        match schema {
            Value::String(name) if PRIMITIVES.contains(&name.as_str()) => {}
            Value::String(name) => {
                let full = qualified(name, namespace);
                self.used.insert((full, name.clone()));
            }
            Value::Array(branches) => {
                for branch in branches {
                    self.collect(branch, namespace);
                }
            }
            Value::Object(attributes) => {
                let kind = attributes.get("type");
                match kind.and_then(Value::as_str) {
                    Some("record" | "error" | "enum" | "fixed") => {
                        self.define(schema, namespace);
                    }
                    Some("array") => self.collect_at(schema, "items", namespace),
                    Some("map") => self.collect_at(schema, "values", namespace),
                    // A name or a primitive type with attributes, or a nested schema.
                    _ => self.collect_at(schema, "type", namespace),
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn collect_at(&mut self, schema: &Value, key: &str, namespace: &str) {
        if let Some(inner) = schema.get(key) {
            self.collect(inner, namespace);
        }
    }

    fn define(&mut self, schema: &Value, namespace: &str) {
        let Some(full) = full_name(schema, namespace) else {
            return;
        };
        // Names in the fields are relative to the namespace of their record.
        let inner = full.rsplit_once('.').map_or("", |(inner, _)| inner);
        let fields = schema.get("fields").and_then(Value::as_array);
        for field in fields.into_iter().flatten() {
            self.collect_at(field, "type", inner);
        }
        self.defined.insert(full);
    }
}

/// Returns the full name of a record, enum or fixed (Avro specification, section Names).
fn full_name(schema: &Value, enclosing: &str) -> Option<String> {
    let name = schema.get("name")?.as_str()?;
    let own = schema.get("namespace").and_then(Value::as_str);
    Some(qualified(name, own.unwrap_or(enclosing)))
}

fn qualified(name: &str, namespace: &str) -> String {
    match name.contains('.') || namespace.is_empty() {
        true => name.to_owned(),
        false => format!("{namespace}.{name}"),
    }
}

/// Schema files that may refer to each other.
#[derive(Debug, Default)]
pub struct SchemaFiles {
    files: Vec<SchemaFile>,
    /// The files that define each name.
    definitions: BTreeMap<String, Vec<usize>>,
}

/// A use of a type that another file defines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The full name of the type.
    pub name: String,
    /// The index of the file that defines it.
    pub file: usize,
}

impl SchemaFiles {
    /// Reads the `.avsc` files below a directory.
    ///
    /// # Errors
    /// If a directory or file cannot be read.
    pub fn read(directory: &Path) -> io::Result<Self> {
        let mut found = Vec::new();
        find(directory, DIRECTORY_DEPTH_MAX, &mut found)?;
        // The order of directory entries is arbitrary; errors must not depend on it.
        found.sort();
        let read = found.into_iter().map(|path| {
            // The file itself may be given without the dot.
            let path = path.strip_prefix(".").map(Path::to_owned).unwrap_or(path);
            let text = fs::read_to_string(&path)?;
            Ok(SchemaFile::new(path, text))
        });
        Ok(Self::new(read.collect::<io::Result<_>>()?))
    }

    /// Returns these files with an index of their definitions.
    pub fn new(files: Vec<SchemaFile>) -> Self {
        let mut definitions: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, file) in files.iter().enumerate() {
            for name in &file.names.defined {
                definitions.entry(name.clone()).or_default().push(at);
            }
        }
        Self { files, definitions }
    }

    /// Returns a file by its index.
    pub fn file(&self, at: usize) -> &SchemaFile {
        &self.files[at]
    }

    /// Returns the files.
    pub(crate) fn into_files(self) -> Vec<SchemaFile> {
        self.files
    }

    /// Returns the files below a folder, of versions of one subject the newest.
    pub(crate) fn newest(&self, folder: &Path) -> Vec<usize> {
        let mut newest: BTreeMap<&Path, usize> = BTreeMap::new();
        for (at, file) in self.files.iter().enumerate() {
            if !file.path.starts_with(folder) {
                continue;
            }
            let kept = newest.entry(group(file)).or_insert(at);
            if self.files[*kept].version() < file.version() {
                *kept = at;
            }
        }
        let mut newest: Vec<usize> = newest.into_values().collect();
        newest.sort_unstable();
        newest
    }

    /// Returns the index of the file at `path`.
    pub fn position(&self, path: &Path) -> Option<usize> {
        self.files.iter().position(|file| file.path == path)
    }

    /// Returns the types that a file uses and does not define, with the files that define them.
    ///
    /// # Errors
    /// If no file or several files define a type.
    pub fn references(&self, at: usize) -> Result<Vec<Reference>, ReferenceError> {
        let missing = self.files[at].missing();
        missing
            .map(|(full, written)| {
                // A name without namespace may also be one of the null namespace.
                let found = [full, written].into_iter().find_map(|name| {
                    let files = self.definers(at, name);
                    (!files.is_empty()).then_some((name, files))
                });
                match found {
                    None => Err(ReferenceError::Unknown {
                        path: self.files[at].path.clone(),
                        name: full.clone(),
                    }),
                    Some((name, files)) => match files[..] {
                        [file] => Ok(Reference {
                            name: name.clone(),
                            file,
                        }),
                        _ => Err(ReferenceError::Ambiguous {
                            path: self.files[at].path.clone(),
                            name: name.clone(),
                            files: self.paths(&files),
                        }),
                    },
                }
            })
            .collect()
    }

    /// Returns the files that could provide a type for the file `user`: of versions of one subject
    /// the newest, and files whose root is the type before those that contain it.
    fn definers(&self, user: usize, name: &str) -> Vec<usize> {
        let mut newest: BTreeMap<&Path, usize> = BTreeMap::new();
        for &at in self.definitions.get(name).into_iter().flatten() {
            let file = &self.files[at];
            // Another version of the same subject cannot be referenced.
            if at == user || group(file) == group(&self.files[user]) {
                continue;
            }
            let kept = newest.entry(group(file)).or_insert(at);
            if self.files[*kept].version() < file.version() {
                *kept = at;
            }
        }
        let all: Vec<usize> = newest.into_values().collect();
        let is_root = |at: &&usize| self.files[**at].root_name() == Some(name);
        let roots: Vec<usize> = all.iter().filter(is_root).copied().collect();
        if roots.is_empty() { all } else { roots }
    }

    /// Returns the files that a file needs, directly or not, each after those that it needs itself;
    /// the file is the last one.
    ///
    /// # Errors
    /// If a type cannot be resolved, or files need each other.
    pub fn order(&self, at: usize) -> Result<Vec<usize>, ReferenceError> {
        let mut order = Vec::new();
        self.visit(at, &mut Vec::new(), &mut order)?;
        Ok(order)
    }

    fn visit(
        &self,
        at: usize,
        path: &mut Vec<usize>,
        order: &mut Vec<usize>,
    ) -> Result<(), ReferenceError> {
        if order.contains(&at) {
            return Ok(());
        }
        if let Some(start) = path.iter().position(|other| *other == at) {
            let cycle = [&path[start..], &[at]].concat();
            let files = self.paths(&cycle);
            return Err(ReferenceError::Cycle { files });
        }
        path.push(at);
        for reference in self.references(at)? {
            self.visit(reference.file, path, order)?;
        }
        path.pop();
        order.push(at);
        Ok(())
    }

    /// Parses a file with the files that it needs.
    ///
    /// # Errors
    /// As [`Self::order`], and if a file is not a valid schema.
    pub fn parse(&self, at: usize) -> Result<Schema, ReferenceError> {
        let mut parsed: BTreeMap<usize, Schema> = BTreeMap::new();
        // The order ends with the file itself.
        for needed in self.order(at)?.into_iter().filter(|needed| *needed != at) {
            let schema = self.parse_one(needed, &parsed)?;
            parsed.insert(needed, schema);
        }
        self.parse_one(at, &parsed)
    }

    fn parse_one(
        &self,
        at: usize,
        parsed: &BTreeMap<usize, Schema>,
    ) -> Result<Schema, ReferenceError> {
        let references = self.references(at)?;
        let references = references
            .iter()
            .filter_map(|reference| parsed.get(&reference.file).cloned());
        let references: Vec<Schema> = references.collect();
        let file = &self.files[at];
        let schema = Schema::parse_with(&file.text, &references, &Limits::default());
        schema.map_err(|error| ReferenceError::Invalid {
            path: file.path.clone(),
            error,
        })
    }

    fn paths(&self, files: &[usize]) -> Vec<PathBuf> {
        let files = files.iter().map(|at| self.files[*at].path.clone());
        files.collect()
    }
}

/// Returns what has versions: the directory of `SUBJECT/1.avsc`, or the file itself.
fn group(file: &SchemaFile) -> &Path {
    match (file.version(), file.path.parent()) {
        (Some(_), Some(folder)) => folder,
        _ => &file.path,
    }
}

fn find(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        // Symbolic links are not followed, because they can form a cycle.
        let kind = entry.file_type()?;
        let path = entry.path();
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if kind.is_dir() && depth > 0 && !is_hidden {
            find(&path, depth - 1, found)?;
        } else if kind.is_file() && is_schema(&path) {
            found.push(path);
        }
    }
    Ok(())
}

/// Returns true for the path of an Avro schema file.
pub fn is_schema(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "avsc")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MONEY: &str = r#"{"type": "record", "name": "Money", "namespace": "shop", "fields": [
        {"name": "currency", "type": "Currency"}, {"name": "units", "type": "long"}]}"#;
    const CURRENCY: &str =
        r#"{"type": "enum", "name": "shop.Currency", "symbols": ["EUR", "USD"]}"#;
    const ORDER: &str = r#"{"type": "record", "name": "Order", "namespace": "shop", "fields": [
        {"name": "lines", "type": {"type": "array", "items": ["null", "shop.Money"]}},
        {"name": "total", "type": {"type": "Money"}}]}"#;

    fn files(named: &[(&str, &str)]) -> SchemaFiles {
        let files = named
            .iter()
            .map(|(path, text)| SchemaFile::new((*path).into(), (*text).to_owned()));
        SchemaFiles::new(files.collect())
    }

    #[test]
    fn files_are_ordered_by_reference() {
        let files = files(&[
            ("order.avsc", ORDER),
            ("money.avsc", MONEY),
            ("currency.avsc", CURRENCY),
        ]);
        assert_eq!(files.order(0).unwrap(), [2, 1, 0]);
        assert_eq!(files.order(2).unwrap(), [2]);
        let order = files.parse(0).unwrap();
        assert!(order.named("shop.Currency").is_some());
    }

    #[test]
    fn newest_version_of_a_subject_applies() {
        let files = files(&[
            ("order-value/1.avsc", ORDER),
            ("money/2.avsc", MONEY),
            ("money/10.avsc", MONEY),
            ("currency/1.avsc", CURRENCY),
        ]);
        assert_eq!(files.order(0).unwrap(), [3, 2, 0]);
    }

    #[test]
    fn root_definitions_precede_nested_ones() {
        let nested = r#"{"type": "record", "name": "shop.Price", "fields": [
            {"name": "currency", "type":
                {"type": "enum", "name": "Currency", "symbols": ["EUR"]}}]}"#;
        let files = files(&[("m.avsc", MONEY), ("n.avsc", nested), ("c.avsc", CURRENCY)]);
        assert_eq!(files.order(0).unwrap(), [2, 0]);
    }

    #[test]
    fn unresolvable_references_are_reported() {
        let other = r#"{"type": "record", "name": "shop.Currency", "fields": [
            {"name": "money", "type": "Money"}]}"#;
        let cases = [
            (
                &[("m.avsc", MONEY)][..],
                "m.avsc: unknown type \"shop.Currency\"; expected a definition in this file or \
                 another .avsc file",
            ),
            (
                &[
                    ("m.avsc", MONEY),
                    ("a.avsc", CURRENCY),
                    ("b.avsc", CURRENCY),
                ],
                "m.avsc: type \"shop.Currency\" is defined in several files: a.avsc, b.avsc",
            ),
            (
                &[("m.avsc", MONEY), ("c.avsc", other)],
                "the schema files refer to each other in a cycle: m.avsc, c.avsc, m.avsc",
            ),
            // A previous version of the same subject is no definition.
            (
                &[("m/2.avsc", MONEY), ("m/1.avsc", CURRENCY)],
                "m/2.avsc: unknown type \"shop.Currency\"; expected a definition in this file or \
                 another .avsc file",
            ),
        ];
        for (named, expected) in cases {
            let error = files(named).parse(0).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn names_without_namespace_resolve_in_both_namespaces() {
        let user = r#"{"type": "record", "name": "shop.User", "fields": [
            {"name": "id", "type": "Id"}]}"#;
        let id = r#"{"type": "fixed", "name": "Id", "size": 4}"#;
        let files = files(&[("u.avsc", user), ("i.avsc", id)]);
        let references = files.references(0).unwrap();
        assert_eq!(references[0].name, "Id");
    }
}
