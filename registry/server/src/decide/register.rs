//! Which version and id a registration gets.

use avouch_registry_api::types::{SchemaId, Version};

use crate::error::RegistryError;

/// One version of the subject, soft-deleted ones included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct VersionRow {
    pub(crate) version: Version,
    pub(crate) id: SchemaId,
    pub(crate) deleted: bool,
}

/// What the request asks for beyond the content.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) version: WantedVersion,
    pub(crate) id: Option<SchemaId>,
}

/// The version a registration asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum WantedVersion {
    /// Whichever has the content, else the next one.
    #[default]
    Any,
    /// The latest if it has the content, else the next one.
    Next,
    /// This one.
    Exactly(Version),
}

impl WantedVersion {
    /// A version as requests write it: absent and 0 are any, -1 is the next.
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

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Nothing: it is registered already.
    Registered(VersionRow),
    /// A new version; without an id, one must be allocated.
    Add {
        version: Version,
        id: Option<SchemaId>,
    },
}

/// Plans a registration. `versions` are all the subject's versions, ascending; `same_content` are
/// the ids in the context that stand for exactly this content, ascending.
///
/// # Errors
/// [`RegistryError::IdDoesNotMatch`] when an import brings another id than the subject's own for
/// the same content; [`RegistryError::InvalidSchema`] when the version asked for is not the next
/// one (`any_version` lifts that, for imports).
pub(crate) fn plan(
    versions: &[VersionRow],
    same_content: &[SchemaId],
    wanted: Wanted,
    any_version: bool,
) -> Result<Plan, RegistryError> {
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

/// Whether a registration may answer with a version that has its content already.
pub(crate) fn answers(row: VersionRow, wanted: Wanted) -> bool {
    match wanted.version {
        WantedVersion::Any | WantedVersion::Next => wanted.id.is_none_or(|id| id == row.id),
        WantedVersion::Exactly(version) => wanted.id == Some(row.id) && version == row.version,
    }
}

/// The newest live version that stands for one of the ids.
pub(crate) fn registered(versions: &[VersionRow], ids: &[SchemaId]) -> Option<VersionRow> {
    versions
        .iter()
        .rev()
        .find(|row| !row.deleted && ids.contains(&row.id))
        .copied()
}

/// The soft-deleted versions that a new version with the same id replaces.
pub(crate) fn replaced(
    versions: &[VersionRow],
    version: Version,
    id: SchemaId,
) -> impl Iterator<Item = Version> + '_ {
    let same = move |row: &&VersionRow| row.deleted && row.id == id && row.version < version;
    versions.iter().filter(same).map(|row| row.version)
}

/// One more than the highest version there is, soft-deleted ones included.
///
/// # Errors
/// [`RegistryError::InvalidSchema`] when there is no such number.
pub(crate) fn next_version(versions: &[VersionRow]) -> Result<Version, RegistryError> {
    let exhausted = || RegistryError::InvalidSchema("The subject has no version left".to_owned());
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

    fn ask(versions: &[VersionRow], same_content: &[i32]) -> Plan {
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
    fn new_content_gets_the_next_version_and_a_new_id() {
        assert_eq!(ask(&[], &[]), add(1, None));
        assert_eq!(ask(&[live(1, 7)], &[]), add(2, None));
        assert_eq!(ask(&[live(1, 7), deleted(5, 9)], &[]), add(6, None));
    }

    #[test]
    fn content_of_another_subject_keeps_its_id() {
        assert_eq!(ask(&[live(1, 7)], &[3]), add(2, Some(3)));
    }

    // Conformance: registry/rule-5
    #[test]
    fn registered_content_is_found_even_when_it_is_not_the_latest() {
        assert_eq!(
            ask(&[live(1, 7), live(2, 8)], &[7]),
            Plan::Registered(live(1, 7))
        );
    }

    #[test]
    fn soft_deleted_content_comes_back_as_a_new_version_with_its_old_id() {
        let versions = [deleted(1, 7), live(2, 8)];
        assert_eq!(ask(&versions, &[7]), add(3, Some(7)));
        let replaced = replaced(&versions, version(3), id(7));
        assert_eq!(replaced.collect::<Vec<_>>(), [version(1)]);
    }

    #[test]
    fn a_version_asked_for_must_be_the_next_one_unless_imported() {
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
    fn an_import_cannot_give_registered_content_another_id() {
        let wanted = Wanted {
            version: WantedVersion::Any,
            id: Some(id(8)),
        };
        let error = plan(&[live(1, 7)], &[id(7)], wanted, true).unwrap_err();
        assert!(matches!(error, RegistryError::IdDoesNotMatch));
    }
}
