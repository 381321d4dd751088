//! Schema resolution as the specification tells it: a datum of the writer's schema, read with the
//! reader's. What the compatibility relation promises is tried out on it.

use avouch_avro::Schema;
use avouch_avro::schema::{Field, Name, NodeId, Record, Type};

/// Reads a valid datum.
///
/// # Errors
/// What the reader's schema cannot take.
pub(crate) fn resolve(reader: &Schema, writer: &Schema, datum: &[u8]) -> Result<(), String> {
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
    /// Reads a value of the writer's type as one of the reader's, or skips it.
    fn value(&mut self, read: Option<NodeId>, written: NodeId) -> Result<(), String> {
        let writer = self.writer;
        let kind = &writer.node(written).kind;
        if let Type::Union(branches) = kind {
            let branch = self.length();
            return self.value(read, branches[branch]);
        }
        let reader = self.reader;
        if let Some(Type::Union(branches)) = read.map(|read| &reader.node(read).kind) {
            return self.first_that_takes(branches, written);
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
                        let takes = known.symbols.contains(symbol) || known.default.is_some();
                        takes.then_some(()).ok_or(format!("symbol {symbol}"))
                    }
                    Some(other) => Err(format!("enum as {}", other.as_str())),
                }
            }
            Type::Fixed(fixed) => {
                self.at += fixed.size;
                match read {
                    None => Ok(()),
                    Some(Type::Fixed(known)) if known.size == fixed.size => {
                        same_name((&known.name, &known.aliases), &fixed.name)
                    }
                    Some(other) => Err(format!("fixed as {}", other.as_str())),
                }
            }
            primitive => {
                self.skip(primitive);
                match read {
                    Some(read) if !promotes(primitive, read) => {
                        Err(format!("{} as {}", primitive.as_str(), read.as_str()))
                    }
                    Some(_) | None => Ok(()),
                }
            }
        }
    }

    fn first_that_takes(&mut self, branches: &[NodeId], written: NodeId) -> Result<(), String> {
        let start = self.at;
        let mut why = "an empty union".to_owned();
        for branch in branches {
            self.at = start;
            match self.value(Some(*branch), written) {
                Ok(()) => return Ok(()),
                Err(reason) => why = reason,
            }
        }
        Err(why)
    }

    fn record(&mut self, read: Option<&'a Type>, written: &'a Record) -> Result<(), String> {
        let read = match read {
            None => None,
            Some(Type::Record(read)) => Some(read),
            Some(other) => return Err(format!("record as {}", other.as_str())),
        };
        if let Some(read) = read {
            same_name((&read.name, &read.aliases), &written.name)?;
        }
        let fields = read.map_or(&[][..], |read| &read.fields);
        for field in &written.fields {
            let start = self.at;
            self.value(None, field.node)?;
            let end = self.at;
            for reads in fields
                .iter()
                .filter(|reads| takes_field(reads, &field.name))
            {
                self.at = start;
                self.value(Some(reads.node), field.node)?;
                self.at = end;
            }
        }
        for reads in fields {
            let found = written
                .fields
                .iter()
                .any(|field| takes_field(reads, &field.name));
            if !found && reads.default().is_none() {
                return Err(format!("no field {}", reads.name));
            }
        }
        Ok(())
    }

    fn blocks(&mut self, read: Option<&Type>, item: NodeId, is_map: bool) -> Result<(), String> {
        let read = match (read, is_map) {
            (None, _) => None,
            (Some(Type::Array(read)), false) | (Some(Type::Map(read)), true) => Some(*read),
            (Some(other), _) => return Err(format!("blocks as {}", other.as_str())),
        };
        loop {
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
        usize::try_from(self.long()).unwrap()
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

fn takes_field(reads: &Field, name: &str) -> bool {
    *reads.name == *name || reads.aliases.iter().any(|alias| **alias == *name)
}

fn same_name((read, aliases): (&Name, &[Name]), written: &Name) -> Result<(), String> {
    let same = read.simple() == written.simple() || aliases.contains(written);
    same.then_some(()).ok_or(format!("{written} as {read}"))
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
