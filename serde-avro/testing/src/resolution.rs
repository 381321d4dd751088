//! Schema Resolution as the specification defines it: a datum of the writer's schema is decoded as
//! a value of the reader's schema. Checks the verdicts of [`Schema::can_read`].

use avouch_avro::Schema;
use avouch_avro::schema::{Field, Name, NodeId, Record, Type};

/// A value that the reader's schema cannot represent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolutionError {
    /// The types do not match and the writer's is not promoted to the reader's.
    #[error("{written} cannot be read as {read}")]
    Type {
        /// The writer's type.
        written: &'static str,
        /// The reader's type.
        read: &'static str,
    },
    /// The named types have different names.
    #[error("{written} cannot be read as {read}, which has another name")]
    Name {
        /// The writer's full name.
        written: String,
        /// The reader's full name.
        read: String,
    },
    /// The reader's enum has neither the symbol nor a default.
    #[error("unknown symbol {0}")]
    Symbol(String),
    /// The reader's field has neither a value nor a default.
    #[error("no value for field {0}")]
    Field(String),
    /// The reader's union has no branches.
    #[error("the reader's union has no branches")]
    EmptyUnion,
}

fn mismatch(written: &'static str, read: &Type) -> ResolutionError {
    let read = read.as_str();
    ResolutionError::Type { written, read }
}

/// Decodes a valid datum of `writer` with `reader`.
///
/// # Errors
/// Returns the first value that the reader's schema cannot represent.
///
/// # Panics
/// If the datum is not a valid value of `writer`.
pub fn resolve(reader: &Schema, writer: &Schema, datum: &[u8]) -> Result<(), ResolutionError> {
    let mut resolver = Resolver {
        reader,
        writer,
        datum,
        at: 0,
    };
    resolver.value(Some(reader.root()), writer.root())
}

struct Resolver<'a> {
    reader: &'a Schema,
    writer: &'a Schema,
    datum: &'a [u8],
    at: usize,
}

impl<'a> Resolver<'a> {
    /// Decodes a value of the writer's type as one of the reader's type, or skips it if `read` is
    /// `None`.
    fn value(&mut self, read: Option<NodeId>, written: NodeId) -> Result<(), ResolutionError> {
        let writer = self.writer;
        let kind = &writer.node(written).kind;
        // The writer's union is resolved first: the datum has the index of its branch.
        if let Type::Union(branches) = kind {
            let branch = self.length();
            return self.value(read, branches[branch]);
        }
        let reader = self.reader;
        if let Some(Type::Union(branches)) = read.map(|read| &reader.node(read).kind) {
            return self.first_matching(branches, written);
        }
        let read = read.map(|read| &reader.node(read).kind);
        match kind {
            Type::Union(_) => Ok(()),
            Type::Record(record) => self.record(read, record),
            Type::Array(item) => self.blocks(read, *item, false),
            Type::Map(item) => self.blocks(read, *item, true),
            Type::Enum(symbols) => {
                let symbol = &symbols.symbols[self.length()];
                match read {
                    None => Ok(()),
                    Some(Type::Enum(known)) => {
                        same_name((&known.name, &known.aliases), &symbols.name)?;
                        let accepted = known.symbols.contains(symbol) || known.default.is_some();
                        let unknown = || ResolutionError::Symbol(symbol.to_string());
                        accepted.then_some(()).ok_or_else(unknown)
                    }
                    Some(other) => Err(mismatch("enum", other)),
                }
            }
            Type::Fixed(fixed) => {
                self.at += fixed.size;
                match read {
                    None => Ok(()),
                    Some(Type::Fixed(known)) if known.size == fixed.size => {
                        same_name((&known.name, &known.aliases), &fixed.name)
                    }
                    Some(other) => Err(mismatch("fixed", other)),
                }
            }
            primitive => {
                // The bytes are those of the writer's type, whatever the reader promotes it to.
                self.skip(primitive);
                match read {
                    Some(read) if !promotes(primitive, read) => {
                        Err(mismatch(primitive.as_str(), read))
                    }
                    Some(_) | None => Ok(()),
                }
            }
        }
    }

