//! Changes between two versions of a schema, and the readers that they break.
//!
//! The result agrees with [`Schema::can_read`]: a change breaks new readers exactly if the new
//! schema cannot read data of the old one, and old readers exactly if the old schema cannot read
//! data of the new one. So changes of documentation, attributes, logical types, sort orders, and
//! defaults of fields in both versions break no readers.
//!
//! ```
//! use avouch_avro::{Schema, diff};
//!
//! let old = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#;
//! let new = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"long"}]}"#;
//! let (old, new) = (Schema::parse(old)?, Schema::parse(new)?);
//! let changes = diff::between(&old, &new)?;
//! assert_eq!(
//!     changes[0].to_string(),
//!     "/a: type changed from int to long; breaks old readers"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod types;
mod walk;

use crate::Schema;
use crate::compatibility::CheckError;
use crate::schema::Site;
use std::fmt;

/// A change. The changes of a type that is used several times are listed at its first use, and
/// again only where they break readers that they did not break there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The kind of change.
    pub kind: ChangeKind,
    /// The site in the old schema; for an addition, that of the enclosing type.
    pub old: Site,
    /// The site in the new schema; for a removal, that of the enclosing type.
    pub new: Site,
    /// The readers that the change breaks.
    pub breaks: Breaks,
}

/// The readers that a change breaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breaks {
    /// Readers with the old schema, on data of the new one.
    pub old_readers: bool,
    /// Readers with the new schema, on data of the old one.
    pub new_readers: bool,
}

/// The kinds of change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeKind {
    /// A field was added.
    FieldAdded {
        /// The name.
        field: String,
        /// True if the field has a default.
        has_default: bool,
    },
    /// A field was removed.
    FieldRemoved {
        /// The name.
        field: String,
    },
    /// A field has a new name, with the old one as an alias.
    FieldRenamed {
        /// The old name.
        from: String,
        /// The new one.
        to: String,
    },
    /// The fields in both versions have another order.
    FieldsReordered,
    /// The old type is promoted to the new type.
    Promoted {
        /// The old type.
        from: String,
        /// The new one.
        to: String,
    },
    /// The type changed otherwise.
    TypeChanged {
        /// The old type.
        from: String,
        /// The new one.
        to: String,
    },
    /// A record, enum or fixed has a new name.
    NameChanged {
        /// The old full name.
        from: String,
        /// The new one.
        to: String,
    },
    /// A branch was added to a union.
    BranchAdded {
        /// The type of the branch.
        branch: String,
    },
    /// A branch was removed from a union.
    BranchRemoved {
        /// The type of the branch.
        branch: String,
    },
    /// The branches in both versions have another order.
    BranchesReordered,
    /// Symbols were added to an enum.
    SymbolsAdded {
        /// The symbols.
        symbols: Vec<String>,
    },
    /// Symbols were removed from an enum.
    SymbolsRemoved {
        /// The symbols.
        symbols: Vec<String>,
    },
    /// The symbols in both versions have another order.
    SymbolsReordered,
    /// The size of a fixed changed.
    SizeChanged {
        /// The old size in bytes.
        from: usize,
        /// The new one.
        to: usize,
    },
    /// The default of a field or an enum changed.
    DefaultChanged {
        /// The old default as JSON, `None` without one.
        from: Option<String>,
        /// The new one.
        to: Option<String>,
    },
    /// The logical type or its precision or scale changed.
    LogicalTypeChanged {
        /// The old one, such as `decimal(9, 2)`, `None` without one.
        from: Option<String>,
        /// The new one.
        to: Option<String>,
    },
    /// The documentation changed.
    DocChanged,
    /// The aliases changed.
    AliasesChanged,
    /// The sort order of a field changed.
    OrderChanged,
    /// Attributes that the specification does not define changed.
    AttributesChanged,
}

/// Returns the changes from `old` to `new`, in the order of the new schema.
///
/// # Errors
/// Returns a [`CheckError`] if the schemas cannot be compared within the budget.
pub fn between(old: &Schema, new: &Schema) -> Result<Vec<Change>, CheckError> {
    walk::changes(old, new, usize::MAX)
}

/// Returns the first `max` of the changes that [`between`] returns, without computing the others.
///
/// # Errors
/// As [`between`].
pub fn first(old: &Schema, new: &Schema, max: usize) -> Result<Vec<Change>, CheckError> {
    walk::changes(old, new, max)
}

impl Breaks {
    /// Returns whether no readers break.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::default()
    }
}

impl fmt::Display for Breaks {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match (self.old_readers, self.new_readers) {
            (false, false) => "breaks no readers",
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
        let or_none = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
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
                write!(out, "type changed from {from} to {to}")
            }
            Self::NameChanged { from, to } => write!(out, "type {from} was renamed to {to}"),
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
            Self::SizeChanged { from, to } => write!(out, "size changed from {from} to {to}"),
            Self::DefaultChanged { from, to } => {
                let (from, to) = (or_none(from), or_none(to));
                write!(out, "default changed from {from} to {to}")
            }
            Self::LogicalTypeChanged { from, to } => {
                let (from, to) = (or_none(from), or_none(to));
                write!(out, "logical type changed from {from} to {to}")
            }
            Self::DocChanged => out.write_str("documentation changed"),
            Self::AliasesChanged => out.write_str("aliases changed"),
            Self::OrderChanged => out.write_str("sort order changed"),
            Self::AttributesChanged => out.write_str("attributes changed"),
        }
    }
}
