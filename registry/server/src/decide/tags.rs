//! Tags in an Avro schema: the property `confluent:tags` of a record or a field.

use avouch_registry_api::rest::{EntityType, SchemaEntity, SchemaTags};
use serde_json::{Map, Value, json};
use thiserror::Error;

const TAGS: &str = "confluent:tags";

/// Returns the tags in a schema in document order. A schema that is not JSON has none.
pub(crate) fn found(text: &str) -> Vec<SchemaTags> {
    let mut found = Vec::new();
    let parsed = serde_json::from_str::<Value>(text);
    if let Ok(mut schema) = parsed {
        each_entity(&mut schema, &mut |entity, place| {
            let tags = tags_of(place);
            if !tags.is_empty() {
                found.push(SchemaTags {
                    schema_entity: entity.clone(),
                    tags,
                });
            }
        });
    }
    found
}

/// Reason why tags cannot be changed.
#[derive(Debug, Error)]
pub(crate) enum TagError {
    /// The schema is not JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// The schema has no record or field with this path.
    #[error("No matching path '{0}' found in the schema")]
    NoSuchPath(String),
}

/// Returns the schema with tags added, and then others removed.
///
/// # Errors
/// If the schema has no record or field for a tag.
pub(crate) fn changed(
    text: &str,
    add: &[SchemaTags],
    remove: &[SchemaTags],
) -> Result<String, TagError> {
    let mut schema: Value = serde_json::from_str(text)?;
    for (changes, adding) in [(add, true), (remove, false)] {
        for change in changes {
            apply(&mut schema, change, adding)?;
        }
    }
    Ok(schema.to_string())
}

fn apply(schema: &mut Value, change: &SchemaTags, adding: bool) -> Result<(), TagError> {
    let wanted = &change.schema_entity;
    let mut matched = false;
    each_entity(schema, &mut |entity, place| {
        if matched || !matches_path(wanted, entity) {
            return;
        }
        matched = true;
        let mut tags = tags_of(place);
        if adding {
            for tag in &change.tags {
                if !tags.contains(tag) {
                    tags.push(tag.clone());
                }
            }
        } else {
            tags.retain(|tag| !change.tags.contains(tag));
        }
        if tags.is_empty() {
            // Keeps the order of the other attributes, unlike `remove`.
            place.shift_remove(TAGS);
        } else {
            place.insert(TAGS.to_owned(), json!(tags));
        }
    });
    if matched {
        return Ok(());
    }
    Err(TagError::NoSuchPath(wanted.entity_path.clone()))
}

/// Returns true if the path names the entity. It may start with a dot and may omit the namespace.
fn matches_path(wanted: &SchemaEntity, entity: &SchemaEntity) -> bool {
    let path = wanted.entity_path.strip_prefix('.');
    let path = path.unwrap_or(&wanted.entity_path);
    let parts = match entity.entity_type {
        EntityType::Record => 1,
        EntityType::Field => 2,
    };
    let unqualified = || {
        let mut from_the_end = entity
            .entity_path
            .rsplitn(parts + 1, '.')
            .take(parts)
            .collect::<Vec<_>>();
        from_the_end.reverse();
        from_the_end.join(".")
    };
    wanted.entity_type == entity.entity_type
        && (path == entity.entity_path || path == unqualified())
}

fn tags_of(place: &Map<String, Value>) -> Vec<String> {
    let tags = place.get(TAGS).and_then(Value::as_array);
    let name = |tag: &Value| tag.as_str().map_or_else(|| tag.to_string(), str::to_owned);
    tags.into_iter().flatten().map(name).collect()
}

