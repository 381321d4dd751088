//! Subjects, contexts and versions, parsed from the names in requests.

use avouch_registry_api::types::VersionSelector;

use crate::error::RegistryError;

/// The context of subjects whose names contain none.
pub(crate) const DEFAULT_CONTEXT: &str = ".";

/// The context whose settings apply if neither a subject nor its context has any. It has no
/// subjects.
pub(crate) const GLOBAL_CONTEXT: &str = ".__GLOBAL";
/// The prefix that selects all subjects of all contexts.
pub(crate) const ALL_CONTEXTS: &str = ":*:";

/// A subject in its context, or the context itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    /// `.` for the default context, otherwise `.NAME`.
    pub(crate) context: String,
    /// Qualified name `:.CONTEXT:NAME`, or the plain name in the default context.
    pub(crate) name: String,
}

impl Subject {
    /// Parses a name to read or delete. Any name is accepted, since an invalid one is never found.
    pub(crate) fn existing(name: &str) -> Self {
        Self::within(DEFAULT_CONTEXT, name)
    }

    /// Parses a name. If it contains no context, it belongs to `context`.
    pub(crate) fn within(context: &str, name: &str) -> Self {
        let (context, plain) = match name.strip_prefix(':') {
            // The delimiter is `:.`; `:x` without a dot is a plain name.
            Some(qualified) if qualified.starts_with('.') => {
                qualified.split_once(':').unwrap_or((qualified, ""))
            }
            Some(_) | None => (context, name),
        };
        // One form for each subject, since stores and caches compare names as strings.
        let name = if context == DEFAULT_CONTEXT {
            plain.to_owned()
        } else {
            format!(":{context}:{plain}")
        };
        Self {
            context: context.to_owned(),
            name,
        }
    }

    /// Parses the name of a subject to register schemas under.
    ///
    /// # Errors
    /// [`RegistryError::InvalidSubject`] if no subject may have the name.
    pub(crate) fn writable(name: &str) -> Result<Self, RegistryError> {
        let subject = Self::existing(name);
        if subject.plain().is_empty() || subject.context == GLOBAL_CONTEXT {
            return Err(RegistryError::InvalidSubject(name.to_owned()));
        }
        Self::writable_scope(name)
    }

    /// Parses the name of a subject or a context to store settings for.
    ///
    /// # Errors
    /// [`RegistryError::InvalidSubject`] if neither may have the name.
    pub(crate) fn writable_scope(name: &str) -> Result<Self, RegistryError> {
        let subject = Self::existing(name);
        let is_empty = subject.name.is_empty() && !name.starts_with(":.");
        // Confluent uses these names for the global settings and an empty context.
        let is_reserved = ["__GLOBAL", "__EMPTY"].contains(&subject.plain());
        if is_empty || is_reserved || subject.name.chars().any(char::is_control) {
            return Err(RegistryError::InvalidSubject(name.to_owned()));
        }
        Ok(subject)
    }

    /// Returns true for the context whose settings all others inherit.
    pub(crate) fn is_global(&self) -> bool {
        self.context == GLOBAL_CONTEXT && self.plain().is_empty()
    }

    /// Returns the name without its context; empty for the context itself.
    pub(crate) fn plain(&self) -> &str {
        plain_name(&self.name)
    }
}

/// The owner of a configuration or a mode: a subject or a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scope<'a> {
    pub(crate) context: &'a str,
    /// The qualified name, or empty for the whole context: no subject has an empty name.
    pub(crate) subject: &'a str,
}

impl<'a> Scope<'a> {
    /// Returns the scope of a context.
    pub(crate) const fn context(context: &'a str) -> Self {
        Self {
            context,
            subject: "",
        }
    }

    /// Returns the scope of a subject; a subject without a plain name is its context.
    pub(crate) fn of(subject: &'a Subject) -> Self {
        let whole = Self::context(&subject.context);
        if subject.plain().is_empty() {
            whole
        } else {
            Self {
                subject: &subject.name,
                ..whole
            }
        }
    }

    /// Returns the scope of a subject, or of the default context where none is given: the global
    /// settings.
    pub(crate) fn of_optional(subject: Option<&'a Subject>) -> Self {
        subject.map_or(Self::context(DEFAULT_CONTEXT), Self::of)
    }

