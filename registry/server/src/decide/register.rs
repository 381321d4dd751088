//! Version and ID of a registration.

use avouch_registry_api::types::{SchemaId, Version};

use crate::error::RegistryError;

/// A version of a subject, possibly soft-deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct VersionRow {
    pub(crate) version: Version,
    pub(crate) id: SchemaId,
    pub(crate) deleted: bool,
}

/// The version and the ID that a request demands.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) version: WantedVersion,
    pub(crate) id: Option<SchemaId>,
}

/// The version that a registration demands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum WantedVersion {
    /// Any version with the content, otherwise the next one.
    #[default]
    Any,
    /// The latest version if it has the content, otherwise the next one.
    Next,
    /// This version.
    Exactly(Version),
}

impl WantedVersion {
    /// Parses the version of a request: absent or 0 is any version, -1 is the next one.
    ///
    /// # Errors
    /// [`RegistryError::InvalidSchema`] for any other number below 1.
    pub(crate) fn of(number: Option<i32>) -> Result<Self, RegistryError> {
        match number {
            None | Some(0) => Ok(Self::Any),
            Some(-1) => Ok(Self::Next),
            Some(number) => {
                let message = || format!("Invalid version {number}");
                let version = Version::new(number).map(Self::Exactly);
                version.ok_or_else(|| RegistryError::InvalidSchema(message()))
            }
        }
    }
}

/// The result of [`plan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// The content is registered already.
    Registered(VersionRow),
    /// A new version. Without an ID, one must be allocated.
    Add {
        version: Version,
        id: Option<SchemaId>,
    },
}

/// Plans a registration. `versions` are all versions of the subject, ascending; `same_content` are
/// the IDs in the context with exactly this content, ascending.
///
/// # Errors
/// [`RegistryError::IdDoesNotMatch`] if an import demands another ID than the content has in the
/// subject; [`RegistryError::InvalidSchema`] if the demanded version is not the next one, unless
/// `any_version` is set, which it is for imports.
pub(crate) fn plan(
    versions: &[VersionRow],
    same_content: &[SchemaId],
    wanted: Wanted,
    any_version: bool,
) -> Result<Plan, RegistryError> {
    // A demanded version is registered again, even with content that another version has.
    if wanted.version == WantedVersion::Any
        && let Some(row) = registered(versions, same_content)
    {
        return match wanted.id {
            Some(id) if id != row.id => Err(RegistryError::IdDoesNotMatch),
            Some(_) | None => Ok(Plan::Registered(row)),
        };
    }
    let next = next_version(versions)?;
    let version = match wanted.version {
        WantedVersion::Any | WantedVersion::Next => next,
        WantedVersion::Exactly(version) => version,
    };
    if version != next && !any_version {
        let message = "Version is not one more than previous version".to_owned();
        return Err(RegistryError::InvalidSchema(message));
    }
    Ok(Plan::Add {
        version,
        id: wanted.id.or(same_content.first().copied()),
    })
}

/// Returns true if a version that has the content satisfies the request.
pub(crate) fn satisfies(row: VersionRow, wanted: Wanted) -> bool {
    match wanted.version {
        WantedVersion::Any | WantedVersion::Next => wanted.id.is_none_or(|id| id == row.id),
        WantedVersion::Exactly(version) => wanted.id == Some(row.id) && version == row.version,
    }
}

/// Returns the newest live version with one of the IDs.
pub(crate) fn registered(versions: &[VersionRow], ids: &[SchemaId]) -> Option<VersionRow> {
    versions
        .iter()
        .rev()
        .find(|row| !row.deleted && ids.contains(&row.id))
        .copied()
}

/// Returns the soft-deleted versions that a new version with the same ID replaces.
pub(crate) fn replaced(
    versions: &[VersionRow],
    version: Version,
    id: SchemaId,
) -> impl Iterator<Item = Version> + '_ {
    // Confluent removes them too, so that an ID has at most one version per subject.
    let same = move |row: &&VersionRow| row.deleted && row.id == id && row.version < version;
    versions.iter().filter(same).map(|row| row.version)
}

/// Returns one more than the highest version, soft-deleted ones included.
///
/// # Errors
/// [`RegistryError::InvalidSchema`] if the numbers are exhausted.
pub(crate) fn next_version(versions: &[VersionRow]) -> Result<Version, RegistryError> {
    let exhausted = || RegistryError::InvalidSchema("The subject has no version left".to_owned());
    // Soft-deleted versions count: their numbers are never reused while they exist.
    match versions.iter().map(|row| row.version).max() {
        Some(highest) => highest.next().ok_or_else(exhausted),
        None => Ok(Version::FIRST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: i32) -> SchemaId {
        SchemaId::new(number).unwrap()
    }

    fn version(number: i32) -> Version {
        Version::new(number).unwrap()
    }

    fn live(version_number: i32, id_number: i32) -> VersionRow {
        VersionRow {
            version: version(version_number),
            id: id(id_number),
            deleted: false,
        }
    }

    fn deleted(version: i32, id: i32) -> VersionRow {
        VersionRow {
            deleted: true,
            ..live(version, id)
        }
    }

    fn planned(versions: &[VersionRow], same_content: &[i32]) -> Plan {
        let ids: Vec<SchemaId> = same_content.iter().copied().map(id).collect();
        plan(versions, &ids, Wanted::default(), false).unwrap()
    }

    fn add(version_number: i32, id_number: Option<i32>) -> Plan {
        Plan::Add {
            version: version(version_number),
            id: id_number.map(id),
        }
    }

    #[test]
    fn new_content_gets_next_version() {
        assert_eq!(planned(&[], &[]), add(1, None));
        assert_eq!(planned(&[live(1, 7)], &[]), add(2, None));
        assert_eq!(planned(&[live(1, 7), deleted(5, 9)], &[]), add(6, None));
    }

    #[test]
    fn content_of_other_subject_keeps_id() {
        assert_eq!(planned(&[live(1, 7)], &[3]), add(2, Some(3)));
    }

    // Conformance: registry/rule-5
    #[test]
    fn older_version_with_content_is_found() {
        assert_eq!(
            planned(&[live(1, 7), live(2, 8)], &[7]),
            Plan::Registered(live(1, 7))
        );
    }

    #[test]
    fn soft_deleted_content_keeps_id() {
        let versions = [deleted(1, 7), live(2, 8)];
        assert_eq!(planned(&versions, &[7]), add(3, Some(7)));
        let replaced = replaced(&versions, version(3), id(7));
        assert_eq!(replaced.collect::<Vec<_>>(), [version(1)]);
    }

    #[test]
    fn demanded_version_is_next_unless_imported() {
        let wanted = Wanted {
            version: WantedVersion::Exactly(version(5)),
            id: None,
        };
        let error = plan(&[live(1, 7)], &[], wanted, false).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Version is not one more than previous version"
        );
        let imported = Wanted {
            version: WantedVersion::Exactly(version(5)),
            id: Some(id(40)),
        };
        let imported = plan(&[live(1, 7)], &[], imported, true).unwrap();
        assert_eq!(imported, add(5, Some(40)));
    }

    #[test]
    fn import_cannot_change_id_of_content() {
        let wanted = Wanted {
            version: WantedVersion::Any,
            id: Some(id(8)),
        };
        let error = plan(&[live(1, 7)], &[id(7)], wanted, true).unwrap_err();
        assert!(matches!(error, RegistryError::IdDoesNotMatch));
    }
}
