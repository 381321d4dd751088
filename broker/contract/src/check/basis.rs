//! The state of the registry that a verdict depends on: the eligible schemas, each with the epoch
//! of its id. The batch may be appended only while these epochs are unchanged.

use crate::check::eligibility::Eligibility;

/// Ids and epochs. A batch of one schema, the usual one, allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct Basis {
    first: Option<(i32, u64)>,
    /// The others, sorted by id.
    more: Vec<(i32, u64)>,
}

impl Basis {
    /// Adds an id whose schema is valid for `epoch`.
    pub(crate) fn add(&mut self, id: i32, epoch: u64) {
        match self.first {
            None => self.first = Some((id, epoch)),
            // The first epoch stays: if it has moved since, the batch must be checked again.
            Some((first, _)) if first == id => {}
            Some(_) => {
                // Sorted, so that a batch of 256 schemas adds each in logarithmic time.
                if let Err(at) = self.more.binary_search_by_key(&id, |(id, _)| *id) {
                    self.more.insert(at, (id, epoch));
                }
            }
        }
    }

    /// Adds an id if its schema is eligible.
    pub(crate) fn add_eligible(&mut self, id: i32, epoch: u64, eligibility: &Eligibility) {
        if matches!(eligibility, Eligibility::Eligible(_)) {
            self.add(id, epoch);
        }
    }

    /// Returns the ids with their epochs, each id once.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i32, u64)> + '_ {
        self.first.iter().chain(&self.more).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: contract/3l
    #[test]
    fn an_id_keeps_its_first_epoch() {
        let mut basis = Basis::default();
        for (id, epoch) in [(7, 1), (3, 1), (9, 1), (3, 2), (7, 2), (5, 4)] {
            basis.add(id, epoch);
        }
        let ids: Vec<_> = basis.iter().collect();
        assert_eq!(ids, [(7, 1), (3, 1), (5, 4), (9, 1)]);
    }
}
