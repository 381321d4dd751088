//! Random evolutions: a schema with a few of the changes that occur in practice.

use super::{PRIMITIVES, Random};
use avouch_avro::Schema;
use serde_json::{Value, json};

/// Returns a schema that differs from `schema` by up to three changes: fields added, removed,
/// renamed and reordered, types promoted and changed, branches, symbols, sizes, names, aliases,
/// defaults and documentation. Some changes are incompatible. A change that results in an invalid
/// schema is dropped.
///
/// # Panics
/// If the schema's string is not JSON, which is a defect of the model.
pub fn evolve(random: &mut Random, schema: &Schema) -> Schema {
    let mut json: Value =
        serde_json::from_str(&schema.to_string()).expect("a schema prints as JSON");
    let mut evolved = schema.clone();
    for _ in 0..=random.below(3) {
        let mut changed = json.clone();
        let mut pointers = Vec::new();
        find(&changed, &mut String::new(), &mut pointers);
        let pointer = &pointers[random.below(pointers.len())];
        let found = changed.pointer_mut(pointer);
        change(random, found.expect("the pointer was found in this value"));
        // The result may be invalid, such as a name whose definition was removed.
        if let Ok(schema) = Schema::parse(&changed.to_string()) {
            json = changed;
            evolved = schema;
        }
    }
    evolved
}

/// Collects the JSON pointers of all types within `json`.
fn find(json: &Value, path: &mut String, pointers: &mut Vec<String>) {
    pointers.push(path.clone());
    let mut child = |step: String, child: &Value| {
        let length = path.len();
        path.push_str(&step);
        find(child, path, pointers);
        path.truncate(length);
    };
    if let Some(branches) = json.as_array() {
        for (at, branch) in branches.iter().enumerate() {
            child(format!("/{at}"), branch);
        }
    }
    for key in ["items", "values"] {
        if let Some(item) = json.get(key) {
            child(format!("/{key}"), item);
        }
    }
    if let Some(fields) = json.get("fields").and_then(Value::as_array) {
        for (at, field) in fields.iter().enumerate() {
            child(format!("/fields/{at}/type"), &field["type"]);
        }
    }
}

fn change(random: &mut Random, node: &mut Value) {
    if let Some(branches) = node.as_array_mut() {
        return change_union(random, branches);
    }
    if random.one_in(6) {
        *node = json!(["null", node.clone()]);
        return;
    }
    match node["type"].as_str() {
        Some("record") => change_record(random, node),
        Some("enum") => change_enum(random, node),
        Some("fixed") if random.one_in(2) => node["size"] = json!(random.below(5)),
        Some("fixed") => rename(random, node),
        Some(_) => node["doc-link"] = json!(random.below(3)),
        None => *node = json!(random.pick(&PRIMITIVES)),
    }
}

fn change_union(random: &mut Random, branches: &mut Vec<Value>) {
    match random.below(3) {
        0 => branches.push(json!(random.pick(&PRIMITIVES))),
        1 if branches.len() > 1 => drop(branches.remove(random.below(branches.len()))),
        _ => branches.reverse(),
    }
}

fn rename(random: &mut Random, node: &mut Value) {
    let old = node["name"].clone();
    node["name"] = json!(format!("M{}", random.below(100)));
    if random.one_in(2) {
        node["aliases"] = json!([old]);
    }
}

fn change_record(random: &mut Random, node: &mut Value) {
    let new_name = format!("g{}", random.below(100));
    if random.one_in(8) {
        return rename(random, node);
    }
    let fields = node["fields"].as_array_mut();
    let fields = fields.expect("a record has fields");
    let count = fields.len();
    match random.below(8) {
        0 => fields.push(json!({"name": new_name, "type": "long", "default": 7})),
        1 => fields.insert(
            0,
            json!({"name": new_name, "type": ["null", "int"], "default": null}),
        ),
        2 => fields.push(json!({"name": new_name, "type": "string"})),
        3 if count > 0 => drop(fields.remove(random.below(count))),
        4 if count > 0 => fields.rotate_left(1),
        5 if count > 0 => {
            let field = &mut fields[random.below(count)];
            let old = field["name"].clone();
            field["name"] = json!(new_name);
            if random.one_in(2) {
                field["aliases"] = json!([old]);
            }
        }
        6 if count > 0 => fields[random.below(count)]["doc"] = json!(new_name),
        _ => node["doc"] = json!(new_name),
    }
}

fn change_enum(random: &mut Random, node: &mut Value) {
    let symbols = node["symbols"].as_array_mut();
    let symbols = symbols.expect("an enum has symbols");
    let first = symbols.first().cloned();
    match (random.below(5), first) {
        (0, _) => symbols.push(json!(format!("T{}", random.below(100)))),
        (1, Some(_)) => drop(symbols.pop()),
        (2, Some(first)) => node["default"] = first,
        (3, _) => symbols.reverse(),
        _ => rename(random, node),
    }
}
