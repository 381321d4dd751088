//! What a delete takes away, and in which order it is refused.

use crate::decide::register::VersionRow;
use crate::decide::subject::VersionSpec;
use crate::error::RegistryError;

/// Whether a delete hides or removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Soft: the version stays readable by id.
    Soft,
    /// Permanent, after a soft delete.
    Permanent,
}

/// The version a request means, before modes and references are asked.
///
/// # Errors
/// Subject or version not found; a second soft delete of the same version.
pub(crate) fn find_version(
    subject: &str,
    spec: VersionSpec,
    versions: &[VersionRow],
    depth: Depth,
) -> Result<VersionRow, RegistryError> {
    if versions.is_empty() {
        return Err(RegistryError::SubjectNotFound(subject.to_owned()));
    }
    let missing = || RegistryError::VersionNotFound(spec.number());
    let row = *match spec {
        VersionSpec::Latest => versions.iter().rev().find(|row| !row.deleted),
        VersionSpec::Number(number) => versions.iter().find(|row| row.version == number),
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

/// The last check of a version's delete, after modes and references.
///
/// # Errors
/// A permanent delete without a soft delete before it.
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

/// The versions a subject's delete takes away, before modes and references are asked.
///
/// # Errors
/// Subject not found; a second soft delete.
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

/// The last check of a subject's delete, after modes and references.
///
/// # Errors
/// A permanent delete while any version is live.
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
    use VersionSpec::{Latest, Number};

    const ROWS: [VersionRow; 3] = [
        VersionRow {
            version: 1,
            id: 1,
            deleted: true,
        },
        VersionRow {
            version: 2,
            id: 2,
            deleted: false,
        },
        VersionRow {
            version: 3,
            id: 3,
            deleted: true,
        },
    ];

    #[test]
    fn the_version_a_delete_means() {
        let table = [
            (Latest, Depth::Soft, Ok(2)),
            (Number(2), Depth::Soft, Ok(2)),
            (Number(3), Depth::Permanent, Ok(3)),
            (Number(3), Depth::Soft, Err(40406)),
            (Number(9), Depth::Soft, Err(40402)),
        ];
        for (spec, depth, expected) in table {
            let found = find_version("s", spec, &ROWS, depth);
            let found = found
                .map(|row| row.version)
                .map_err(|error| error.body().error_code);
            assert_eq!(found, expected, "{spec:?} {depth:?}");
        }
        let nothing = find_version("s", Latest, &[], Depth::Soft).unwrap_err();
        assert_eq!(nothing.body().error_code, 40401);
        let all_deleted = find_version("s", Latest, &ROWS[..1], Depth::Soft).unwrap_err();
        assert_eq!(all_deleted.to_string(), "Version -1 not found.");
    }

    #[test]
    fn permanent_follows_soft() {
        let live = permit_version("s", ROWS[1], Depth::Permanent).unwrap_err();
        assert_eq!(live.body().error_code, 40407);
        assert!(permit_version("s", ROWS[0], Depth::Permanent).is_ok());
        let mixed = permit_subject("s", &ROWS, Depth::Permanent).unwrap_err();
        assert_eq!(mixed.body().error_code, 40405);
        assert!(permit_subject("s", &ROWS[..1], Depth::Permanent).is_ok());
    }

    #[test]
    fn a_subject_is_soft_deleted_once() {
        assert_eq!(find_subject("s", &ROWS, Depth::Soft).unwrap(), [ROWS[1]]);
        assert_eq!(find_subject("s", &ROWS, Depth::Permanent).unwrap(), ROWS);
        let again = find_subject("s", &ROWS[..1], Depth::Soft).unwrap_err();
        assert_eq!(again.body().error_code, 40404);
    }
}
