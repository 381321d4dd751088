//! Names at the edge: subjects and versions as requests spell them, parsed once.

use crate::error::RegistryError;

/// The context of every subject that names none.
pub(crate) const DEFAULT_CONTEXT: &str = ".";

/// A subject in its context. The name is the one clients see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) context: String,
    pub(crate) name: String,
}

impl Subject {
    /// Parses a name for a call that only reads or deletes: any name will do, since one that could
    /// not be registered is simply not found.
    pub(crate) fn existing(name: &str) -> Result<Self, RegistryError> {
        let unqualified = name.strip_prefix(":.:").unwrap_or(name);
        if unqualified.starts_with(":.") {
            return Err(RegistryError::Unsupported(format!(
                "the context of subject '{name}'"
            )));
        }
        Ok(Self {
            context: DEFAULT_CONTEXT.to_owned(),
            name: unqualified.to_owned(),
        })
    }

    /// Parses a name that something is about to be stored under.
    pub(crate) fn writable(name: &str) -> Result<Self, RegistryError> {
        let subject = Self::existing(name)?;
        let reserved = ["__GLOBAL", "__EMPTY"].contains(&subject.name.as_str());
        if reserved || subject.name.is_empty() || subject.name.chars().any(char::is_control) {
            return Err(RegistryError::InvalidSubject(name.to_owned()));
        }
        Ok(subject)
    }
}

/// A version as a path names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VersionSpec {
    /// The highest version that is not soft-deleted, whatever else the request includes.
    Latest,
    /// Exactly this one, 1 and up.
    Number(i32),
}

impl VersionSpec {
    pub(crate) fn parse(text: &str) -> Result<Self, RegistryError> {
        if text.eq_ignore_ascii_case("latest") || text == "-1" {
            return Ok(Self::Latest);
        }
        match text.parse::<i32>() {
            Ok(number) if number >= 1 => Ok(Self::Number(number)),
            Ok(_) | Err(_) => Err(RegistryError::InvalidVersion(text.to_owned())),
        }
    }

    /// The number in messages: -1 for the latest.
    pub(crate) fn number(self) -> i32 {
        match self {
            Self::Latest => -1,
            Self::Number(number) => number,
        }
    }
}

/// Which versions a call may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visibility {
    Live,
    WithDeleted,
    DeletedOnly,
}

impl Visibility {
    /// `deletedOnly` wins over `deleted`.
    pub(crate) fn of(deleted: bool, deleted_only: bool) -> Self {
        match (deleted, deleted_only) {
            (_, true) => Self::DeletedOnly,
            (true, false) => Self::WithDeleted,
            (false, false) => Self::Live,
        }
    }

    pub(crate) fn shows(self, deleted: bool) -> bool {
        match self {
            Self::Live => !deleted,
            Self::WithDeleted => true,
            Self::DeletedOnly => deleted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_positive_31_bit_numbers_or_latest() {
        let table = [
            ("1", Some(VersionSpec::Number(1))),
            ("2147483647", Some(VersionSpec::Number(i32::MAX))),
            ("latest", Some(VersionSpec::Latest)),
            ("LATEST", Some(VersionSpec::Latest)),
            ("-1", Some(VersionSpec::Latest)),
            ("0", None),
            ("-2", None),
            ("abc", None),
            ("2147483648", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(VersionSpec::parse(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_subject_may_be_almost_anything_but_reserved_or_unprintable() {
        for good in ["a", "subj/ect", "a b", "*", ":x", "\u{e9}", ":.:plain"] {
            assert!(Subject::writable(good).is_ok(), "{good}");
        }
        for bad in ["", "__GLOBAL", "__EMPTY", "a\nb", "\u{7f}"] {
            assert!(matches!(
                Subject::writable(bad),
                Err(RegistryError::InvalidSubject(_))
            ));
        }
        assert!(matches!(
            Subject::existing(":.ctx:s"),
            Err(RegistryError::Unsupported(_))
        ));
        assert_eq!(Subject::existing(":.:plain").unwrap().name, "plain");
    }
}
