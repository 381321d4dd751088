//! Random evolutions: a schema's text with a few things changed, as people change them.

use super::{PRIMITIVES, Random};
use avouch_avro::Schema;
use serde_json::{Value, json};

/// A schema that grew out of this one by up to four changes, as people make them: fields added,
/// removed, renamed and reordered, types promoted and changed, branches, symbols, sizes, names,
/// aliases, defaults and documentation. Some make the two incompatible. A change that leaves no
/// schema is dropped.
///
/// # Panics
/// If canonical text is no JSON, which is a fault of the model.
pub fn evolve(random: &mut Random, schema: &Schema) -> Schema {
    let mut text: Value =
        serde_json::from_str(&schema.to_string()).expect("canonical text is JSON");
    let mut evolved = schema.clone();
    for _ in 0..=random.below(3) {
        let mut changed = text.clone();
        let mut places = Vec::new();
        find(&changed, &mut String::new(), &mut places);
        let place = &places[random.below(places.len())];
        let found = changed.pointer_mut(place);
        change(random, found.expect("the pointers were just made"));
        // What is no schema, such as a name that lost its definition, is no evolution.
        if let Ok(schema) = Schema::parse(&changed.to_string()) {
            text = changed;
            evolved = schema;
        }
    }
    evolved
}

/// The JSON pointers to all types.
fn find(text: &Value, path: &mut String, places: &mut Vec<String>) {
    places.push(path.clone());
    let mut part = |step: String, part: &Value| {
        let length = path.len();
        path.push_str(&step);
        find(part, path, places);
        path.truncate(length);
    };
    if let Some(branches) = text.as_array() {
        for (at, branch) in branches.iter().enumerate() {
            part(format!("/{at}"), branch);
        }
    }
    for key in ["items", "values"] {
        if let Some(item) = text.get(key) {
            part(format!("/{key}"), item);
        }
    }
    if let Some(fields) = text.get("fields").and_then(Value::as_array) {
        for (at, field) in fields.iter().enumerate() {
            part(format!("/fields/{at}/type"), &field["type"]);
        }
    }
}

fn change(random: &mut Random, place: &mut Value) {
    if let Some(branches) = place.as_array_mut() {
        return change_union(random, branches);
    }
    if random.one_in(6) {
        *place = json!(["null", place.clone()]);
        return;
    }
    match place["type"].as_str() {
        Some("record") => change_record(random, place),
        Some("enum") => change_enum(random, place),
        Some("fixed") if random.one_in(2) => place["size"] = json!(random.below(5)),
        Some("fixed") => rename(random, place),
        Some(_) => place["doc-link"] = json!(random.below(3)),
        None => *place = json!(random.pick(&PRIMITIVES)),
    }
}

fn change_union(random: &mut Random, branches: &mut Vec<Value>) {
    match random.below(3) {
        0 => branches.push(json!(random.pick(&PRIMITIVES))),
        1 if branches.len() > 1 => drop(branches.remove(random.below(branches.len()))),
        _ => branches.reverse(),
    }
}

fn rename(random: &mut Random, place: &mut Value) {
    let old = place["name"].clone();
    place["name"] = json!(format!("M{}", random.below(100)));
    if random.one_in(2) {
        place["aliases"] = json!([old]);
    }
}

fn change_record(random: &mut Random, place: &mut Value) {
    let fresh = format!("g{}", random.below(100));
    if random.one_in(8) {
        return rename(random, place);
    }
    let fields = place["fields"].as_array_mut();
    let fields = fields.expect("a record has fields");
    let count = fields.len();
    match random.below(8) {
        0 => fields.push(json!({"name": fresh, "type": "long", "default": 7})),
        1 => fields.insert(
            0,
            json!({"name": fresh, "type": ["null", "int"], "default": null}),
        ),
        2 => fields.push(json!({"name": fresh, "type": "string"})),
        3 if count > 0 => drop(fields.remove(random.below(count))),
        4 if count > 0 => fields.rotate_left(1),
        5 if count > 0 => {
            let field = &mut fields[random.below(count)];
            let old = field["name"].clone();
            field["name"] = json!(fresh);
            if random.one_in(2) {
                field["aliases"] = json!([old]);
            }
        }
        6 if count > 0 => fields[random.below(count)]["doc"] = json!(fresh),
        _ => place["doc"] = json!(fresh),
    }
}

fn change_enum(random: &mut Random, place: &mut Value) {
    let symbols = place["symbols"].as_array_mut();
    let symbols = symbols.expect("an enum has symbols");
    let first = symbols.first().cloned();
    match (random.below(5), first) {
        (0, _) => symbols.push(json!(format!("T{}", random.below(100)))),
        (1, Some(_)) => drop(symbols.pop()),
        (2, Some(first)) => place["default"] = first,
        (3, _) => symbols.reverse(),
        _ => rename(random, place),
    }
}