    /// Returns true if the scope is a context.
    pub(crate) fn is_context(self) -> bool {
        self.subject.is_empty()
    }
}

/// Returns a qualified name without its context.
pub(crate) fn plain_name(name: &str) -> &str {
    let qualified = name.strip_prefix(":.");
    let parts = qualified.and_then(|qualified| qualified.split_once(':'));
    parts.map_or(name, |(_, plain)| plain)
}

/// The subjects of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    /// `None` selects all contexts.
    pub(crate) context: Option<String>,
    /// Prefix of the names without context.
    pub(crate) plain: String,
}

impl Prefix {
    /// Parses `subjectPrefix`, in which `:*:` selects all contexts.
    pub(crate) fn parse(text: &str) -> Self {
        if let Some(plain) = text.strip_prefix(ALL_CONTEXTS) {
            return Self {
                context: None,
                plain: plain.to_owned(),
            };
        }
        let subject = Subject::existing(text);
        Self {
            plain: subject.plain().to_owned(),
            context: Some(subject.context),
        }
    }
}

/// Parses the version in a path.
///
/// # Errors
/// [`RegistryError::InvalidVersion`] for anything but a number from 1, `latest` or `-1`.
pub(crate) fn version_selector(text: &str) -> Result<VersionSelector, RegistryError> {
    let invalid = |_| RegistryError::InvalidVersion(text.to_owned());
    text.parse().map_err(invalid)
}

/// The versions that a request includes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visibility {
    Live,
    WithDeleted,
    DeletedOnly,
}

impl Visibility {
    /// Returns the visibility for `deleted` and `deletedOnly`, which has precedence.
    pub(crate) fn of(deleted: bool, deleted_only: bool) -> Self {
        match (deleted, deleted_only) {
            (_, true) => Self::DeletedOnly,
            (true, false) => Self::WithDeleted,
            (false, false) => Self::Live,
        }
    }

    /// Returns true if the request includes versions with this deletion state.
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

    // Conformance: registry/rule-9
    #[test]
    fn reserved_and_unprintable_names_are_rejected() {
        for valid in ["a", "subj/ect", "a b", "*", ":x", "\u{e9}", ":.:plain"] {
            assert!(Subject::writable(valid).is_ok(), "{valid}");
        }
        for invalid in ["", "__GLOBAL", "__EMPTY", "a\nb", "\u{7f}"] {
            assert!(matches!(
                Subject::writable(invalid),
                Err(RegistryError::InvalidSubject(_))
            ));
        }
    }

    // Conformance: registry/contexts-1
    #[test]
    fn name_contains_context_or_inherits_it() {
        let table = [
            (".", "s", ".", "s"),
            (".", ":.:s", ".", "s"),
            (".", ":.ctx:s", ".ctx", ":.ctx:s"),
            (".", ":.ctx:", ".ctx", ":.ctx:"),
            (".", ":.ctx", ".ctx", ":.ctx:"),
            (".", ":.ctx:a:b", ".ctx", ":.ctx:a:b"),
            (".", ":x:s", ".", ":x:s"),
            (".ctx", "s", ".ctx", ":.ctx:s"),
            (".ctx", ":.:s", ".", "s"),
            (".ctx", ":.other:s", ".other", ":.other:s"),
        ];
        for (default, text, context, name) in table {
            let subject = Subject::within(default, text);
            assert_eq!(
                (&*subject.context, &*subject.name),
                (context, name),
                "{text}"
            );
        }
        assert_eq!(Subject::existing(":.ctx:a:b").plain(), "a:b");
        assert!(Subject::writable(":.ctx:").is_err());
        assert!(Subject::writable(":.ctx:__GLOBAL").is_err());
        assert!(Subject::writable_scope(":.ctx:").is_ok());
    }

    // Conformance: registry/contexts-1
    #[test]
    fn prefix_selects_one_or_all_contexts() {
        let table = [
            ("", Some("."), ""),
            ("pay", Some("."), "pay"),
            (":.ctx:", Some(".ctx"), ""),
            (":.ctx:pay", Some(".ctx"), "pay"),
            (":*:", None, ""),
            (":*:pay", None, "pay"),
        ];
        for (text, context, plain) in table {
            let prefix = Prefix::parse(text);
            assert_eq!(prefix.context.as_deref(), context, "{text}");
            assert_eq!(prefix.plain, plain, "{text}");
        }
    }
}
