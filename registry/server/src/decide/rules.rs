//! Rule sets: validation, defaults and merging. The registry never runs a rule; it rejects those
//! that no client could run.

use std::collections::BTreeSet;

use avouch_registry_api::rest::{Rule, RuleSet};
use thiserror::Error;

use crate::error::RegistryError;

/// Maximum length of a rule's name, in characters.
const NAME_CHARS: usize = 256;
/// Maximum number of rules in a rule set, all lists together. More make every registration slower.
const MAX_RULES: usize = 1_000;

const KINDS: [&str; 2] = ["TRANSFORM", "CONDITION"];
const BETWEEN_VERSIONS: [&str; 3] = ["UPGRADE", "DOWNGRADE", "UPDOWN"];
const ON_DATA: [&str; 3] = ["WRITE", "READ", "WRITEREAD"];

/// Reason why a rule is invalid, in Confluent's words where Confluent validates it too.
#[derive(Debug, Error)]
enum InvalidRule {
    #[error("Missing rule name")]
    MissingName,
    #[error("Empty rule name")]
    EmptyName,
    #[error("Rule name too long")]
    NameTooLong,
    #[error("Illegal initial character in rule name: {0}")]
    InitialCharacter(String),
    #[error("Illegal character in rule name: {0}")]
    Character(String),
    #[error("Rule kinds are {}, not {kind}", KINDS.join(" and "))]
    Kind { kind: String },
    #[error("Missing rule type")]
    MissingType,
    #[error("Multiple actions only valid with WRITEREAD and UPDOWN")]
    MultipleActions,
    #[error("{list} rules can only be {modes}")]
    Mode { list: &'static str, modes: String },
}

impl From<InvalidRule> for RegistryError {
    fn from(error: InvalidRule) -> Self {
        Self::InvalidRuleSet(error.to_string())
    }
}

/// Validates a rule set and adds the defaults of Confluent's clients: kind `TRANSFORM` and mode
/// `WRITEREAD`.
///
/// # Errors
/// [`RegistryError::InvalidRuleSet`] if no client could apply it.
pub(crate) fn checked(mut rules: RuleSet) -> Result<RuleSet, RegistryError> {
    let mut names = BTreeSet::new();
    let lists = [
        ("Migration", &mut rules.migration_rules, BETWEEN_VERSIONS),
        ("Domain", &mut rules.domain_rules, ON_DATA),
        ("Encoding", &mut rules.encoding_rules, ON_DATA),
    ];
    for (list, rules, modes) in lists {
        for rule in rules.iter_mut().flatten() {
            complete(rule);
            check(rule, list, &modes)?;
            let name = rule.name.clone().unwrap_or_default();
            if !names.insert(name.clone()) {
                let message = format!("Found rule with duplicate name '{name}'");
                return Err(RegistryError::InvalidRuleSet(message));
            }
        }
    }
    if names.len() > MAX_RULES {
        let message = format!("More than {MAX_RULES} rules");
        return Err(RegistryError::InvalidRuleSet(message));
    }
    Ok(rules)
}

/// Merges rule sets. Rules of `newer` replace those with the same name.
pub(crate) fn merged(older: Option<RuleSet>, newer: Option<RuleSet>) -> Option<RuleSet> {
    match (older, newer) {
        (None, rules) | (rules, None) => rules,
        (Some(older), Some(newer)) => Some(RuleSet {
            migration_rules: merged_lists(older.migration_rules, newer.migration_rules),
            domain_rules: merged_lists(older.domain_rules, newer.domain_rules),
            encoding_rules: merged_lists(older.encoding_rules, newer.encoding_rules),
            enable_at: newer.enable_at.or(older.enable_at),
        }),
    }
}

/// Returns the rule set without the rules of these names.
pub(crate) fn without(mut rules: RuleSet, names: &[String]) -> RuleSet {
    let lists = [
        &mut rules.migration_rules,
        &mut rules.domain_rules,
        &mut rules.encoding_rules,
    ];
    for rules in lists {
        if let Some(list) = rules {
            list.retain(|rule| rule.name.as_ref().is_none_or(|name| !names.contains(name)));
        }
        *rules = rules.take().filter(|list| !list.is_empty());
    }
    rules
}

fn merged_lists(older: Option<Vec<Rule>>, newer: Option<Vec<Rule>>) -> Option<Vec<Rule>> {
    match (older, newer) {
        (None, rules) | (rules, None) => rules,
        (Some(mut older), Some(newer)) => {
            older.retain(|rule| newer.iter().all(|replacing| replacing.name != rule.name));
            older.extend(newer);
            Some(older)
        }
    }
}

fn complete(rule: &mut Rule) {
    rule.kind.get_or_insert_with(|| "TRANSFORM".to_owned());
    rule.mode.get_or_insert_with(|| "WRITEREAD".to_owned());
}

fn check(rule: &Rule, list: &'static str, modes: &[&str]) -> Result<(), InvalidRule> {
    check_name(rule.name.as_deref())?;
    let kind = rule.kind.as_deref().unwrap_or_default();
    if !KINDS.contains(&kind) {
        return Err(InvalidRule::Kind {
            kind: kind.to_owned(),
        });
    }
    if rule.rule_type.is_none() {
        return Err(InvalidRule::MissingType);
    }
    let mode = rule.mode.as_deref().unwrap_or_default();
    let two_ways = ["WRITEREAD", "UPDOWN"].contains(&mode);
    let actions = [&rule.on_success, &rule.on_failure];
    if !two_ways
        && actions
            .into_iter()
            .flatten()
            .any(|action| action.contains(','))
    {
        return Err(InvalidRule::MultipleActions);
    }
    if !modes.contains(&mode) {
        let modes = modes.join(", ");
        return Err(InvalidRule::Mode { list, modes });
    }
    Ok(())
}

fn check_name(name: Option<&str>) -> Result<(), InvalidRule> {
    let name = name.ok_or(InvalidRule::MissingName)?;
    let mut chars = name.chars();
    let first = chars.next().ok_or(InvalidRule::EmptyName)?;
    if name.chars().count() > NAME_CHARS {
        return Err(InvalidRule::NameTooLong);
    }
    if !first.is_alphabetic() && first != '_' {
        return Err(InvalidRule::InitialCharacter(name.to_owned()));
    }
    if chars.any(|char| !char.is_alphanumeric() && char != '_' && char != '-') {
        return Err(InvalidRule::Character(name.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(json: &str) -> RuleSet {
        serde_json::from_str(json).unwrap()
    }

    // Conformance: registry/rest-6
    #[test]
    fn invalid_rules_are_rejected() {
        let long = format!(
            r#"{{"domainRules":[{{"name":"{}","type":"CEL"}}]}}"#,
            "x".repeat(257)
        );
        let table = [
            (r#"{"domainRules":[{"type":"CEL"}]}"#, "Missing rule name"),
            (r#"{"domainRules":[{"name":""}]}"#, "Empty rule name"),
            (&long, "Rule name too long"),
            (
                r#"{"domainRules":[{"name":"1a","type":"CEL"}]}"#,
                "Illegal initial character in rule name: 1a",
            ),
            (
                r#"{"domainRules":[{"name":"a b","type":"CEL"}]}"#,
                "Illegal character in rule name: a b",
            ),
            (r#"{"domainRules":[{"name":"a"}]}"#, "Missing rule type"),
            (
                r#"{"domainRules":[{"name":"a","type":"CEL","kind":"OTHER"}]}"#,
                "Rule kinds are TRANSFORM and CONDITION, not OTHER",
            ),
            (
                r#"{"domainRules":[{"name":"a","type":"CEL","mode":"UPGRADE"}]}"#,
                "Domain rules can only be WRITE, READ, WRITEREAD",
            ),
            (
                r#"{"encodingRules":[{"name":"a","type":"CEL","mode":"UPDOWN"}]}"#,
                "Encoding rules can only be WRITE, READ, WRITEREAD",
            ),
            (
                r#"{"migrationRules":[{"name":"a","type":"CEL"}]}"#,
                "Migration rules can only be UPGRADE, DOWNGRADE, UPDOWN",
            ),
            (
                r#"{"domainRules":[
                    {"name":"a","type":"CEL","mode":"READ","onFailure":"DLQ,NONE"}
                ]}"#,
                "Multiple actions only valid with WRITEREAD and UPDOWN",
            ),
            (
                r#"{"migrationRules":[{"name":"a","type":"J","mode":"UPGRADE"}],
                    "domainRules":[{"name":"a","type":"CEL"}]}"#,
                "Found rule with duplicate name 'a'",
            ),
        ];
        for (json, message) in table {
            let error = checked(rules(json)).unwrap_err();
            assert_eq!(error.to_string(), message);
            assert_eq!(error.body().error_code, 42210);
        }
    }

    #[test]
    fn missing_kind_and_mode_get_defaults() {
        let checked = checked(rules(r#"{"domainRules":[{"name":"a","type":"CEL"}]}"#)).unwrap();
        let rule = &checked.domain_rules.unwrap()[0];
        let kind_and_mode = (rule.kind.as_deref(), rule.mode.as_deref());
        assert_eq!(kind_and_mode, (Some("TRANSFORM"), Some("WRITEREAD")));
    }

    // Conformance: registry/rest-6
    #[test]
    fn rules_are_merged_and_removed_by_name() {
        let older = rules(
            r#"{"domainRules":[{"name":"a","expr":"1"},{"name":"b","expr":"1"}],"enableAt":"X"}"#,
        );
        let newer =
            rules(r#"{"domainRules":[{"name":"a","expr":"2"}],"migrationRules":[{"name":"m"}]}"#);
        let both = merged(Some(older.clone()), Some(newer.clone())).unwrap();
        let expected = rules(
            r#"{"domainRules":[{"name":"b","expr":"1"},{"name":"a","expr":"2"}],
                "migrationRules":[{"name":"m"}],"enableAt":"X"}"#,
        );
        assert_eq!(both, expected);
        assert_eq!(merged(Some(older.clone()), None), Some(older));
        assert_eq!(merged(None, Some(newer.clone())), Some(newer));
        let left = without(both, &["a".to_owned(), "m".to_owned()]);
        let names: Vec<_> = left
            .domain_rules
            .iter()
            .flatten()
            .map(|rule| &rule.name)
            .collect();
        assert_eq!(names, [&Some("b".to_owned())]);
        assert_eq!(left.migration_rules, None);
    }
}
