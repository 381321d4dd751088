//! What changed in meaning between two versions of a schema, and who it breaks.
//!
//! Owns the list of changes. Who breaks is the compatibility relation's to say: some change breaks
//! new readers exactly if the new schema cannot read what the old one wrote, and some change breaks
//! old readers exactly if the old schema cannot read what the new one writes. So documentation,
//! attributes, logical types, orders and defaults of fields that both have break nobody.
//!
//! ```
//! use avouch_avro::{Schema, diff};
//!
//! let old = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#;
//! let new = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"long"}]}"#;
//! let (old, new) = (Schema::parse(old)?, Schema::parse(new)?);
//! let changes = diff::between(&old, &new)?;
//! assert_eq!(changes[0].to_string(), "/a: int became long; breaks old readers");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod types;
mod walk;

use crate::Schema;
use crate::compatibility::CheckError;
use crate::schema::Site;
use std::fmt;

/// One change. A type that is used in several places is compared once, at the first; again only
/// where it breaks someone whom it didn't break there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// What changed.
    pub kind: ChangeKind,
    /// Where in the old schema; of what is new, where it would have been: the type around it.
    pub old: Site,
    /// Where in the new schema; of what is gone, the type around it.
    pub new: Site,
    /// Who cannot go on.
    pub breaks: Breaks,
}

/// Whom a change breaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breaks {
    /// Readers that still have the old schema, on what is written with the new one.
    pub old_readers: bool,
    /// Readers that have the new schema, on what was written with the old one.
    pub new_readers: bool,
}

/// What can change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeKind {
    /// A field is new.
    FieldAdded {
        /// Its name.
        field: String,
        /// Whether it has a default.
        has_default: bool,
    },
    /// A field is gone.
    FieldRemoved {
        /// Its name.
        field: String,
    },
    /// A field has another name, and the old one as an alias.
    FieldRenamed {
        /// The old name.
        from: String,
        /// The new one.
        to: String,
    },
    /// Fields that both have stand in another order.
    FieldsReordered,
    /// A type that the old one is promoted to.
    Promoted {
        /// The old type.
        from: String,
        /// The new one.
        to: String,
    },
    /// Any other type.
    TypeChanged {
        /// The old type.
        from: String,
        /// The new one.
        to: String,
    },
    /// A record, enum or fixed has another name.
    NameChanged {
        /// The old full name.
        from: String,
        /// The new one.
        to: String,
    },
    /// A union has a new branch.
    BranchAdded {
        /// Its type.
        branch: String,
    },
    /// A union has lost a branch.
    BranchRemoved {
        /// Its type.
        branch: String,
    },
    /// Branches that both have stand in another order.
    BranchesReordered,
    /// An enum has new symbols.
    SymbolsAdded {
        /// The symbols.
        symbols: Vec<String>,
    },
    /// An enum has lost symbols.
    SymbolsRemoved {
        /// The symbols.
        symbols: Vec<String>,
    },
    /// Symbols that both have stand in another order.
    SymbolsReordered,
    /// A fixed has another size.
    SizeChanged {
        /// The old size in bytes.
        from: usize,
        /// The new one.
        to: usize,
    },
    /// The default of a field or an enum.
    DefaultChanged {
        /// The old default as JSON, if there was one.
        from: Option<String>,
        /// The new one.
        to: Option<String>,
    },
    /// The logical type, or its precision and scale.
    LogicalTypeChanged {
        /// The old one, such as `decimal(9, 2)`, if there was one.
        from: Option<String>,
        /// The new one.
        to: Option<String>,
    },
    /// The documentation.
    DocChanged,
    /// The aliases.
    AliasesChanged,
    /// How a field sorts.
    OrderChanged,
    /// Attributes that the specification gives no meaning.
    AttributesChanged,
}

/// The changes from `old` to `new`, in the order of the new schema.
///
/// # Errors
/// [`CheckError`], when there is no telling whether one reads the other.
pub fn between(old: &Schema, new: &Schema) -> Result<Vec<Change>, CheckError> {
    walk::changes(old, new, usize::MAX)
}

/// The first of the changes that [`between`] answers, at most `most`; what comes behind them is not
/// looked for.
///
/// # Errors
/// As [`between`].
pub fn first(old: &Schema, new: &Schema, most: usize) -> Result<Vec<Change>, CheckError> {
    walk::changes(old, new, most)
}

impl Breaks {
    /// Whether nobody breaks.
    #[must_use]
    pub fn nobody(self) -> bool {
        self == Self::default()
    }
}

impl fmt::Display for Breaks {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match (self.old_readers, self.new_readers) {
            (false, false) => "breaks nobody",
            (true, false) => "breaks old readers",
            (false, true) => "breaks new readers",
            (true, true) => "breaks old and new readers",
        })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}; {}", self.new.path, self.kind, self.breaks)
    }
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
        match self {
            Self::FieldAdded { field, has_default } => {
                let with = if *has_default { "with" } else { "without" };
                write!(out, "field {field} was added {with} a default")
            }
            Self::FieldRemoved { field } => write!(out, "field {field} was removed"),
            Self::FieldRenamed { from, to } => {
                write!(out, "field {from} was renamed to {to} by an alias")
            }
            Self::FieldsReordered => out.write_str("fields were reordered"),
            Self::Promoted { from, to } | Self::TypeChanged { from, to } => {
                write!(out, "{from} became {to}")
            }
            Self::NameChanged { from, to } => write!(out, "type {from} is called {to} now"),
            Self::BranchAdded { branch } => write!(out, "branch {branch} was added"),
            Self::BranchRemoved { branch } => write!(out, "branch {branch} was removed"),
            Self::BranchesReordered => out.write_str("branches were reordered"),
            Self::SymbolsAdded { symbols } => {
                write!(out, "symbols {} were added", symbols.join(", "))
            }
            Self::SymbolsRemoved { symbols } => {
                write!(out, "symbols {} were removed", symbols.join(", "))
            }
            Self::SymbolsReordered => out.write_str("symbols were reordered"),
            Self::SizeChanged { from, to } => write!(out, "size {from} became {to}"),
            Self::DefaultChanged { from, to } => {
                let (from, to) = (or_none(from), or_none(to));
                write!(out, "default {from} became {to}")
            }
            Self::LogicalTypeChanged { from, to } => {
                let (from, to) = (or_none(from), or_none(to));
                write!(out, "logical type {from} became {to}")
            }
            Self::DocChanged => out.write_str("documentation changed"),
            Self::AliasesChanged => out.write_str("aliases changed"),
            Self::OrderChanged => out.write_str("sort order changed"),
            Self::AttributesChanged => out.write_str("attributes changed"),
        }
    }
}
