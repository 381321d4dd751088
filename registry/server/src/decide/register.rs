//! Which version and id a registration gets.

use crate::error::RegistryError;

/// One version of the subject, soft-deleted ones included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct VersionRow {
    pub(crate) version: i32,
    pub(crate) id: i32,
    pub(crate) deleted: bool,
}

/// What the request asks for beyond the content.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) version: WantedVersion,
    pub(crate) id: Option<i32>,
}

/// The version a registration asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum WantedVersion {
    /// Whichever has the content, else the next one.
    #[default]
    Any,
    /// The latest if it has the content, else the next one.
    Next,
    /// This one, 1 and up.
    Exactly(i32),
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
            Some(number) if number > 0 => Ok(Self::Exactly(number)),
            Some(number) => {
                let message = format!("Invalid version {number}");
                Err(RegistryError::InvalidSchema(message))
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
    Add { version: i32, id: Option<i32> },
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
    same_content: &[i32],
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
pub(crate) fn registered(versions: &[VersionRow], ids: &[i32]) -> Option<VersionRow> {
    versions
        .iter()
        .rev()
        .find(|row| !row.deleted && ids.contains(&row.id))
        .copied()
}

/// The soft-deleted versions that a new version with the same id replaces.
pub(crate) fn replaced(
    versions: &[VersionRow],
    version: i32,
    id: i32,
) -> impl Iterator<Item = i32> + '_ {
    let same = move |row: &&VersionRow| row.deleted && row.id == id && row.version < version;
    versions.iter().filter(same).map(|row| row.version)
}

/// One more than the highest version there is, soft-deleted ones included.
///
/// # Errors
/// [`RegistryError::InvalidSchema`] when there is no such number.
pub(crate) fn next_version(versions: &[VersionRow]) -> Result<i32, RegistryError> {
    let highest = versions.iter().map(|row| row.version).max().unwrap_or(0);
    let exhausted = || RegistryError::InvalidSchema("The subject has no version left".to_owned());
    highest.checked_add(1).ok_or_else(exhausted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn live(version: i32, id: i32) -> VersionRow {
        VersionRow {
            version,
            id,
            deleted: false,
        }
    }

    const fn deleted(version: i32, id: i32) -> VersionRow {
        VersionRow {
            version,
            id,
            deleted: true,
        }
    }

    fn ask(versions: &[VersionRow], same_content: &[i32]) -> Plan {
        plan(versions, same_content, Wanted::default(), false).unwrap()
    }

    #[test]
    fn new_content_gets_the_next_version_and_a_new_id() {
        assert_eq!(
            ask(&[], &[]),
            Plan::Add {
                version: 1,
                id: None
            }
        );
        assert_eq!(
            ask(&[live(1, 7)], &[]),
            Plan::Add {
                version: 2,
                id: None
            }
        );
        assert_eq!(
            ask(&[live(1, 7), deleted(5, 9)], &[]),
            Plan::Add {
                version: 6,
                id: None
            }
        );
    }

    #[test]
    fn content_of_another_subject_keeps_its_id() {
        assert_eq!(
            ask(&[live(1, 7)], &[3]),
            Plan::Add {
                version: 2,
                id: Some(3)
            }
        );
    }

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
        assert_eq!(
            ask(&versions, &[7]),
            Plan::Add {
                version: 3,
                id: Some(7)
            }
        );
        assert_eq!(replaced(&versions, 3, 7).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn a_version_asked_for_must_be_the_next_one_unless_imported() {
        let wanted = Wanted {
            version: WantedVersion::Exactly(5),
            id: None,
        };
        let error = plan(&[live(1, 7)], &[], wanted, false).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Version is not one more than previous version"
        );
        let imported = Wanted {
            version: WantedVersion::Exactly(5),
            id: Some(40),
        };
        let plan_of = plan(&[live(1, 7)], &[], imported, true).unwrap();
        assert_eq!(
            plan_of,
            Plan::Add {
                version: 5,
                id: Some(40)
            }
        );
    }

    #[test]
    fn an_import_cannot_give_registered_content_another_id() {
        let wanted = Wanted {
            version: WantedVersion::Any,
            id: Some(8),
        };
        let error = plan(&[live(1, 7)], &[7], wanted, true).unwrap_err();
        assert!(matches!(error, RegistryError::IdDoesNotMatch));
    }
}
