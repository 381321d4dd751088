//! A small set of opaque tags: exact while small, "any" once it is not.

/// More tags than this are no longer told apart.
pub(crate) const TAGS_MAX: usize = 256;

/// Which tags a range of batches carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TagSet {
    /// Exactly these, sorted.
    Few(Vec<u32>),
    /// Perhaps every one.
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
            if tags.len() == TAGS_MAX {
                *self = Self::Any;
            } else {
                tags.insert(at, tag);
            }
        }
    }

    /// Puts in all that `other` may hold.
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
    fn a_set_never_denies_a_tag_that_was_put_in() {
        let mut set = TagSet::default();
        for tag in (0..600).step_by(2) {
            assert!(set.may_hold(tag + 1) == (set == TagSet::Any));
            set.insert(tag);
            assert!((0..=tag).step_by(2).all(|earlier| set.may_hold(earlier)));
        }
        assert_eq!(set, TagSet::Any);
    }
}
