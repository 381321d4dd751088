//! Configurations and modes: what a request may set, and which setting is in force for a subject.

use avouch_registry_api::rest::{ConfigBody, StoredConfigBody};
use avouch_registry_api::vocabulary::{CompatibilityLevel, Mode};
use serde_json::{Map, Value};

use crate::error::RegistryError;

/// Properties of Confluent's configuration that are not served, each with the value that asks for
/// what happens anyway.
const UNSERVED: [(&str, Value); 9] = [
    ("alias", Value::Null),
    ("aliasForDeks", Value::Bool(false)),
    ("validateFields", Value::Bool(false)),
    ("validateNewSchemas", Value::Bool(true)),
    ("validateRules", Value::Bool(false)),
    ("defaultMetadata", Value::Null),
    ("overrideMetadata", Value::Null),
    ("defaultRuleSet", Value::Null),
    ("overrideRuleSet", Value::Null),
];

/// The stored configuration after an update: an absent property stays, `null` clears it.
///
/// # Errors
/// A level that is none; a property that is not served.
pub(crate) fn update(
    stored: StoredConfigBody,
    request: &Map<String, Value>,
) -> Result<StoredConfigBody, RegistryError> {
    for (name, as_is) in &UNSERVED {
        if request
            .get(*name)
            .is_some_and(|value| !value.is_null() && value != as_is)
        {
            return Err(RegistryError::Unsupported(format!(
                "configuration property {name}"
            )));
        }
    }
    match request.get("compatibilityPolicy").map(Value::as_str) {
        None | Some(Some("STRICT")) => {}
        Some(_) => {
            let property = "compatibilityPolicy other than STRICT".to_owned();
            return Err(RegistryError::Unsupported(property));
        }
    }
    Ok(StoredConfigBody {
        compatibility: match request.get("compatibility") {
            None => stored.compatibility,
            Some(Value::Null) => None,
            Some(value) => Some(level(value)?),
        },
        compatibility_group: match request.get("compatibilityGroup") {
            None => stored.compatibility_group,
            Some(value) => value.as_str().map(str::to_owned),
        },
        normalize: match request.get("normalize") {
            None => stored.normalize,
            Some(Value::Null) => None,
            Some(Value::Bool(normalize)) => Some(*normalize),
            Some(_) => {
                let message = "normalize must be true or false".to_owned();
                return Err(RegistryError::BadRequest(message));
            }
        },
    })
}

fn level(value: &Value) -> Result<CompatibilityLevel, RegistryError> {
    let parsed = value.as_str().and_then(|word| word.parse().ok());
    parsed.ok_or(RegistryError::InvalidCompatibilityLevel)
}

/// A stored configuration as its own scope shows it: a level it leaves out is the server's default.
pub(crate) fn shown(stored: StoredConfigBody, default: CompatibilityLevel) -> ConfigBody {
    ConfigBody {
        compatibility_level: stored.compatibility.unwrap_or(default),
        compatibility_group: stored.compatibility_group,
        normalize: stored.normalize,
    }
}

/// The configuration in force for a subject. A subject with a configuration but no level has the
/// server's default level, not the global one; the rest falls back to the global configuration.
pub(crate) fn in_force(
    subject: Option<StoredConfigBody>,
    global: Option<StoredConfigBody>,
    default: CompatibilityLevel,
) -> ConfigBody {
    let global = shown(global.unwrap_or_default(), default);
    match subject {
        None => global,
        Some(own) => {
            let own = shown(own, default);
            let compatibility_group = own.compatibility_group.or(global.compatibility_group);
            ConfigBody {
                compatibility_group,
                normalize: own.normalize.or(global.normalize),
                ..own
            }
        }
    }
}

/// The mode in force for a subject.
pub(crate) fn mode_in_force(subject: Option<Mode>, global: Option<Mode>) -> Mode {
    subject.or(global).unwrap_or(Mode::Readwrite)
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
        (Mode::Import, true) | (Mode::Readwrite, false) => Ok(()),
        (_, true) => Err(refused(Some(subject), "import", "not in")),
        (_, false) => Err(refused(Some(subject), "read-write", "not in")),
    }
}

fn refused(subject: Option<&str>, mode: &str, relation: &str) -> RegistryError {
    let subject = subject.unwrap_or("null");
    RegistryError::NotPermitted(format!(
        "Subject {subject} in context . is {relation} {mode} mode"
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

    #[test]
    fn an_update_keeps_what_is_absent_and_clears_what_is_null() {
        let stored = StoredConfigBody {
            compatibility: Some(Full),
            compatibility_group: Some("major".into()),
            normalize: Some(true),
        };
        assert_eq!(update_of(stored.clone(), "{}"), Ok(stored.clone()));
        let changed = update_of(stored.clone(), r#"{"compatibility":"none"}"#).unwrap();
        assert_eq!(changed.compatibility, Some(Unchecked));
        assert_eq!(changed.compatibility_group.as_deref(), Some("major"));
        assert_eq!(changed.normalize, Some(true));
        let cleared = update_of(
            stored,
            r#"{"compatibility":null,"compatibilityGroup":null,"normalize":null}"#,
        );
        assert_eq!(cleared, Ok(StoredConfigBody::default()));
    }

    #[test]
    fn what_is_not_served_is_refused_unless_it_changes_nothing() {
        let table = [
            (r#"{"compatibility":"WRONG"}"#, 42203),
            (r#"{"compatibility":7}"#, 42203),
            (r#"{"alias":"other"}"#, 422),
            (r#"{"normalize":"yes"}"#, 400),
            (r#"{"compatibilityPolicy":"LENIENT"}"#, 422),
        ];
        for (json, code) in table {
            assert_eq!(
                update_of(StoredConfigBody::default(), json),
                Err(code),
                "{json}"
            );
        }
        let harmless = r#"{"normalize":false,"alias":null,"compatibilityPolicy":"STRICT"}"#;
        assert!(update_of(StoredConfigBody::default(), harmless).is_ok());
    }

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

    #[test]
    fn whether_to_normalize_comes_from_subject_then_global() {
        let with = |normalize| {
            Some(StoredConfigBody {
                normalize,
                ..Default::default()
            })
        };
        let table = [
            (None, None, None),
            (None, with(Some(true)), Some(true)),
            (with(None), with(Some(true)), Some(true)),
            (with(Some(false)), with(Some(true)), Some(false)),
        ];
        for (subject, global, normalize) in table {
            assert_eq!(in_force(subject, global, Backward).normalize, normalize);
        }
    }

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
        assert_eq!(mode_in_force(None, Some(Mode::Readonly)), Mode::Readonly);
        assert_eq!(
            mode_in_force(Some(Mode::Import), Some(Mode::Readonly)),
            Mode::Import
        );
        assert_eq!(mode_in_force(None, None), Mode::Readwrite);
    }
}
