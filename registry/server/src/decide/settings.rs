//! Configurations and modes: what a request may set, and which setting is in force for a subject.

use std::fmt::Display;

use avouch_registry_api::rest::{ConfigBody, ConfigProperties, RuleSet, StoredConfigBody};
use avouch_registry_api::types::{CompatibilityLevel, Mode};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::decide::content::Strictness;
use crate::decide::rules;
use crate::decide::subject::{DEFAULT_CONTEXT, Subject};
use crate::error::RegistryError;

/// The stored configuration after an update: an absent property stays, `null` clears it.
///
/// # Errors
/// A level or a policy that is none, a rule set that no client could apply, a value of the wrong
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
    take(request, "alias", &mut own.alias)?;
    take(request, "aliasForDeks", &mut own.alias_for_deks)?;
    take(request, "normalize", &mut own.normalize)?;
    take(request, "validateFields", &mut own.validate_fields)?;
    take(request, "validateNewSchemas", &mut own.validate_new_schemas)?;
    take(request, "validateRules", &mut own.validate_rules)?;
    take(request, "compatibilityGroup", &mut own.compatibility_group)?;
    take(request, "defaultMetadata", &mut own.default_metadata)?;
    take(request, "overrideMetadata", &mut own.override_metadata)?;
    take_rules(request, "defaultRuleSet", &mut own.default_rule_set)?;
    take_rules(request, "overrideRuleSet", &mut own.override_rule_set)?;
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
    let unknown = || {
        wrong(
            "compatibilityPolicy",
            "STRICT, LENIENT or LOGICAL is expected",
        )
    };
    parsed.map(Some).ok_or_else(unknown)
}

fn take<T: DeserializeOwned>(
    request: &Map<String, Value>,
    name: &str,
    kept: &mut Option<T>,
) -> Result<(), RegistryError> {
    if let Some(value) = request.get(name) {
        *kept = serde_json::from_value(value.clone()).map_err(|error| wrong(name, error))?;
    }
    Ok(())
}

fn take_rules(
    request: &Map<String, Value>,
    name: &str,
    kept: &mut Option<RuleSet>,
) -> Result<(), RegistryError> {
    take(request, name, kept)?;
    *kept = kept.take().map(rules::checked).transpose()?;
    Ok(())
}

fn wrong(name: &str, reason: impl Display) -> RegistryError {
    RegistryError::BadRequest(format!("{name}: {reason}"))
}

/// A stored configuration as its own scope shows it: a level it leaves out is the server's default.
pub(crate) fn shown(stored: StoredConfigBody, default: CompatibilityLevel) -> ConfigBody {
    ConfigBody {
        compatibility_level: stored.compatibility.unwrap_or(default),
        properties: stored.properties,
    }
}

/// The configuration in force for a subject. A subject with a configuration but no level has the
/// server's default level, not the global one. How schemas are treated falls back to the global
/// configuration; aliases, metadata and rules are a scope's own.
pub(crate) fn in_force(
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

/// Whether the configuration adds to what is registered.
pub(crate) fn adds_to_content(config: &ConfigProperties) -> bool {
    config.default_metadata.is_some()
        || config.override_metadata.is_some()
        || config.default_rule_set.is_some()
        || config.override_rule_set.is_some()
}

/// How strictly a text that is to be registered is read: what is imported comes as it is, and a
/// configuration can take everything for that.
pub(crate) fn strictness(config: &ConfigProperties, mode: Mode) -> Strictness {
    if mode.is_import() || config.validate_new_schemas == Some(false) {
        Strictness::Legacy
    } else {
        Strictness::New
    }
}

/// Whether the mode lets anything under the subject change.
///
/// # Errors
/// [`RegistryError::NotPermitted`] when it is read-only.
pub(crate) fn permit_change(mode: Mode, subject: Option<&str>) -> Result<(), RegistryError> {
    if mode.is_read_only() {
        Err(refused(subject, "read-only", "in"))
    } else {
        Ok(())
    }
}

/// Whether the mode lets a schema be registered, with or without an id of its own.
///
/// # Errors
/// [`RegistryError::NotPermitted`] otherwise.
pub(crate) fn permit_registration(
    mode: Mode,
    subject: &str,
    brings_id: bool,
) -> Result<(), RegistryError> {
    permit_change(mode, Some(subject))?;
    match (mode, brings_id) {
        (Mode::Import | Mode::Forward, true) | (Mode::Readwrite, false) => Ok(()),
        (_, true) => Err(refused(Some(subject), "import", "not in")),
        (_, false) => Err(refused(Some(subject), "read-write", "not in")),
    }
}

fn refused(subject: Option<&str>, mode: &str, relation: &str) -> RegistryError {
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
    fn an_update_keeps_what_is_absent_and_clears_what_is_null() {
        let stored = update_of(StoredConfigBody::default(), EVERYTHING).unwrap();
        let told: Value = serde_json::to_value(&stored).unwrap();
        assert_eq!(told, serde_json::from_str::<Value>(EVERYTHING).unwrap());
        assert_eq!(update_of(stored.clone(), "{}"), Ok(stored.clone()));
        let changed = update_of(stored.clone(), r#"{"compatibility":"none"}"#).unwrap();
        assert_eq!(changed.compatibility, Some(Unchecked));
        assert_eq!(changed.properties, stored.properties);
        let names = told.as_object().unwrap().keys();
        let cleared = names.map(|name| (name.clone(), Value::Null)).collect();
        let cleared = update(stored, &cleared).unwrap();
        assert_eq!(cleared, StoredConfigBody::default());
    }

    #[test]
    fn a_value_that_no_property_can_have_is_refused() {
        let table = [
            (r#"{"compatibility":"WRONG"}"#, 42203),
            (r#"{"compatibility":7}"#, 42203),
            (r#"{"alias":7}"#, 400),
            (r#"{"normalize":"yes"}"#, 400),
            (r#"{"compatibilityPolicy":"KIND"}"#, 400),
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
    fn the_level_in_force_comes_from_subject_then_global_then_default() {
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
                in_force(subject, global, Backward).compatibility_level,
                level
            );
        }
    }

    // Conformance: registry/rest-5
    #[test]
    fn how_schemas_are_treated_is_inherited_and_what_is_added_to_them_is_not() {
        let everything = update_of(StoredConfigBody::default(), EVERYTHING).unwrap();
        let none = StoredConfigBody::default();
        let inherited = in_force(Some(none), Some(everything.clone()), Backward);
        assert_eq!(inherited.compatibility_level, Backward);
        let told = serde_json::to_value(&inherited.properties).unwrap();
        let names: Vec<&String> = told.as_object().unwrap().keys().collect();
        let expected = [
            "normalize",
            "validateFields",
            "validateNewSchemas",
            "validateRules",
            "compatibilityPolicy",
            "compatibilityGroup",
        ];
        assert_eq!(names, expected);
        let global = in_force(None, Some(everything.clone()), Backward);
        assert_eq!(global.properties, everything.properties);
        assert!(adds_to_content(&global.properties) && !adds_to_content(&inherited.properties));
    }

    // Conformance: registry/rule-11
    #[test]
    fn modes_say_who_may_register() {
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
        for (mode, brings_id, message) in table {
            let refusal = permit_registration(mode, "s", brings_id).err();
            assert_eq!(
                refusal.map(|error| error.to_string()).as_deref(),
                message,
                "{mode}"
            );
        }
    }
}