    /// Tries the branches of a reader's union in order, each from the start of the value.
    fn first_matching(
        &mut self,
        branches: &[NodeId],
        written: NodeId,
    ) -> Result<(), ResolutionError> {
        // The last error describes why no branch matches.
        let start = self.at;
        let mut error = ResolutionError::EmptyUnion;
        for branch in branches {
            // A branch that fails may have read part of the value.
            self.at = start;
            match self.value(Some(*branch), written) {
                Ok(()) => return Ok(()),
                Err(branch_error) => error = branch_error,
            }
        }
        Err(error)
    }

    fn record(
        &mut self,
        read: Option<&'a Type>,
        written: &'a Record,
    ) -> Result<(), ResolutionError> {
        let read = match read {
            None => None,
            Some(Type::Record(read)) => Some(read),
            Some(other) => return Err(mismatch("record", other)),
        };
        if let Some(read) = read {
            same_name((&read.name, &read.aliases), &written.name)?;
        }
        let fields = read.map_or(&[][..], |read| &read.fields);
        for field in &written.fields {
            let start = self.at;
            // The field is skipped once to find its end, then read by each matching field.
            self.value(None, field.node)?;
            let end = self.at;
            for reads in fields
                .iter()
                .filter(|reads| reads_field(reads, &field.name))
            {
                // An alias can map one field of the writer to several of the reader.
                self.at = start;
                self.value(Some(reads.node), field.node)?;
                self.at = end;
            }
        }
        for reads in fields {
            let found = written
                .fields
                .iter()
                .any(|field| reads_field(reads, &field.name));
            // Defaults are valid by construction and not decoded.
            if !found && reads.default().is_none() {
                return Err(ResolutionError::Field(reads.name.to_string()));
            }
        }
        Ok(())
    }

    fn blocks(
        &mut self,
        read: Option<&Type>,
        item: NodeId,
        is_map: bool,
    ) -> Result<(), ResolutionError> {
        let read = match (read, is_map) {
            (None, _) => None,
            (Some(Type::Array(read)), false) | (Some(Type::Map(read)), true) => Some(*read),
            (Some(other), _) => {
                let written = if is_map { "map" } else { "array" };
                return Err(mismatch(written, other));
            }
        };
        loop {
            // The size of the block, which is not needed.
            let count = self.long();
            if count == 0 {
                return Ok(());
            }
            if count < 0 {
                self.long();
            }
            for _ in 0..count.unsigned_abs() {
                if is_map {
                    self.skip(&Type::String);
                }
                self.value(read, item)?;
            }
        }
    }

    fn skip(&mut self, primitive: &Type) {
        self.at += match primitive {
            Type::Boolean => 1,
            Type::Float => 4,
            Type::Double => 8,
            Type::Bytes | Type::String => self.length(),
            Type::Int | Type::Long => {
                self.long();
                0
            }
            _ => 0,
        };
    }

    fn length(&mut self) -> usize {
        usize::try_from(self.long()).expect("the datum is valid")
    }

    fn long(&mut self) -> i64 {
        let (mut value, mut shift) = (0_u64, 0);
        loop {
            let byte = self.datum[self.at];
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return (value >> 1).cast_signed() ^ -(value & 1).cast_signed();
            }
        }
    }
}

fn reads_field(reads: &Field, name: &str) -> bool {
    *reads.name == *name || reads.aliases.iter().any(|alias| **alias == *name)
}

fn same_name((read, aliases): (&Name, &[Name]), written: &Name) -> Result<(), ResolutionError> {
    let same = read.simple() == written.simple() || aliases.contains(written);
    same.then_some(()).ok_or_else(|| ResolutionError::Name {
        written: written.to_string(),
        read: read.to_string(),
    })
}

fn promotes(written: &Type, read: &Type) -> bool {
    let into: &[&str] = match written {
        Type::Int => &["int", "long", "float", "double"],
        Type::Long => &["long", "float", "double"],
        Type::Float => &["float", "double"],
        Type::Bytes | Type::String => &["bytes", "string"],
        other => &[other.as_str()],
    };
    into.contains(&read.as_str())
}
