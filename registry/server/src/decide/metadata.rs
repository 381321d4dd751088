//! Metadata of a schema: merging, and the properties with a meaning for the registry.

use std::collections::BTreeMap;

use avouch_registry_api::rest::Metadata;
use avouch_registry_api::types::Version;

/// The property with the version of the schema.
const VERSION: &str = "confluent:version";
/// The property that lists fields which no version may have, separated by commas.
const RESERVED: &str = "confluent:reserved";

/// Merges metadata. `newer` wins for each key of tags and properties; sensitive keys are joined.
pub(crate) fn merged(older: Option<Metadata>, newer: Option<Metadata>) -> Option<Metadata> {
    match (older, newer) {
        (None, metadata) | (metadata, None) => metadata,
        (Some(older), Some(newer)) => Some(Metadata {
            tags: merged_maps(older.tags, newer.tags),
            properties: merged_maps(older.properties, newer.properties),
            sensitive: match (older.sensitive, newer.sensitive) {
                (None, keys) | (keys, None) => keys,
                (Some(older), Some(newer)) => Some(older.into_iter().chain(newer).collect()),
            },
        }),
    }
}

/// Returns the metadata with the version added.
pub(crate) fn with_version(metadata: Option<Metadata>, version: Version) -> Metadata {
    let mut metadata = metadata.unwrap_or_default();
    metadata
        .properties
        .get_or_insert_default()
        .insert(VERSION.to_owned(), version.to_string());
    metadata
}

/// Returns the version in the metadata, as written.
pub(crate) fn stored_version(metadata: Option<&Metadata>) -> Option<&str> {
    property(metadata, VERSION)
}

/// Returns the fields that the metadata reserve.
pub(crate) fn reserved_fields(metadata: Option<&Metadata>) -> Vec<&str> {
    let names = property(metadata, RESERVED).unwrap_or_default().split(',');
    names
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect()
}

/// Returns the value of a property.
pub(crate) fn property<'a>(metadata: Option<&'a Metadata>, name: &str) -> Option<&'a str> {
    let properties = metadata?.properties.as_ref()?;
    properties.get(name).map(String::as_str)
}

/// Returns true if `new` equals the metadata `old` of version `old_version`, apart from a version
/// that only one of them contains and that matches.
pub(crate) fn equal_but_for_version(
    new: Option<&Metadata>,
    old: Option<&Metadata>,
    old_version: Version,
) -> bool {
    let stored = |metadata| stored_version(metadata).and_then(|text| text.parse::<i32>().ok());
    match (stored(new), stored(old)) {
        // Both recorded or neither: the version is compared like any property.
        (None, None) | (Some(_), Some(_)) => new == old,
        // The client sent back what a registration with version -1 returned.
        (Some(version), None) => version == old_version.get() && without_version(new) == plain(old),
        (None, Some(_)) => plain(new) == without_version(old),
    }
}

/// Returns the metadata with empty parts removed, since absent and empty are equal here.
fn plain(metadata: Option<&Metadata>) -> Metadata {
    let metadata = metadata.cloned().unwrap_or_default();
    Metadata {
        tags: metadata.tags.filter(|tags| !tags.is_empty()),
        properties: metadata.properties.filter(|all| !all.is_empty()),
        sensitive: metadata.sensitive.filter(|keys| !keys.is_empty()),
    }
}

fn without_version(metadata: Option<&Metadata>) -> Metadata {
    let mut metadata = metadata.cloned().unwrap_or_default();
    if let Some(properties) = &mut metadata.properties {
        properties.remove(VERSION);
    }
    plain(Some(&metadata))
}

fn merged_maps<T>(
    older: Option<BTreeMap<String, T>>,
    newer: Option<BTreeMap<String, T>>,
) -> Option<BTreeMap<String, T>> {
    match (older, newer) {
        (None, map) | (map, None) => map,
        (Some(older), Some(newer)) => Some(older.into_iter().chain(newer).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(json: &str) -> Option<Metadata> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn merging_prefers_newer_keys() {
        let older = metadata(
            r#"{"properties":{"a":"1","b":"1"},"tags":{"R.f":["PII"]},"sensitive":["a"]}"#,
        );
        let newer = metadata(r#"{"properties":{"a":"2"},"tags":{"R.g":["X"]},"sensitive":["b"]}"#);
        let both = metadata(
            r#"{"properties":{"a":"2","b":"1"},"tags":{"R.f":["PII"],"R.g":["X"]},
                "sensitive":["a","b"]}"#,
        );
        assert_eq!(merged(older.clone(), newer.clone()), both);
        assert_eq!(merged(older.clone(), None), older);
        assert_eq!(merged(None, newer.clone()), newer);
    }

    /// New metadata, old metadata of version 3, and the expected equality.
    // Conformance: registry/rule-2
    #[test]
    fn matching_version_on_one_side_is_ignored() {
        let table = [
            ("null", "null", true),
            (r#"{"properties":{"a":"1"}}"#, "null", false),
            ("null", r#"{"properties":{"confluent:version":"3"}}"#, true),
            (
                r#"{"properties":{"a":"1"}}"#,
                r#"{"properties":{"confluent:version":"3"}}"#,
                false,
            ),
            (
                r#"{"properties":{"a":"1"}}"#,
                r#"{"properties":{"a":"1","confluent:version":"9"}}"#,
                true,
            ),
            (r#"{"properties":{"confluent:version":"3"}}"#, "null", true),
            (r#"{"properties":{"confluent:version":"4"}}"#, "null", false),
            (
                r#"{"properties":{"confluent:version":"3"}}"#,
                r#"{"properties":{"confluent:version":"4"}}"#,
                false,
            ),
        ];
        for (new, old, expected) in table {
            let (new_metadata, old_metadata) = (metadata(new), metadata(old));
            let equal = equal_but_for_version(
                new_metadata.as_ref(),
                old_metadata.as_ref(),
                Version::new(3).unwrap(),
            );
            assert_eq!(equal, expected, "{new} {old}");
        }
    }

    #[test]
    fn reserved_fields_are_split_at_commas() {
        let reserving = metadata(r#"{"properties":{"confluent:reserved":" a, b ,,c"}}"#);
        assert_eq!(reserved_fields(reserving.as_ref()), ["a", "b", "c"]);
        assert!(reserved_fields(None).is_empty());
    }
}
