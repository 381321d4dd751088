//! A recursive decoder that follows the specification's Binary Encoding step by step, with the
//! strictness of [`avouch_avro::validator`]. It compiles nothing and has no fast path; the compiled
//! validator must report the same result and the same fault.

use avouch_avro::Schema;
use avouch_avro::schema::{NodeId, Record, Type};
use avouch_avro::validator::{Budget, Fault, Need, Reason};

/// Checks that `datum` is exactly one value of `schema`.
///
/// # Errors
/// Returns the first fault, equal to that of [`Validator::validate`].
///
/// [`Validator::validate`]: avouch_avro::validator::Validator::validate
pub fn check(schema: &Schema, budget: Budget, datum: &[u8]) -> Result<(), Fault> {
    let mut decoder = Decoder {
        schema,
        data: datum,
        at: 0,
        items_left: budget.items,
        depth_left: budget.depth,
    };
    decoder.value(schema.root(), "")?;
    if decoder.at == datum.len() {
        Ok(())
    } else {
        Err(decoder.fault(Reason::TrailingBytes, "", decoder.at))
    }
}

struct Decoder<'a> {
    schema: &'a Schema,
    data: &'a [u8],
    at: usize,
    items_left: u64,
    depth_left: u32,
}

impl Decoder<'_> {
    fn value(&mut self, id: NodeId, path: &str) -> Result<(), Fault> {
        let schema = self.schema;
        if takes_no_bytes(schema, id, &mut Vec::new()) {
            return Ok(());
        }
        match &schema.node(id).kind {
            Type::Null => Ok(()),
            Type::Boolean => match self.take(1, "boolean", path)?[..] {
                [0 | 1] => Ok(()),
                _ => Err(self.fault(Reason::BadBool, path, self.at - 1)),
            },
            Type::Int => self.varint(5, 0x0f, "int", path).map(drop),
            Type::Long => self.varint(10, 0x01, "long", path).map(drop),
            Type::Float => self.take(4, "float", path).map(drop),
            Type::Double => self.take(8, "double", path).map(drop),
            Type::Fixed(fixed) => self.take(fixed.size as u64, "fixed", path).map(drop),
            Type::Bytes => self.bytes("bytes", path).map(drop),
            Type::String => self.string(path),
            Type::Enum(symbols) => self
                .index(symbols.symbols.len(), "enum", Reason::BadEnum, path)
                .map(drop),
            Type::Union(branches) => {
                let index = self.index(branches.len(), "union index", Reason::BadUnion, path)?;
                let branch = schema.node(branches[index]);
                let name = branch
                    .name()
                    .map_or(branch.kind.as_str(), |name| name.fullname());
                self.value(branches[index], &format!("{path}({name})"))
            }
            Type::Record(record) => self.nested(path, |decoder| decoder.record(record, path)),
            Type::Array(item) => self.nested(path, |decoder| decoder.blocks(*item, false, path)),
            Type::Map(item) => self.nested(path, |decoder| decoder.blocks(*item, true, path)),
        }
    }

    fn nested(
        &mut self,
        path: &str,
        read: impl FnOnce(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if self.depth_left == 0 {
            return Err(self.fault(Reason::TooDeep, path, self.at));
        }
        // Not restored after a fault, which ends the check.
        self.depth_left -= 1;
        read(self)?;
        self.depth_left += 1;
        Ok(())
    }

    fn record(&mut self, record: &Record, path: &str) -> Result<(), Fault> {
        for field in &record.fields {
            self.value(field.node, &format!("{path}/{}", field.name))?;
        }
        Ok(())
    }

    fn blocks(&mut self, item: NodeId, is_map: bool, path: &str) -> Result<(), Fault> {
        // Items that take no bytes are counted, not decoded: their count alone bounds the work.
        let walks = is_map || !takes_no_bytes(self.schema, item, &mut Vec::new());
        let mut index = 0;
        loop {
            let start = self.at;
            let count = self.long("block count", path)?;
            if count == 0 {
                return Ok(());
            }
            let items = count.unsigned_abs();
            // The whole block counts at once, as in the validator.
            if items > self.items_left {
                return Err(self.fault(Reason::TooComplex, path, start));
            }
            self.items_left -= items;
            let mut end = None;
            if count < 0 {
                let start = self.at;
                let size = self.long("block size", path)?;
                if size < 0 {
                    return Err(self.fault(Reason::BadBlock, path, start));
                }
                end = Some(self.at as u64 + size.unsigned_abs());
            }
            for _ in 0..if walks { items } else { 0 } {
                if is_map {
                    self.string(&format!("{path}{{{index}}}.key"))?;
                    self.value(item, &format!("{path}{{{index}}}"))?;
                } else {
                    self.value(item, &format!("{path}[{index}]"))?;
                }
                index += 1;
            }
            if end.is_some_and(|end| end != self.at as u64) {
                return Err(self.fault(Reason::BadBlock, path, self.at));
            }
        }
    }

    fn index(
        &mut self,
        count: usize,
        what: &'static str,
        reason: Reason,
        path: &str,
    ) -> Result<usize, Fault> {
        let start = self.at;
        // An index is an int, so it is negative for odd encodings.
        let index = unzigzag(self.varint(5, 0x0f, what, path)?);
        let index = usize::try_from(index).ok().filter(|index| *index < count);
        index.ok_or_else(|| self.fault(reason, path, start))
    }

    fn string(&mut self, path: &str) -> Result<(), Fault> {
        let bytes = self.bytes("string", path)?;
        let start = self.at - bytes.len();
        match std::str::from_utf8(&bytes) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.fault(Reason::BadUtf8, path, start + error.valid_up_to())),
        }
    }

    fn bytes(&mut self, what: &'static str, path: &str) -> Result<Vec<u8>, Fault> {
        let start = self.at;
        let length = self.long("length", path)?;
        match u64::try_from(length) {
            Ok(length) => self.take(length, what, path),
            Err(_) => Err(self.fault(Reason::BadVarint, path, start)),
        }
    }

    fn long(&mut self, what: &'static str, path: &str) -> Result<i64, Fault> {
        self.varint(10, 0x01, what, path).map(unzigzag)
    }

    /// Reads a varint of at most `bytes_max` bytes, the last of them at most `last_byte_max`.
    fn varint(
        &mut self,
        bytes_max: usize,
        last_byte_max: u8,
        what: &'static str,
        path: &str,
    ) -> Result<u64, Fault> {
        let start = self.at;
        let mut value = 0;
        for index in 0..bytes_max {
            let Some(byte) = self.data.get(start + index) else {
                return Err(self.truncated(what, index as u64 + 1, path));
            };
            if index == bytes_max - 1 && *byte > last_byte_max {
                let fault = self.fault(Reason::BadVarint, path, start);
                // Only an int can be too wide and still have a value.
                let wide = (bytes_max == 5).then(|| self.wide_int(start)).flatten();
                return Err(fault.with_wide_int(wide));
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.at += index + 1;
                break;
            }
        }
        Ok(value)
    }

    fn wide_int(&mut self, start: usize) -> Option<i64> {
        let value = self.long("int", "");
        self.at = start;
        value.ok().filter(|value| i32::try_from(*value).is_err())
    }

    fn take(&mut self, bytes: u64, what: &'static str, path: &str) -> Result<Vec<u8>, Fault> {
        let rest = &self.data[self.at..];
        match usize::try_from(bytes)
            .ok()
            .and_then(|bytes| rest.get(..bytes))
        {
            Some(taken) => {
                self.at += taken.len();
                Ok(taken.to_vec())
            }
            None => Err(self.truncated(what, bytes, path)),
        }
    }

    fn truncated(&self, what: &'static str, bytes: u64, path: &str) -> Fault {
        let fault = self.fault(Reason::Truncated, path, self.at);
        fault.with_need(Need { what, bytes })
    }

    fn fault(&self, reason: Reason, path: &str, offset: usize) -> Fault {
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        };
        Fault::new(reason, path, offset, self.data.len())
    }
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// Returns whether every value of a type is encoded in zero bytes. A recursive record counts as
/// non-empty.
fn takes_no_bytes(schema: &Schema, id: NodeId, enclosing: &mut Vec<NodeId>) -> bool {
    match &schema.node(id).kind {
        Type::Null => true,
        Type::Fixed(fixed) => fixed.size == 0,
        Type::Record(record) => {
            // Without this a record that contains itself would recurse forever.
            if enclosing.contains(&id) {
                return false;
            }
            enclosing.push(id);
            let empty = record
                .fields
                .iter()
                .all(|field| takes_no_bytes(schema, field.node, enclosing));
            enclosing.pop();
            empty
        }
        _ => false,
    }
}
