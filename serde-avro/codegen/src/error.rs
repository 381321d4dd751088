//! Errors: schemas that are invalid, and schemas that Rust types cannot express.

use std::io;
use std::path::PathBuf;

use crate::files::ReferenceError;

/// A reason why no code is generated. Nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file is not a valid schema, or its references cannot be resolved.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// A file cannot be read or written.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// A path has no schema files.
    #[error("{}: no schema found; expected .avsc files", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// A schema has no equivalent in Rust, or an option does not match the schemas.
    #[error("{}: {reason}", place(path, *line))]
    Unsupported {
        /// The file with the schema.
        path: PathBuf,
        /// The line of the type, from 1.
        line: usize,
        /// The reason and a solution.
        reason: Reason,
    },
    /// The generator does not run in a build script.
    #[error("OUT_DIR is not set; call build in a build script")]
    NoOutputFolder,
    /// An option names a type or field that no schema has.
    #[error("no schema defines {name:?}, which an option names")]
    UnknownOption {
        /// The full name of a type, or of a type and a field with a dot between them.
        name: String,
    },
    /// A type of an option is not Rust.
    #[error("{text:?} is not a Rust type; expected a path such as crate::Money")]
    InvalidType {
        /// The type in the option.
        text: String,
    },
}

/// The reason why Rust cannot express a schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// One name has two definitions.
    #[error(
        "type {name:?} is also defined in {}, differently; rename one of them or use the same \
         definition", other.display()
    )]
    Conflict {
        /// The full name.
        name: String,
        /// The file with the other definition.
        other: PathBuf,
    },
    /// A union without branches has no value.
    #[error("the union has no branches, so it has no value; add a branch")]
    EmptyUnion,
    /// A type that contains itself in every value has no finite value.
    #[error(
        "every value of {name:?} contains another one, so it has no value; make the field \
         {field:?} a union with null"
    )]
    Endless {
        /// The full name.
        name: String,
        /// The field through which the type contains itself.
        field: String,
    },
    /// The schema with the types that it refers to exceeds a limit of the parser.
    #[error("with the types that it refers to, the schema is too large: {message}; split it")]
    Limit {
        /// The limit.
        message: String,
    },
    /// An attribute with a Rust name is not an identifier.
    #[error("x-rust-name {name:?} is not a name of a Rust type; expected letters, such as Money")]
    RustName {
        /// The attribute.
        name: String,
    },
}

fn place(path: &std::path::Path, line: usize) -> String {
    format!("{}:{line}", path.display())
}
