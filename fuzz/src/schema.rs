//! Schemas out of a fuzzer's bytes, so that it can change a schema as well as its data.

use std::fmt::Write as _;

use avouch_avro::Schema;

/// How deep types stand within each other.
const DEPTH_MAX: usize = 5;
const PRIMITIVES: [&str; 8] = [
    "null", "boolean", "int", "long", "float", "double", "bytes", "string",
];

/// Reads a schema from the start of `bytes`, which then begins behind it. `None` where the bytes
/// come to no schema, such as a union with one branch twice.
pub(crate) fn take(bytes: &mut &[u8]) -> Option<Schema> {
    let mut writer = Writer {
        bytes,
        text: String::new(),
        names: 0,
    };
    writer.any(DEPTH_MAX);
    Schema::parse(&writer.text).ok()
}

struct Writer<'a, 'b> {
    bytes: &'a mut &'b [u8],
    text: String,
    /// Names given so far: N0, N1 and so on.
    names: usize,
}

impl Writer<'_, '_> {
    /// The next byte, 0 behind the end.
    fn byte(&mut self) -> usize {
        let Some((first, rest)) = self.bytes.split_first() else {
            return 0;
        };
        *self.bytes = rest;
        usize::from(*first)
    }

    fn any(&mut self, depth: usize) {
        let kind = self.byte() % 16;
        match kind {
            8 if depth > 0 => {
                self.text.push_str(r#"{"type":"array","items":"#);
                self.any(depth - 1);
                self.text.push('}');
            }
            9 if depth > 0 => {
                self.text.push_str(r#"{"type":"map","values":"#);
                self.any(depth - 1);
                self.text.push('}');
            }
            10 if depth > 0 => self.union(depth - 1),
            11 => self.enumeration(),
            12 => self.fixed(),
            13 | 14 if depth > 0 => self.record(depth - 1),
            15 if self.names > 0 => {
                let name = self.byte() % self.names;
                self.put(format_args!(r#""N{name}""#));
            }
            primitive => self.put(format_args!(r#""{}""#, PRIMITIVES[primitive % 8])),
        }
    }

    fn union(&mut self, depth: usize) {
        self.list(|writer| writer.any(depth));
    }

    fn enumeration(&mut self) {
        let name = self.name();
        let symbols = self.byte() % 140;
        let symbols: Vec<_> = (0..symbols).map(|at| format!(r#""S{at}""#)).collect();
        let symbols = symbols.join(",");
        self.put(format_args!(
            r#"{{"type":"enum","name":"{name}","symbols":[{symbols}]}}"#
        ));
    }

    fn fixed(&mut self) {
        let (name, size) = (self.name(), self.byte() % 80);
        self.put(format_args!(
            r#"{{"type":"fixed","name":"{name}","size":{size}}}"#
        ));
    }

    /// Its name is known within it, so that it may contain itself.
    fn record(&mut self, depth: usize) {
        let name = self.name();
        self.put(format_args!(
            r#"{{"type":"record","name":"{name}","fields":"#
        ));
        let mut fields = 0;
        self.list(|writer| {
            writer.put(format_args!(r#"{{"name":"f{fields}","type":"#));
            writer.any(depth);
            writer.text.push('}');
            fields += 1;
        });
        self.text.push('}');
    }

    fn list(&mut self, mut item: impl FnMut(&mut Self)) {
        self.text.push('[');
        for at in 0..self.byte() % 8 {
            if at > 0 {
                self.text.push(',');
            }
            item(self);
        }
        self.text.push(']');
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("N{}", self.names - 1)
    }

    fn put(&mut self, part: std::fmt::Arguments<'_>) {
        self.text
            .write_fmt(part)
            .expect("a String takes everything");
    }
}
