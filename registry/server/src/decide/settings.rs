//! Configurations and modes: updates, and the effective settings of a subject.

use std::fmt::Display;

use avouch_registry_api::rest::{ConfigBody, ConfigProperties, RuleSet, StoredConfigBody};
use avouch_registry_api::types::{CompatibilityLevel, Mode};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::decide::content::Strictness;
use crate::decide::rules;
use crate::decide::subject::{DEFAULT_CONTEXT, Subject};
use crate::error::RegistryError;

/// Returns the configuration after an update. An absent property is unchanged; `null` clears it.
///
/// # Errors
/// For an unknown level or policy, a rule set that no client could apply, or a value of the wrong
/// type.
pub(crate) fn update(
    stored: StoredConfigBody,
    request: &Map<String, Value>,
) -> Result<StoredConfigBody, RegistryError> {
    let StoredConfigBody {
        mut compatibility,
        properties: mut own,
    } = stored;
    if let Some(value) = request.get("compatibility") {
        compatibility = level(value)?;
    }
    if let Some(value) = request.get("compatibilityPolicy") {
        own.compatibility_policy = policy(value)?;
    }
    set(request, "alias", &mut own.alias)?;
    set(request, "aliasForDeks", &mut own.alias_for_deks)?;
    set(request, "normalize", &mut own.normalize)?;
    set(request, "validateFields", &mut own.validate_fields)?;
    set(request, "validateNewSchemas", &mut own.validate_new_schemas)?;
    set(request, "validateRules", &mut own.validate_rules)?;
    set(request, "compatibilityGroup", &mut own.compatibility_group)?;
    set(request, "defaultMetadata", &mut own.default_metadata)?;
    set(request, "overrideMetadata", &mut own.override_metadata)?;
    set_rules(request, "defaultRuleSet", &mut own.default_rule_set)?;
    set_rules(request, "overrideRuleSet", &mut own.override_rule_set)?;
    // An empty string clears the alias, like `null`.
    own.alias = own.alias.filter(|alias| !alias.is_empty());
    Ok(StoredConfigBody {
        compatibility,
        properties: own,
    })
}

fn level(value: &Value) -> Result<Option<CompatibilityLevel>, RegistryError> {
    if value.is_null() {
        return Ok(None);
    }
    let parsed = value.as_str().and_then(|word| word.parse().ok());
    parsed
        .map(Some)
        .ok_or(RegistryError::InvalidCompatibilityLevel)
}

fn policy<T: std::str::FromStr>(value: &Value) -> Result<Option<T>, RegistryError> {
    if value.is_null() {
        return Ok(None);
    }
    let parsed = value.as_str().and_then(|word| word.parse().ok());
    let unknown = || invalid_value("compatibilityPolicy", "expected STRICT, LENIENT or LOGICAL");
    parsed.map(Some).ok_or_else(unknown)
}

fn set<T: DeserializeOwned>(
    request: &Map<String, Value>,
    name: &str,
    property: &mut Option<T>,
) -> Result<(), RegistryError> {
    // `null` deserializes to `None`, which clears the property.
    if let Some(value) = request.get(name) {
        *property =
            serde_json::from_value(value.clone()).map_err(|error| invalid_value(name, error))?;
    }
    Ok(())
}

fn set_rules(
    request: &Map<String, Value>,
    name: &str,
    property: &mut Option<RuleSet>,
) -> Result<(), RegistryError> {
    set(request, name, property)?;
    *property = property.take().map(rules::checked).transpose()?;
    Ok(())
}

fn invalid_value(name: &str, reason: impl Display) -> RegistryError {
    RegistryError::BadRequest(format!("{name}: {reason}"))
}

/// Returns a stored configuration as responses show it. A missing level is the server's default.
pub(crate) fn shown(stored: StoredConfigBody, default: CompatibilityLevel) -> ConfigBody {
    ConfigBody {
        compatibility_level: stored.compatibility.unwrap_or(default),
        properties: stored.properties,
    }
}

