//! Random schemas, as texts that people could have written.

use super::{PRIMITIVES, Random};
use avouch_avro::Schema;
use serde_json::{Map, Value, json};

const NAMESPACES: [&str; 3] = ["a", "a.b", "Org.x_1"];
/// What documentation and other strings say: all that JSON escapes, and what it need not.
const TEXTS: [&str; 8] = [
    "",
    "plain",
    "a \"quoted\" word",
    "back\\slash and /",
    "two\nlines\r\n\tand a tab",
    "\u{1}\u{8}\u{c}\u{1f}\u{7f}",
    "\u{e9}\u{df}\u{2028}",
    "\u{65e5}\u{672c} \u{1f600}",
];
/// Logical types with what they annotate.
const LOGICAL: [(&str, &str); 13] = [
    ("int", "date"),
    ("int", "time-millis"),
    ("long", "time-micros"),
    ("long", "timestamp-millis"),
    ("long", "timestamp-micros"),
    ("long", "timestamp-nanos"),
    ("long", "local-timestamp-millis"),
    ("long", "local-timestamp-micros"),
    ("long", "local-timestamp-nanos"),
    ("string", "uuid"),
    ("bytes", "decimal"),
    ("bytes", "big-decimal"),
    ("double", "no-such-type"),
];

/// A random schema, some four types deep: every type, names with and without namespaces, used
/// again, records that contain themselves by a union, an array or a map; documentation, logical
/// types, orders, defaults, aliases and attributes of no meaning. Unions have null or boolean among
/// their branches, so that data can end.
///
/// # Panics
/// If what it wrote is no schema, which is a fault of the parser or of this.
pub fn schema(random: &mut Random) -> Schema {
    let mut writer = Writer {
        random,
        defined: Vec::new(),
        open: Vec::new(),
        names: 0,
    };
    let text = writer.any(None, 4).to_string();
    Schema::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

struct Writer<'r> {
    random: &'r mut Random,
    /// Full names, each with its symbols if it is an enum's.
    defined: Vec<(String, Vec<String>)>,
    /// Records around the one at hand, which only unions and blocks may use.
    open: Vec<String>,
    /// Names given so far.
    names: usize,
}

/// The namespace around a type.
type Space<'s> = Option<&'s str>;