/// Visits every record and field, outermost first. The stack is explicit, because the depth that
/// the parser permits can exceed the thread's stack.
fn each_entity(schema: &mut Value, visit: &mut dyn FnMut(&SchemaEntity, &mut Map<String, Value>)) {
    let mut rest: Vec<(&mut Value, String)> = vec![(schema, String::new())];
    while let Some((value, namespace)) = rest.pop() {
        match value {
            Value::Array(branches) => {
                let branches = branches.iter_mut().rev();
                rest.extend(branches.map(|branch| (branch, namespace.clone())));
            }
            Value::Object(object) => {
                let is_record = matches!(
                    object.get("type").and_then(Value::as_str),
                    Some("record" | "error")
                );
                if is_record {
                    visit_record(object, &namespace, visit, &mut rest);
                } else {
                    let inner = object.iter_mut();
                    let inner = inner
                        .filter(|(key, _)| ["type", "items", "values"].contains(&key.as_str()));
                    rest.extend(inner.map(|(_, inner)| (inner, namespace.clone())));
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

fn visit_record<'a>(
    record: &'a mut Map<String, Value>,
    outer: &str,
    visit: &mut dyn FnMut(&SchemaEntity, &mut Map<String, Value>),
    rest: &mut Vec<(&'a mut Value, String)>,
) {
    let own = record.get("namespace").and_then(Value::as_str);
    let namespace = own.unwrap_or(outer).to_owned();
    let name = record
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let full_name = if namespace.is_empty() || name.contains('.') {
        name.to_owned()
    } else {
        format!("{namespace}.{name}")
    };
    visit(&entity(&full_name, EntityType::Record), record);
    let fields = record.get_mut("fields").and_then(Value::as_array_mut);
    for field in fields.into_iter().flatten().rev() {
        let Value::Object(field) = field else {
            continue;
        };
        let name = field
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let path = format!("{full_name}.{name}");
        visit(&entity(&path, EntityType::Field), field);
        if let Some(inner) = field.get_mut("type") {
            rest.push((inner, namespace.clone()));
        }
    }
}

fn entity(path: &str, entity_type: EntityType) -> SchemaEntity {
    SchemaEntity {
        entity_path: path.to_owned(),
        entity_type,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = concat!(
        r#"{"type":"record","name":"R","namespace":"n","fields":[{"name":"a","type":"int"},"#,
        r#"{"name":"b","type":["null",{"type":"array","items":{"type":"record","name":"S","#,
        r#""fields":[{"name":"c","type":"int"}]}}]}]}"#,
    );

    fn tags(path: &str, entity_type: EntityType, tags: &[&str]) -> SchemaTags {
        SchemaTags {
            schema_entity: entity(path, entity_type),
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
        }
    }

    // Conformance: registry/rest-7
    #[test]
    fn added_tags_are_found_again() {
        let add = [
            tags("n.R", EntityType::Record, &["TABLE"]),
            tags(".n.S.c", EntityType::Field, &["PII", "PII"]),
            tags("R.a", EntityType::Field, &["X", "Y"]),
        ];
        let tagged = changed(TEXT, &add, &[tags("n.R.a", EntityType::Field, &["Y"])]).unwrap();
        let expected = [
            tags("n.R", EntityType::Record, &["TABLE"]),
            tags("n.R.a", EntityType::Field, &["X"]),
            tags("n.S.c", EntityType::Field, &["PII"]),
        ];
        let mut found = found(&tagged);
        found.sort_by(|one, other| {
            one.schema_entity
                .entity_path
                .cmp(&other.schema_entity.entity_path)
        });
        assert_eq!(found, expected);
        assert_eq!(
            changed(&tagged, &[], &expected).unwrap(),
            TEXT,
            "removed again"
        );
    }

    #[test]
    fn unknown_path_is_rejected() {
        for (path, entity_type) in [
            ("n.T", EntityType::Record),
            ("n.R", EntityType::Field),
            ("m.R", EntityType::Record),
            ("", EntityType::Record),
        ] {
            let error = changed(TEXT, &[tags(path, entity_type, &["X"])], &[]).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("No matching path '{path}' found in the schema")
            );
        }
    }
}
