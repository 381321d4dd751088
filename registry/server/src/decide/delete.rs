//! Deletion: the versions that a request removes, and the checks in Confluent's order.

use avouch_registry_api::types::VersionSelector;

use crate::decide::register::VersionRow;
use crate::error::RegistryError;

/// Kind of deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Soft: the schema stays readable by its ID.
    Soft,
    /// Permanent: allowed after a soft delete only.
    Permanent,
}

/// Returns the version to delete. Runs before the checks of mode and references.
///
/// # Errors
/// If subject or version do not exist, or if the version is soft-deleted already.
pub(crate) fn find_version(
    subject: &str,
    spec: VersionSelector,
    versions: &[VersionRow],
    depth: Depth,
) -> Result<VersionRow, RegistryError> {
    if versions.is_empty() {
        return Err(RegistryError::SubjectNotFound(subject.to_owned()));
    }
    let missing = || RegistryError::VersionNotFound(spec);
    let row = *match spec {
        VersionSelector::Latest => versions.iter().rev().find(|row| !row.deleted),
        VersionSelector::Number(number) => versions.iter().find(|row| row.version == number),
    }
    .ok_or_else(missing)?;
    if depth == Depth::Soft && row.deleted {
        let version = row.version;
        return Err(RegistryError::VersionSoftDeleted {
            subject: subject.to_owned(),
            version,
        });
    }
    Ok(row)
}

/// Checks the deletion of a version. Runs after the checks of mode and references.
///
/// # Errors
/// If the deletion is permanent and the version is not soft-deleted.
pub(crate) fn permit_version(
    subject: &str,
    row: VersionRow,
    depth: Depth,
) -> Result<(), RegistryError> {
    if depth == Depth::Permanent && !row.deleted {
        let subject = subject.to_owned();
        return Err(RegistryError::VersionNotSoftDeleted {
            subject,
            version: row.version,
        });
    }
    Ok(())
}

/// Returns the versions that deleting a subject removes. Runs before the checks of mode and
/// references.
///
/// # Errors
/// If the subject does not exist, or if all its versions are soft-deleted already.
pub(crate) fn find_subject(
    subject: &str,
    versions: &[VersionRow],
    depth: Depth,
) -> Result<Vec<VersionRow>, RegistryError> {
    if versions.is_empty() {
        return Err(RegistryError::SubjectNotFound(subject.to_owned()));
    }
    match depth {
        Depth::Permanent => Ok(versions.to_vec()),
        Depth::Soft => {
            let live: Vec<_> = versions
                .iter()
                .filter(|row| !row.deleted)
                .copied()
                .collect();
            if live.is_empty() {
                return Err(RegistryError::SubjectSoftDeleted(subject.to_owned()));
            }
            Ok(live)
        }
    }
}

/// Checks the deletion of a subject. Runs after the checks of mode and references.
///
/// # Errors
/// If the deletion is permanent and a version is live.
pub(crate) fn permit_subject(
    subject: &str,
    rows: &[VersionRow],
    depth: Depth,
) -> Result<(), RegistryError> {
    if depth == Depth::Permanent && rows.iter().any(|row| !row.deleted) {
        return Err(RegistryError::SubjectNotSoftDeleted(subject.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use avouch_registry_api::types::{SchemaId, Version};

    /// Versions 1 and 3 are soft-deleted, version 2 is live.
    fn rows() -> [VersionRow; 3] {
        [1, 2, 3].map(|number| VersionRow {
            version: Version::new(number).unwrap(),
            id: SchemaId::new(number).unwrap(),
            deleted: number != 2,
        })
    }

    #[test]
    fn deletion_selects_version() {
        let table = [
            ("latest", Depth::Soft, Ok(2)),
            ("2", Depth::Soft, Ok(2)),
            ("3", Depth::Permanent, Ok(3)),
            ("3", Depth::Soft, Err(40406)),
            ("9", Depth::Soft, Err(40402)),
        ];
        for (selector, depth, expected) in table {
            let found = find_version("s", selector.parse().unwrap(), &rows(), depth);
            let found = found
                .map(|row| row.version.get())
                .map_err(|error| error.body().error_code);
            assert_eq!(found, expected, "{selector} {depth:?}");
        }
        let latest = VersionSelector::Latest;
        let nothing = find_version("s", latest, &[], Depth::Soft).unwrap_err();
        assert_eq!(nothing.body().error_code, 40401);
        let all_deleted = find_version("s", latest, &rows()[..1], Depth::Soft).unwrap_err();
        assert_eq!(all_deleted.to_string(), "Version -1 not found.");
    }

    #[test]
    fn permanent_deletion_requires_soft_deletion() {
        let live = permit_version("s", rows()[1], Depth::Permanent).unwrap_err();
        assert_eq!(live.body().error_code, 40407);
        assert!(permit_version("s", rows()[0], Depth::Permanent).is_ok());
        let mixed = permit_subject("s", &rows(), Depth::Permanent).unwrap_err();
        assert_eq!(mixed.body().error_code, 40405);
        assert!(permit_subject("s", &rows()[..1], Depth::Permanent).is_ok());
    }

    #[test]
    fn second_soft_deletion_is_rejected() {
        assert_eq!(
            find_subject("s", &rows(), Depth::Soft).unwrap(),
            [rows()[1]]
        );
        assert_eq!(
            find_subject("s", &rows(), Depth::Permanent).unwrap(),
            rows()
        );
        let again = find_subject("s", &rows()[..1], Depth::Soft).unwrap_err();
        assert_eq!(again.body().error_code, 40404);
    }
}
