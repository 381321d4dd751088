//! Schemas read from the fuzzer's bytes, so that it mutates schemas as well as data.

use std::fmt::Write as _;

use avouch_avro::Schema;

/// Maximum nesting of types.
const DEPTH_MAX: usize = 5;
const NAMESPACES: [&str; 2] = ["a", "a.b"];
/// Defaults, each valid for some types only.
const DEFAULTS: [&str; 8] = [
    "null",
    "true",
    "-1",
    "1.5",
    r#""S0""#,
    "[]",
    "{}",
    r#"{"f0":1}"#,
];
const PRIMITIVES: [&str; 8] = [
    "null", "boolean", "int", "long", "float", "double", "bytes", "string",
];

/// Reads a schema from the start of `bytes` and advances past it. Returns `None` if the bytes
/// describe an invalid schema, such as a union with a duplicate branch.
pub(crate) fn take(bytes: &mut &[u8]) -> Option<Schema> {
    let mut writer = Writer {
        bytes,
        text: String::new(),
        names: Vec::new(),
        space: None,
    };
    writer.any(DEPTH_MAX);
    Schema::parse(&writer.text).ok()
}

struct Writer<'a, 'b> {
    bytes: &'a mut &'b [u8],
    text: String,
    /// The full names generated so far: N0, a.N1 and so on.
    names: Vec<String>,
    /// The enclosing namespace.
    space: Option<&'static str>,
}

impl Writer<'_, '_> {
    /// Returns the next byte, 0 after the end.
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
            15 if !self.names.is_empty() => {
                let at = self.byte() % self.names.len();
                let name = self.names[at].clone();
                self.put(format_args!(r#""{name}""#));
            }
            primitive => self.put(format_args!(r#""{}""#, PRIMITIVES[primitive % 8])),
        }
    }

    fn union(&mut self, depth: usize) {
        self.list(|writer| writer.any(depth));
    }

    fn enumeration(&mut self) {
        self.head("enum");
        let symbols = self.byte() % 140;
        let list: Vec<_> = (0..symbols).map(|at| format!(r#""S{at}""#)).collect();
        self.put(format_args!(r#","symbols":[{}]"#, list.join(",")));
        if symbols > 0 && self.byte() % 4 == 1 {
            self.put(format_args!(r#","default":"S{}""#, symbols - 1));
        }
        self.text.push('}');
    }

    fn fixed(&mut self) {
        self.head("fixed");
        let size = self.byte() % 80;
        self.put(format_args!(r#","size":{size}}}"#));
    }

    /// Writes a record. Its name is in scope within it, so it may contain itself.
    fn record(&mut self, depth: usize) {
        let around = self.space;
        self.space = self.head("record");
        self.text.push_str(r#","fields":"#);
        let mut fields = 0;
        self.list(|writer| {
            writer.put(format_args!(r#"{{"name":"f{fields}","type":"#));
            writer.any(depth);
            writer.extras();
            writer.text.push('}');
            fields += 1;
        });
        self.space = around;
        self.text.push('}');
    }

    /// Writes optional attributes of a field.
    fn extras(&mut self) {
        let choice = self.byte();
        if choice & 0x10 != 0 {
            self.put(format_args!(r#","default":{}"#, DEFAULTS[choice % 8]));
        }
        if choice & 0x20 != 0 {
            self.put(format_args!(r#","aliases":["f{}"]"#, choice % 8));
        }
    }

    /// Writes the start of a definition, up to its aliases. Returns the namespace within it.
    fn head(&mut self, kind: &str) -> Option<&'static str> {
        let simple = format!("N{}", self.names.len());
        let choice = self.byte();
        let own = (choice & 3).checked_sub(1);
        let own = own.and_then(|at| NAMESPACES.get(at)).copied();
        self.put(format_args!(r#"{{"type":"{kind}","name":"{simple}""#));
        if let Some(own) = own {
            self.put(format_args!(r#","namespace":"{own}""#));
        }
        if choice & 4 != 0 {
            self.put(format_args!(r#","aliases":["a.N{}"]"#, choice >> 3 & 7));
        }
        let space = own.or(self.space);
        self.names.push(match space {
            Some(space) => format!("{space}.{simple}"),
            None => simple,
        });
        space
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

    fn put(&mut self, part: std::fmt::Arguments<'_>) {
        self.text
            .write_fmt(part)
            .expect("a String takes everything");
    }
}
