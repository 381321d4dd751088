//! The bodies of the OpenAPI document, by the names that the table of endpoints calls them.

use avouch_registry_api::vocabulary::{CompatibilityLevel, CompatibilityPolicy, Mode, SchemaType};
use serde_json::{Map, Value, json};

/// All of them.
pub(crate) fn components() -> Value {
    let mut all = Map::new();
    let parts = [
        plain(),
        of_schemas(),
        of_answers(),
        of_settings(),
        of_ours(),
    ];
    for part in parts {
        let Value::Object(part) = part else { continue };
        all.extend(part);
    }
    Value::Object(all)
}

fn plain() -> Value {
    json!({
        "Any": {},
        "Empty": object(&json!({})),
        "Number": { "type": "integer" },
        "Numbers": list(&json!({ "type": "integer" })),
        "Names": list(&json!({ "type": "string" })),
        "Changes": object(&json!({ "seq": { "type": "integer" } })),
        "Error": object(&json!({
            "error_code": { "type": "integer" },
            "message": { "type": "string" },
            "findings": list(&component("Finding")),
            "closest": component("Closest"),
        })),
    })
}

fn of_schemas() -> Value {
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    let strings = json!({ "type": "object", "additionalProperties": { "type": "string" } });
    let rule = json!({
        "name": text(), "doc": text(), "kind": { "enum": ["TRANSFORM", "CONDITION"] },
        "mode": { "enum": ["UPGRADE", "DOWNGRADE", "UPDOWN", "WRITE", "READ", "WRITEREAD"] },
        "type": text(), "tags": texts, "params": strings, "expr": text(), "onSuccess": text(),
        "onFailure": text(), "disabled": { "type": "boolean" },
    });
    let mut request = content();
    let tags = list(&component("SchemaTags"));
    request["schemaTagsToAdd"] = tags.clone();
    request["schemaTagsToRemove"] = tags.clone();
    request["propagateSchemaTags"] = json!({ "type": "boolean" });
    json!({
        "SchemaRequest": object(&request),
        "TagRequest": object(&json!({
            "newVersion": number(), "tagsToAdd": tags, "tagsToRemove": tags,
            "metadata": component("Metadata"), "ruleSet": component("RuleSet"),
            "rulesToMerge": component("RuleSet"), "rulesToRemove": texts,
        })),
        "SchemaTags": object(&json!({
            "schemaEntity": object(&json!({
                "entityPath": text(), "entityType": { "enum": ["sr_record", "sr_field"] },
            })),
            "tags": texts,
        })),
        "Reference": object(&json!({ "name": text(), "subject": text(), "version": number() })),
        "Metadata": object(&json!({
            "tags": { "type": "object", "additionalProperties": texts },
            "properties": strings, "sensitive": texts,
        })),
        "Rule": object(&rule),
        "RuleSet": object(&json!({
            "migrationRules": list(&component("Rule")), "domainRules": list(&component("Rule")),
            "encodingRules": list(&component("Rule")), "enableAt": text(),
        })),
    })
}

fn of_answers() -> Value {
    let mut schema = content();
    schema["subject"] = text();
    schema["guid"] = json!({ "type": "string", "format": "uuid" });
    schema["schemaTags"] = list(&component("SchemaTags"));
    schema["aliases"] = list(&text());
    schema["maxId"] = number();
    schema["ts"] = json!({ "type": "integer", "description": "milliseconds since 1970" });
    schema["deleted"] = json!({ "type": "boolean" });
    let place = object(&json!({ "path": text(), "start": number(), "end": number() }));
    json!({
        "Schema": object(&schema),
        "Schemas": list(&component("Schema")),
        "ContextIds": list(&object(&json!({ "context": text(), "id": number() }))),
        "SubjectVersions": list(&object(&json!({ "subject": text(), "version": number() }))),
        "Compatibility": object(&json!({
            "is_compatible": { "type": "boolean" },
            "messages": list(&text()),
            "findings": list(&component("Finding")),
        })),
        "Finding": object(&json!({
            "kind": text(), "version": number(), "direction": { "enum": ["BACKWARD", "FORWARD"] },
            "info": text(), "suggestion": text(), "new": place, "old": place,
        })),
        "Closest": object(&json!({
            "subject": text(), "version": number(), "id": number(), "differences": list(&text()),
        })),
    })
}