/// Returns the effective configuration of a subject. A subject with a configuration but no level
/// has the server's default level, not the global one. Normalization and validation are inherited
/// from the global configuration; aliases, metadata and rules are not.
pub(crate) fn effective(
    subject: Option<StoredConfigBody>,
    global: Option<StoredConfigBody>,
    default: CompatibilityLevel,
) -> ConfigBody {
    let ConfigBody {
        compatibility_level,
        properties: global,
    } = shown(global.unwrap_or_default(), default);
    match subject {
        None => ConfigBody {
            compatibility_level,
            properties: global,
        },
        Some(own) => {
            let ConfigBody {
                compatibility_level,
                properties: own,
            } = shown(own, default);
            // An alias, metadata and rules describe one subject, so they are not inherited.
            let properties = ConfigProperties {
                normalize: own.normalize.or(global.normalize),
                validate_fields: own.validate_fields.or(global.validate_fields),
                validate_new_schemas: own.validate_new_schemas.or(global.validate_new_schemas),
                validate_rules: own.validate_rules.or(global.validate_rules),
                compatibility_policy: own.compatibility_policy.or(global.compatibility_policy),
                compatibility_group: own.compatibility_group.or(global.compatibility_group),
                ..own
            };
            ConfigBody {
                compatibility_level,
                properties,
            }
        }
    }
}

/// Returns true if the configuration adds metadata or rules to registered schemas.
pub(crate) fn adds_to_content(config: &ConfigProperties) -> bool {
    config.default_metadata.is_some()
        || config.override_metadata.is_some()
        || config.default_rule_set.is_some()
        || config.override_rule_set.is_some()
}

/// Returns how strictly a new schema is parsed. Imports are not validated, and a configuration can
/// disable validation.
pub(crate) fn strictness(config: &ConfigProperties, mode: Mode) -> Strictness {
    if mode.is_import() || config.validate_new_schemas == Some(false) {
        Strictness::Legacy
    } else {
        Strictness::New
    }
}

/// Checks that the mode permits changes under the subject.
///
/// # Errors
/// [`RegistryError::NotPermitted`] if it is read-only.
pub(crate) fn permit_change(mode: Mode, subject: Option<&str>) -> Result<(), RegistryError> {
    if mode.is_read_only() {
        Err(not_permitted(subject, "read-only", "in"))
    } else {
        Ok(())
    }
}

/// Checks that the mode permits a registration, which demands an ID or not.
///
/// # Errors
/// [`RegistryError::NotPermitted`] if it does not.
pub(crate) fn permit_registration(
    mode: Mode,
    subject: &str,
    demands_id: bool,
) -> Result<(), RegistryError> {
    permit_change(mode, Some(subject))?;
    match (mode, demands_id) {
        // IDs are assigned by the registry or by the client, never by both in one scope.
        (Mode::Import | Mode::Forward, true) | (Mode::Readwrite, false) => Ok(()),
        (_, true) => Err(not_permitted(Some(subject), "import", "not in")),
        (_, false) => Err(not_permitted(Some(subject), "read-write", "not in")),
    }
}

