//! Random schemas, generated as JSON.

use super::{PRIMITIVES, Random};
use avouch_avro::Schema;
use serde_json::{Map, Value, json};

const NAMESPACES: [&str; 3] = ["a", "a.b", "Org.x_1"];
/// Strings for documentation and attributes: every kind of JSON escape, and characters without one.
const STRINGS: [&str; 8] = [
    "",
    "plain",
    "a \"quoted\" word",
    "back\\slash and /",
    "two\nlines\r\n\tand a tab",
    "\u{1}\u{8}\u{c}\u{1f}\u{7f}",
    "\u{e9}\u{df}\u{2028}",
    "\u{65e5}\u{672c} \u{1f600}",
];
/// Logical types, each after the type that it annotates.
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

/// Returns a random schema of about four levels. It uses every type, names with and without
/// namespaces, references to names, records that contain themselves through a union, an array or a
/// map, documentation, logical types, orders, defaults, aliases and custom attributes. Each union
/// has a null or boolean branch, so that data of recursive schemas are finite.
///
/// # Panics
/// If the generated JSON is not a schema, which is a defect of the parser or of this function.
pub fn schema(random: &mut Random) -> Schema {
    let mut writer = Writer {
        random,
        defined: Vec::new(),
        open: Vec::new(),
        names: 0,
    };
    let json = writer.any(None, 4).to_string();
    Schema::parse(&json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

struct Writer<'r> {
    random: &'r mut Random,
    /// The full names defined so far; those of enums with their symbols.
    defined: Vec<(String, Vec<String>)>,
    /// The enclosing records. Only unions, arrays and maps may refer to them, or data would be
    /// infinite.
    open: Vec<String>,
    /// The number of names generated so far.
    names: usize,
}

/// The enclosing namespace of a type.
type Namespace<'s> = Option<&'s str>;

impl Writer<'_> {
    fn any(&mut self, namespace: Namespace<'_>, depth: usize) -> Value {
        if depth == 0 || self.random.one_in(3) {
            return self.primitive();
        }
        if self.random.one_in(6)
            && let Some(name) = self.known(namespace)
        {
            return name;
        }
        match self.random.below(6) {
            0 => json!({"type": "array", "items": self.child(namespace, depth - 1)}),
            1 => json!({"type": "map", "values": self.child(namespace, depth - 1)}),
            2 => self.union(namespace, depth - 1),
            3 => self.enumeration(namespace),
            4 => self.fixed(namespace),
            _ => self.record(namespace, depth - 1),
        }
    }

    fn primitive(&mut self) -> Value {
        if self.random.one_in(6) {
            let (kind, logical) = self.random.pick(&LOGICAL);
            let mut json = json!({"type": kind, "logicalType": logical});
            if logical == "decimal" {
                json["precision"] = json!(9);
                json["scale"] = json!(self.random.below(10));
            }
            return json;
        }
        json!(self.random.pick(&PRIMITIVES))
    }

    /// Returns a reference to a defined type. A name without a namespace cannot be referred to from
    /// within a namespace.
    fn known(&mut self, namespace: Namespace<'_>) -> Option<Value> {
        let is_visible = |name: &&String| name.contains('.') || namespace.is_none();
        let defined = self.defined.iter().map(|(name, _)| name);
        let names: Vec<_> = defined.filter(is_visible).cloned().collect();
        // `below` panics at 0.
        let at = self.random.below(names.len().max(1));
        names.get(at).map(|name| self.reference(name, namespace))
    }

    /// Returns the full name, or at random the simple name if `namespace` is its namespace.
    fn reference(&mut self, name: &str, namespace: Namespace<'_>) -> Value {
        match name.rsplit_once('.') {
            Some((own, simple)) if Some(own) == namespace && self.random.one_in(2) => json!(simple),
            _ => json!(name),
        }
    }

    /// Returns a type at a position where a reference to an enclosing record is allowed.
    fn child(&mut self, namespace: Namespace<'_>, depth: usize) -> Value {
        let is_visible = |name: &&String| name.contains('.') || namespace.is_none();
        let open: Vec<_> = self.open.iter().filter(is_visible).cloned().collect();
        if !open.is_empty() && self.random.one_in(3) {
            let at = self.random.below(open.len());
            return self.reference(&open[at], namespace);
        }
        self.any(namespace, depth)
    }

    fn union(&mut self, namespace: Namespace<'_>, depth: usize) -> Value {
        let small = self.random.pick(&["null", "null", "boolean"]);
        let mut branches = vec![json!(small)];
        for _ in 0..self.random.pick(&[0, 1, 1, 1, 2, 3, 6]) {
            let defined = self.defined.len();
            let branch = self.child(namespace, depth);
            let key = branch_key(&branch, namespace);
            // A union has each unnamed type and each name at most once.
            let is_taken = |other: &Value| branch_key(other, namespace) == key;
            // A rejected branch takes its definitions with it.
            if branch.is_array() || branches.iter().any(is_taken) {
                self.defined.truncate(defined);
            } else {
                branches.push(branch);
            }
        }
        // The first branch is primitive: moving it keeps definitions before references.
        if self.random.one_in(2) {
            branches.rotate_left(1);
        }
        json!(branches)
    }

    fn enumeration(&mut self, namespace: Namespace<'_>) -> Value {
        let (mut json, name) = self.named("enum", namespace);
        let count = self.random.below(70);
        let symbols: Vec<_> = (0..count).map(|at| format!("S{at}")).collect();
        if count > 0 && self.random.one_in(3) {
            json["default"] = json!(symbols[self.random.below(count)]);
        }
        json["symbols"] = json!(symbols);
        self.defined.push((name, symbols));
        json
    }

    fn fixed(&mut self, namespace: Namespace<'_>) -> Value {
        let (mut json, name) = self.named("fixed", namespace);
        json["size"] = json!(self.random.below(5));
        match self.random.below(8) {
            0 => json["logicalType"] = json!("duration"),
            1 => {
                json["size"] = json!(16);
                json["logicalType"] = json!("uuid");
            }
            2 => {
                json["size"] = json!(8);
                json["logicalType"] = json!("decimal");
                json["precision"] = json!(4);
            }
            _ => {}
        }
        self.defined.push((name, Vec::new()));
        json
    }

    fn record(&mut self, namespace: Namespace<'_>, depth: usize) -> Value {
        let kind = if self.random.one_in(16) {
            "error"
        } else {
            "record"
        };
        let (mut json, name) = self.named(kind, namespace);
        let within = name.rsplit_once('.').map(|(own, _)| own.to_owned());
        // In scope for the fields, but defined only afterwards.
        self.open.push(name.clone());
        let count = self.random.below(5);
        let fields: Vec<_> = (0..count)
            .map(|at| self.field(at, within.as_deref(), depth))
            .collect();
        self.open.pop();
        json["fields"] = json!(fields);
        self.defined.push((name, Vec::new()));
        json
    }

    fn field(&mut self, at: usize, namespace: Namespace<'_>, depth: usize) -> Value {
        let kind = self.any(namespace, depth);
        let mut json = json!({"name": format!("f{at}")});
        if self.random.one_in(4)
            && let Some(default) = self.default(&kind, namespace)
        {
            json["default"] = default;
        }
        if self.random.one_in(8) {
            json["order"] = json!(self.random.pick(&["ascending", "descending", "ignore"]));
        }
        if self.random.one_in(8) {
            json["aliases"] = json!([format!("g{}", self.random.below(100))]);
        }
        json["type"] = kind;
        self.decorate(&mut json);
        json
    }

    /// Returns a default of a type, if there is a simple one.
    fn default(&mut self, kind: &Value, namespace: Namespace<'_>) -> Option<Value> {
        let word = match kind {
            Value::Array(branches) => return self.default(branches.first()?, namespace),
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
            "string" => json!(self.random.pick(&STRINGS)),
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
                let full = full_name(name, namespace);
                let (_, symbols) = self.defined.iter().find(|(known, _)| *known == full)?;
                json!(symbols.first()?)
            }
        })
    }

    /// Returns the start of a named type's definition and its full name.
    fn named(&mut self, kind: &str, namespace: Namespace<'_>) -> (Value, String) {
        let simple = format!("N{}", self.names);
        self.names += 1;
        let mut json = json!({"type": kind, "name": simple});
        let own = match self.random.below(3) {
            0 => Some(self.random.pick(&NAMESPACES)),
            _ => None,
        };
        let full = match own.or(namespace) {
            Some(namespace) => format!("{namespace}.{simple}"),
            None => simple,
        };
        if let Some(own) = own {
            if self.random.one_in(2) {
                json["name"] = json!(full);
            } else {
                json["namespace"] = json!(own);
            }
        }
        if self.random.one_in(6) {
            let old = format!("Old{}", self.names);
            let dotted = format!("a.{old}x");
            json["aliases"] = self
                .random
                .pick(&[&json!([old]), &json!([dotted, old])])
                .clone();
        }
        self.decorate(&mut json);
        (json, full)
    }

    /// Adds attributes that don't affect the encoding.
    fn decorate(&mut self, json: &mut Value) {
        if self.random.one_in(5) {
            json["doc"] = json!(self.random.pick(&STRINGS));
        }
        if self.random.one_in(8) {
            let mut nested = Map::new();
            nested.insert(
                self.random.pick(&STRINGS).to_owned(),
                json!([1, -0.5, null]),
            );
            let values = [
                json!(self.random.pick(&STRINGS)),
                json!(nested),
                json!(true),
            ];
            json["x-note"] = values[self.random.below(values.len())].clone();
        }
    }
}

/// Returns the key by which branches of a union are distinct: the full name or the type.
fn branch_key(json: &Value, namespace: Namespace<'_>) -> String {
    if let Some(word) = json.as_str() {
        return full_name(word, namespace);
    }
    match json["name"].as_str() {
        Some(name) => full_name(name, json["namespace"].as_str().or(namespace)),
        None => json["type"].as_str().unwrap_or_default().to_owned(),
    }
}

fn full_name(name: &str, namespace: Namespace<'_>) -> String {
    match namespace {
        Some(namespace) if !name.contains('.') && !PRIMITIVES.contains(&name) => {
            format!("{namespace}.{name}")
        }
        Some(_) | None => name.to_owned(),
    }
}