impl Writer<'_> {
    fn any(&mut self, space: Space<'_>, depth: usize) -> Value {
        if depth == 0 || self.random.one_in(3) {
            return self.primitive();
        }
        if self.random.one_in(6)
            && let Some(name) = self.known(space)
        {
            return name;
        }
        match self.random.below(6) {
            0 => json!({"type": "array", "items": self.part(space, depth - 1)}),
            1 => json!({"type": "map", "values": self.part(space, depth - 1)}),
            2 => self.union(space, depth - 1),
            3 => self.enumeration(space),
            4 => self.fixed(space),
            _ => self.record(space, depth - 1),
        }
    }

    fn primitive(&mut self) -> Value {
        if self.random.one_in(6) {
            let (kind, logical) = self.random.pick(&LOGICAL);
            let mut text = json!({"type": kind, "logicalType": logical});
            if logical == "decimal" {
                text["precision"] = json!(9);
                text["scale"] = json!(self.random.below(10));
            }
            return text;
        }
        json!(self.random.pick(&PRIMITIVES))
    }

    /// A reference to a type that is defined. One without a namespace is not seen from within one.
    fn known(&mut self, space: Space<'_>) -> Option<Value> {
        let seen = |name: &&String| name.contains('.') || space.is_none();
        let defined = self.defined.iter().map(|(name, _)| name);
        let names: Vec<_> = defined.filter(seen).cloned().collect();
        let at = self.random.below(names.len().max(1));
        names.get(at).map(|name| self.reference(name, space))
    }

    /// The name as a text has it: in full, or short from within its namespace.
    fn reference(&mut self, name: &str, space: Space<'_>) -> Value {
        match name.rsplit_once('.') {
            Some((own, simple)) if Some(own) == space && self.random.one_in(2) => json!(simple),
            _ => json!(name),
        }
    }

    /// A type where a record around it may come again without being endless.
    fn part(&mut self, space: Space<'_>, depth: usize) -> Value {
        let seen = |name: &&String| name.contains('.') || space.is_none();
        let open: Vec<_> = self.open.iter().filter(seen).cloned().collect();
        if !open.is_empty() && self.random.one_in(3) {
            let at = self.random.below(open.len());
            return self.reference(&open[at], space);
        }
        self.any(space, depth)
    }

    fn union(&mut self, space: Space<'_>, depth: usize) -> Value {
        let small = self.random.pick(&["null", "null", "boolean"]);
        let mut branches = vec![json!(small)];
        for _ in 0..self.random.pick(&[0, 1, 1, 1, 2, 3, 6]) {
            let defined = self.defined.len();
            let branch = self.part(space, depth);
            let key = branch_key(&branch, space);
            let is_taken = |other: &Value| branch_key(other, space) == key;
            if branch.is_array() || branches.iter().any(is_taken) {
                self.defined.truncate(defined);
            } else {
                branches.push(branch);
            }
        }
        // Definitions stay before references: only the branch that defines nothing moves.
        if self.random.one_in(2) {
            branches.rotate_left(1);
        }
        json!(branches)
    }

    fn enumeration(&mut self, space: Space<'_>) -> Value {
        let (mut text, name) = self.named("enum", space);
        let count = self.random.below(70);
        let symbols: Vec<_> = (0..count).map(|at| format!("S{at}")).collect();
        if count > 0 && self.random.one_in(3) {
            text["default"] = json!(symbols[self.random.below(count)]);
        }
        text["symbols"] = json!(symbols);
        self.defined.push((name, symbols));
        text
    }

    fn fixed(&mut self, space: Space<'_>) -> Value {
        let (mut text, name) = self.named("fixed", space);
        text["size"] = json!(self.random.below(5));
        match self.random.below(8) {
            0 => text["logicalType"] = json!("duration"),
            1 => {
                text["size"] = json!(16);
                text["logicalType"] = json!("uuid");
            }
            2 => {
                text["size"] = json!(8);
                text["logicalType"] = json!("decimal");
                text["precision"] = json!(4);
            }
            _ => {}
        }
        self.defined.push((name, Vec::new()));
        text
    }

    fn record(&mut self, space: Space<'_>, depth: usize) -> Value {
        let kind = if self.random.one_in(16) {
            "error"
        } else {
            "record"
        };
        let (mut text, name) = self.named(kind, space);
        let within = name.rsplit_once('.').map(|(own, _)| own.to_owned());
        self.open.push(name.clone());
        let count = self.random.below(5);
        let fields: Vec<_> = (0..count)
            .map(|at| self.field(at, within.as_deref(), depth))
            .collect();
        self.open.pop();
        text["fields"] = json!(fields);
        self.defined.push((name, Vec::new()));
        text
    }

    fn field(&mut self, at: usize, space: Space<'_>, depth: usize) -> Value {
        let kind = self.any(space, depth);
        let mut text = json!({"name": format!("f{at}")});
        if self.random.one_in(4)
            && let Some(default) = self.default(&kind, space)
        {
            text["default"] = default;
        }
        if self.random.one_in(8) {
            text["order"] = json!(self.random.pick(&["ascending", "descending", "ignore"]));
        }
        if self.random.one_in(8) {
            text["aliases"] = json!([format!("g{}", self.random.below(100))]);
        }
        text["type"] = kind;
        self.decorate(&mut text);
        text
    }

    /// A default of a type, if it has a simple one.
    fn default(&mut self, kind: &Value, space: Space<'_>) -> Option<Value> {
        let word = match kind {
            Value::Array(branches) => return self.default(branches.first()?, space),
            Value::String(word) => word,
            other => other["type"].as_str()?,
        };
        let number = self.random.below(2_000);
        Some(match word {
            "null" => Value::Null,
            "boolean" => json!(self.random.one_in(2)),
            "int" | "long" => json!(i64::try_from(number).ok()? - 1_000),
            "float" | "double" if number < 1_000 => json!(number),
            "float" | "double" => json!(self.random.pick(&[1.5, -2.0])),
            "string" => json!(self.random.pick(&TEXTS)),
            "bytes" => json!("\u{0}\u{ff}b"),
            "array" => json!([]),
            "map" => json!({}),
            "enum" => kind["symbols"].get(0)?.clone(),
            "fixed" => json!("f".repeat(usize::try_from(kind["size"].as_u64()?).ok()?)),
            "record" | "error" => {
                let fields = kind["fields"].as_array()?;
                let all = fields.iter().all(|field| field.get("default").is_some());
                all.then(|| json!({}))?
            }
            name => {
                let full = full_name(name, space);
                let (_, symbols) = self.defined.iter().find(|(known, _)| *known == full)?;
                json!(symbols.first()?)
            }
        })
    }

    /// A definition with a name and all that is optional, and its full name.
    fn named(&mut self, kind: &str, space: Space<'_>) -> (Value, String) {
        let simple = format!("N{}", self.names);
        self.names += 1;
        let mut text = json!({"type": kind, "name": simple});
        let own = match self.random.below(3) {
            0 => Some(self.random.pick(&NAMESPACES)),
            _ => None,
        };
        let full = match own.or(space) {
            Some(space) => format!("{space}.{simple}"),
            None => simple,
        };
        if let Some(own) = own {
            if self.random.one_in(2) {
                text["name"] = json!(full);
            } else {
                text["namespace"] = json!(own);
            }
        }
        if self.random.one_in(6) {
            let old = format!("Old{}", self.names);
            let dotted = format!("a.{old}x");
            text["aliases"] = self
                .random
                .pick(&[&json!([old]), &json!([dotted, old])])
                .clone();
        }
        self.decorate(&mut text);
        (text, full)
    }

    /// Adds what says nothing to a decoder.
    fn decorate(&mut self, text: &mut Value) {
        if self.random.one_in(5) {
            text["doc"] = json!(self.random.pick(&TEXTS));
        }
        if self.random.one_in(8) {
            let mut nested = Map::new();
            nested.insert(self.random.pick(&TEXTS).to_owned(), json!([1, -0.5, null]));
            let values = [json!(self.random.pick(&TEXTS)), json!(nested), json!(true)];
            text["x-note"] = values[self.random.below(values.len())].clone();
        }
    }
}

/// What tells branches of a union apart.
fn branch_key(text: &Value, space: Space<'_>) -> String {
    if let Some(word) = text.as_str() {
        return full_name(word, space);
    }
    match text["name"].as_str() {
        Some(name) => full_name(name, text["namespace"].as_str().or(space)),
        None => text["type"].as_str().unwrap_or_default().to_owned(),
    }
}

fn full_name(name: &str, space: Space<'_>) -> String {
    match space {
        Some(space) if !name.contains('.') && !PRIMITIVES.contains(&name) => {
            format!("{space}.{name}")
        }
        Some(_) | None => name.to_owned(),
    }
}
