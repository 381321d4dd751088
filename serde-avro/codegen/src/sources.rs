//! The front ends of the generator: texts, files, and build scripts.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::config::{Generator, TimeCrate};
use crate::emit::emit;
use crate::error::Error;
use crate::files::{SchemaFile, SchemaFiles};
use crate::model;

impl Generator {
    /// Returns the types of schemas, each given with the name of its file. Schemas may use types of
    /// the others in any order.
    ///
    /// # Errors
    /// If a schema is invalid or has no equivalent in Rust, or an option does not match them.
    pub fn generate<'t>(
        &self,
        schemas: impl IntoIterator<Item = (&'t str, &'t str)>,
    ) -> Result<String, Error> {
        let files = schemas
            .into_iter()
            .map(|(path, text)| SchemaFile::new(PathBuf::from(path), text.to_owned()));
        let files = SchemaFiles::new(files.collect());
        let selected = files.newest(Path::new(""));
        self.generate_selected(&files, &selected)
    }

    /// Returns the types of schema files. A path is a file, or a folder with `.avsc` files at any
    /// depth; of files `SUBJECT/VERSION.avsc` in a folder the newest version counts. Types that a
    /// file does not define are searched below its folder.
    ///
    /// # Errors
    /// As [`Generator::generate`], and if a file cannot be read.
    pub fn generate_files<P: AsRef<Path>>(
        &self,
        paths: impl IntoIterator<Item = P>,
    ) -> Result<String, Error> {
        let paths: Vec<PathBuf> = paths.into_iter().map(|path| path.as_ref().into()).collect();
        let (files, selected) = read(&paths)?;
        self.generate_selected(&files, &selected)
    }

    /// Writes the types of schema files to `schemas.rs` in the folder `OUT_DIR` of a build script,
    /// and makes cargo run the script again when one of the paths changes. The crate includes the
    /// file: `include!(concat!(env!("OUT_DIR"), "/schemas.rs"));`.
    ///
    /// # Errors
    /// As [`Generator::generate_files`], and if `OUT_DIR` is not set or cannot be written.
    pub fn build<P: AsRef<Path>>(&self, paths: impl IntoIterator<Item = P>) -> Result<(), Error> {
        let paths: Vec<PathBuf> = paths.into_iter().map(|path| path.as_ref().into()).collect();
        for path in &paths {
            announce(path);
        }
        let code = self.generate_files(&paths)?;
        let folder = env::var_os("OUT_DIR").ok_or(Error::NoOutputFolder)?;
        write(&Path::new(&folder).join("schemas.rs"), &code)
    }

    /// Writes the types of schema files to a file. Its folder is created if it does not exist.
    ///
    /// # Errors
    /// As [`Generator::generate_files`], and if the file cannot be written. Its old content then
    /// remains.
    pub fn write_files<P: AsRef<Path>>(
        &self,
        paths: impl IntoIterator<Item = P>,
        out: &Path,
    ) -> Result<(), Error> {
        let code = self.generate_files(paths)?;
        if let Some(folder) = out.parent() {
            fs::create_dir_all(folder).map_err(|error| Error::Io {
                path: folder.to_owned(),
                error,
            })?;
        }
        write(out, &code)
    }

    /// Returns true if a file has the content that [`Generator::write_files`] would write.
    ///
    /// # Errors
    /// As [`Generator::generate_files`], and if the file exists and cannot be read.
    pub fn is_current<P: AsRef<Path>>(
        &self,
        paths: impl IntoIterator<Item = P>,
        out: &Path,
    ) -> Result<bool, Error> {
        let code = self.generate_files(paths)?;
        match fs::read(out) {
            Ok(found) => Ok(found == code.as_bytes()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::Io {
                path: out.to_owned(),
                error,
            }),
        }
    }

    /// Returns the lines of `[dependencies]` that the output needs, at most three.
    #[must_use]
    pub fn dependencies(&self) -> String {
        let time = match self.time {
            TimeCrate::Jiff => "jiff = \"0.2\"\n",
            TimeCrate::Chrono => "chrono = \"0.4\"\n",
            TimeCrate::Time => "time = \"0.3\"\n",
            TimeCrate::Raw => "",
        };
        let version = env!("CARGO_PKG_VERSION");
        format!("avouch-avro = \"{version}\"\n{time}uuid = \"1\"\n")
    }

    fn generate_selected(&self, files: &SchemaFiles, selected: &[usize]) -> Result<String, Error> {
        let definitions = model::collect(files, selected)?;
        emit(&model::build(&definitions, self)?, self)
    }
}

#[expect(
    clippy::print_stdout,
    reason = "the protocol between cargo and build scripts"
)]
fn announce(path: &Path) {
    println!("cargo::rerun-if-changed={}", path.display());
}

/// Writes a file, or leaves its old content after an error.
fn write(path: &Path, code: &str) -> Result<(), Error> {
    let failed = |error| Error::Io {
        path: path.to_owned(),
        error,
    };
    // A rename replaces the whole file.
    let partial = path.with_extension("rs.partial");
    let written = fs::write(&partial, code).and_then(|()| fs::rename(&partial, path));
    if written.is_err() {
        // The error of the write is the one to report.
        drop(fs::remove_file(&partial));
    }
    written.map_err(failed)
}

/// Reads the files that `paths` select, and those that they may refer to.
fn read(paths: &[PathBuf]) -> Result<(SchemaFiles, Vec<usize>), Error> {
    let mut folders = Vec::new();
    let mut chosen = Vec::new();
    let mut files: Vec<SchemaFile> = Vec::new();
    for path in paths {
        let failed = |error| Error::Io {
            path: path.clone(),
            error,
        };
        if fs::metadata(path).map_err(failed)?.is_dir() {
            folders.push(path.clone());
            add(&mut files, SchemaFiles::read(path).map_err(failed)?);
            continue;
        }
        let file = SchemaFile::new(path.clone(), fs::read_to_string(path).map_err(failed)?);
        if file.has_references() {
            let folder = file.reference_folder();
            add(&mut files, SchemaFiles::read(&folder).map_err(failed)?);
        }
        add(&mut files, SchemaFiles::new(vec![file]));
        chosen.push(path.clone());
    }
    // The order in which a folder is listed differs between file systems.
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let files = SchemaFiles::new(files);
    let mut selected = Vec::new();
    for folder in &folders {
        let newest = files.newest(folder);
        if newest.is_empty() {
            let path = folder.clone();
            return Err(Error::Empty { path });
        }
        selected.extend(newest);
    }
    selected.extend(chosen.iter().filter_map(|path| files.position(path)));
    Ok((files, selected))
}

fn add(files: &mut Vec<SchemaFile>, more: SchemaFiles) {
    for file in more.into_files() {
        if !files.iter().any(|known| known.path == file.path) {
            files.push(file);
        }
    }
}
