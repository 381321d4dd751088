//! The Rust files of the checkout, for tests that read source code.

use std::fs;
use std::path::Path;

use anyhow::Result;
use avouch_tests::checkout;

/// Folders without source code of the project.
const SKIPPED: [&str; 4] = ["target", "node_modules", ".tools", ".git"];

/// A file of the checkout.
pub(crate) struct Source {
    /// Path relative to the checkout's root, with slashes.
    pub(crate) path: String,
    /// Content.
    pub(crate) text: String,
}

/// Returns all `.rs` files, sorted by path.
pub(crate) fn rust_files() -> Result<Vec<Source>> {
    let mut files = Vec::new();
    gather(&checkout(), "", &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn gather(folder: &Path, prefix: &str, files: &mut Vec<Source>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            if !SKIPPED.contains(&name.as_str()) {
                gather(&entry.path(), &format!("{path}/"), files)?;
            }
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(entry.path())?;
            files.push(Source { path, text });
        }
    }
    Ok(())
}