fn not_permitted(subject: Option<&str>, mode: &str, relation: &str) -> RegistryError {
    let context = subject.map_or_else(
        || DEFAULT_CONTEXT.to_owned(),
        |name| Subject::existing(name).context,
    );
    let subject = subject.unwrap_or("null");
    RegistryError::NotPermitted(format!(
        "Subject {subject} in context {context} is {relation} {mode} mode"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use CompatibilityLevel::{Backward, Full, None as Unchecked};

    fn update_of(stored: StoredConfigBody, json: &str) -> Result<StoredConfigBody, u32> {
        update(stored, &serde_json::from_str(json).unwrap())
            .map_err(|error| error.body().error_code)
    }

    const EVERYTHING: &str = r#"{
        "compatibility": "FULL", "alias": "other", "aliasForDeks": "deks", "normalize": true,
        "validateFields": true, "validateNewSchemas": false, "validateRules": true,
        "compatibilityPolicy": "LENIENT", "compatibilityGroup": "major",
        "defaultMetadata": {"properties": {"a": "1"}}, "overrideMetadata": {"sensitive": ["a"]},
        "defaultRuleSet": {"domainRules": [
            {"name": "r", "kind": "CONDITION", "mode": "WRITE", "type": "CEL"}
        ]},
        "overrideRuleSet": {"enableAt": "X"}
    }"#;

    // Conformance: registry/rest-5
    #[test]
    fn update_keeps_absent_and_clears_null() {
        let stored = update_of(StoredConfigBody::default(), EVERYTHING).unwrap();
        let written: Value = serde_json::to_value(&stored).unwrap();
        assert_eq!(written, serde_json::from_str::<Value>(EVERYTHING).unwrap());
        assert_eq!(update_of(stored.clone(), "{}"), Ok(stored.clone()));
        let changed = update_of(stored.clone(), r#"{"compatibility":"none"}"#).unwrap();
        assert_eq!(changed.compatibility, Some(Unchecked));
        assert_eq!(changed.properties, stored.properties);
        let names = written.as_object().unwrap().keys();
        let cleared = names.map(|name| (name.clone(), Value::Null)).collect();
        let cleared = update(stored, &cleared).unwrap();
        assert_eq!(cleared, StoredConfigBody::default());
    }

    #[test]
    fn update_rejects_invalid_values() {
        let table = [
            (r#"{"compatibility":"WRONG"}"#, 42203),
            (r#"{"compatibility":7}"#, 42203),
            (r#"{"alias":7}"#, 400),
            (r#"{"normalize":"yes"}"#, 400),
            (r#"{"compatibilityPolicy":"OTHER"}"#, 400),
            (r#"{"defaultMetadata":{"properties":[]}}"#, 400),
            (
                r#"{"defaultRuleSet":{"domainRules":[{"name":"r"}]}}"#,
                42210,
            ),
            (
                r#"{"overrideRuleSet":{"domainRules":[{"type":"CEL"}]}}"#,
                42210,
            ),
        ];
        for (json, code) in table {
            assert_eq!(
                update_of(StoredConfigBody::default(), json),
                Err(code),
                "{json}"
            );
        }
    }

    // Conformance: registry/rule-8
    #[test]
    fn effective_level_is_subject_global_or_default() {
        let with = |level| {
            Some(StoredConfigBody {
                compatibility: level,
                ..Default::default()
            })
        };
        let table = [
            (None, None, Backward),
            (None, with(Some(Full)), Full),
            (with(Some(Unchecked)), with(Some(Full)), Unchecked),
            (with(None), with(Some(Full)), Backward),
        ];
        for (subject, global, level) in table {
            assert_eq!(
                effective(subject, global, Backward).compatibility_level,
                level
            );
        }
    }

    // Conformance: registry/rest-5
    #[test]
    fn validation_is_inherited_metadata_is_not() {
        let everything = update_of(StoredConfigBody::default(), EVERYTHING).unwrap();
        let none = StoredConfigBody::default();
        let inherited = effective(Some(none), Some(everything.clone()), Backward);
        assert_eq!(inherited.compatibility_level, Backward);
        let properties = serde_json::to_value(&inherited.properties).unwrap();
        let names: Vec<&String> = properties.as_object().unwrap().keys().collect();
        let expected = [
            "normalize",
            "validateFields",
            "validateNewSchemas",
            "validateRules",
            "compatibilityPolicy",
            "compatibilityGroup",
        ];
        assert_eq!(names, expected);
        let global = effective(None, Some(everything.clone()), Backward);
        assert_eq!(global.properties, everything.properties);
        assert!(adds_to_content(&global.properties) && !adds_to_content(&inherited.properties));
    }

    // Conformance: registry/rule-11
    #[test]
    fn modes_restrict_registration() {
        let table = [
            (Mode::Readwrite, false, None),
            (
                Mode::Readwrite,
                true,
                Some("Subject s in context . is not in import mode"),
            ),
            (Mode::Import, true, None),
            (Mode::Forward, true, None),
            (
                Mode::Import,
                false,
                Some("Subject s in context . is not in read-write mode"),
            ),
            (
                Mode::Readonly,
                false,
                Some("Subject s in context . is in read-only mode"),
            ),
            (
                Mode::ReadonlyOverride,
                true,
                Some("Subject s in context . is in read-only mode"),
            ),
        ];
        for (mode, demands_id, message) in table {
            let error = permit_registration(mode, "s", demands_id).err();
            assert_eq!(
                error.map(|error| error.to_string()).as_deref(),
                message,
                "{mode}"
            );
        }
    }
}
