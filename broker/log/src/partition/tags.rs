//! A small set of opaque tags, which becomes "any tag" above a limit.

/// Maximum number of tags in a set.
pub(crate) const TAGS_MAX: usize = 256;

/// The tags of a range of batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TagSet {
    /// Exactly these, sorted.
    Few(Vec<u32>),
    /// Possibly every tag.
    Any,
}

impl Default for TagSet {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl TagSet {
    pub(crate) fn insert(&mut self, tag: u32) {
        if let Self::Few(tags) = self
            && let Err(at) = tags.binary_search(&tag)
        {
            // A larger set costs more than the lookups it avoids.
            if tags.len() == TAGS_MAX {
                *self = Self::Any;
            } else {
                tags.insert(at, tag);
            }
        }
    }

    /// Adds all tags of `other`.
    pub(crate) fn extend(&mut self, other: &Self) {
        match other {
            Self::Few(tags) => tags.iter().for_each(|tag| self.insert(*tag)),
            Self::Any => *self = Self::Any,
        }
    }

    pub(crate) fn may_hold(&self, tag: u32) -> bool {
        match self {
            Self::Few(tags) => tags.binary_search(&tag).is_ok(),
            Self::Any => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tag_set_never_denies_an_inserted_tag() {
        let mut set = TagSet::default();
        for tag in (0..600).step_by(2) {
            assert!(set.may_hold(tag + 1) == (set == TagSet::Any));
            set.insert(tag);
            assert!((0..=tag).step_by(2).all(|earlier| set.may_hold(earlier)));
        }
        assert_eq!(set, TagSet::Any);
    }
}