fn of_settings() -> Value {
    use CompatibilityLevel as L;
    use CompatibilityPolicy as P;
    let levels = [
        L::None,
        L::Backward,
        L::BackwardTransitive,
        L::Forward,
        L::ForwardTransitive,
        L::Full,
        L::FullTransitive,
    ]
    .map(|level| Some(level.as_str()));
    let policies = [P::Strict, P::Lenient, P::Logical].map(|policy| Some(policy.as_str()));
    let modes = [
        Mode::Readwrite,
        Mode::Readonly,
        Mode::ReadonlyOverride,
        Mode::Import,
        Mode::Forward,
    ]
    .map(|mode| Some(mode.as_str()));
    let or_none = |words: &[Option<&str>]| {
        let all: Vec<_> = words.iter().copied().chain([None]).collect();
        json!({ "enum": all })
    };
    let flag = json!({ "type": ["boolean", "null"] });
    let name = json!({ "type": ["string", "null"] });
    let optional = |what| json!({ "anyOf": [component(what), { "type": "null" }] });
    let properties = json!({
        "alias": name, "aliasForDeks": name, "normalize": flag, "validateFields": flag,
        "validateNewSchemas": flag, "validateRules": flag,
        "compatibilityPolicy": or_none(&policies), "compatibilityGroup": name,
        "defaultMetadata": optional("Metadata"), "overrideMetadata": optional("Metadata"),
        "defaultRuleSet": optional("RuleSet"), "overrideRuleSet": optional("RuleSet"),
    });
    let mut read = properties.clone();
    read["compatibilityLevel"] = or_none(&levels);
    let mut stored = properties;
    stored["compatibility"] = or_none(&levels);
    json!({
        "Config": object(&read),
        "ConfigRequest": object(&stored),
        "StoredConfig": object(&stored),
        "Mode": object(&json!({ "mode": or_none(&modes) })),
    })
}

fn of_ours() -> Value {
    let mut step = content();
    step["subject"] = text();
    step["normalize"] = json!({ "type": "boolean" });
    let mut planned = object(&json!({ "subjects": list(&required(&step, &["subject"])) }));
    planned["required"] = json!(["subjects"]);
    let keys = [
        "SCHEMA",
        "CONFIG",
        "MODE",
        "DELETE_SUBJECT",
        "CLEAR_SUBJECT",
        "CONTEXT",
        "NOOP",
    ];
    let key = json!({ "keytype": { "enum": keys } });
    let record = json!({ "key": required(&key, &["keytype"]), "value": {} });
    json!({
        "PlanRequest": planned,
        "Plan": object(&json!({
            "applicable": { "type": "boolean" },
            "applied": { "type": "boolean" },
            "steps": list(&object(&json!({
                "subject": text(), "action": { "enum": ["REGISTER", "EXISTING", "REFUSED"] },
                "schema": component("Schema"), "error": component("Error"),
            }))),
        })),
        "Versions": list(&object(&json!({
            "subject": text(), "version": number(), "id": number(), "guid": text(),
            "schemaType": text(), "deleted": { "type": "boolean" },
            "createdAtMs": { "type": "integer", "description": "milliseconds since 1970" },
        }))),
        "Record": required(&record, &["key"]),
        "Records": list(&component("Record")),
        "ImportRequest": required(&json!({ "records": list(&component("Record")) }), &["records"]),
        "Imported": object(&json!({ "imported": number() })),
    })
}

fn required(properties: &Value, names: &[&str]) -> Value {
    let mut object = object(properties);
    object["required"] = json!(names);
    object
}

/// What requests and answers say about a schema.
fn content() -> Value {
    let types = [SchemaType::Avro, SchemaType::Json, SchemaType::Protobuf].map(SchemaType::as_str);
    json!({
        "schema": text(),
        "schemaType": { "enum": types },
        "references": list(&component("Reference")),
        "metadata": component("Metadata"),
        "ruleSet": component("RuleSet"),
        "version": number(),
        "id": number(),
    })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn number() -> Value {
    json!({ "type": "integer", "minimum": i32::MIN, "maximum": i32::MAX })
}

fn list(items: &Value) -> Value {
    json!({ "type": "array", "items": items })
}

fn object(properties: &Value) -> Value {
    json!({ "type": "object", "properties": properties })
}

fn component(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}
