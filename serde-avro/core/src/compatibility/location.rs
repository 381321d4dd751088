//! Locations of compared pairs: Java's path, and the paths in both schemas.
//!
//! A location is a step from another location, one per compared pair. Paths are written only for
//! the findings of a result.

/// The locations of one comparison.
pub(super) struct Locations {
    locations: Vec<Location>,
}

/// The index of a location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LocationId(usize);

struct Location {
    parent: LocationId,
    step: Step,
}

/// A step from a pair to a child pair.
#[derive(Clone, Copy)]
pub(super) enum Step {
    /// The roots of both schemas.
    Root,
    /// The items of two arrays.
    Items,
    /// The values of two maps.
    Values,
    /// A field of the reader's record with the writer's field that it reads, or with the writer's
    /// record if there is none.
    Field {
        reader: usize,
        writer: Option<usize>,
    },
    /// A field of the reader's record that the writer's record lacks.
    MissingField(usize),
    /// A branch of the writer's union.
    WriterBranch(usize),
    /// A branch of the writer's union compared with the reader's union; Java's path restarts here.
    WriterBranchAlone(usize),
    /// A branch of the reader's union; Java's path restarts here.
    ReaderBranch(usize),
    /// An attribute of both types.
    Attribute(&'static str),
}

impl Locations {
    pub(super) const ROOT: LocationId = LocationId(0);

    pub(super) fn new() -> Self {
        let root = Location {
            parent: Self::ROOT,
            step: Step::Root,
        };
        Self {
            locations: vec![root],
        }
    }

    /// Adds a location.
    pub(super) fn step(&mut self, parent: LocationId, step: Step) -> LocationId {
        self.locations.push(Location { parent, step });
        LocationId(self.locations.len() - 1)
    }

    /// Returns the number of steps from the root.
    pub(super) fn depth(&self, location: LocationId) -> usize {
        self.steps_back(location).count()
    }

    /// Returns Java's path: a JSON pointer from the last restart, `/` at the restart itself.
    pub(super) fn java_location(&self, location: LocationId) -> String {
        let restarts =
            |step: &Step| matches!(step, Step::WriterBranchAlone(_) | Step::ReaderBranch(_));
        let mut steps: Vec<_> = self
            .steps_back(location)
            .take_while(|step| !restarts(step))
            .collect();
        steps.reverse();
        let mut path = String::new();
        for step in steps {
            match step {
                Step::Root | Step::WriterBranchAlone(_) | Step::ReaderBranch(_) => {}
                Step::Items => path.push_str("/items"),
                Step::Values => path.push_str("/values"),
                Step::Field { reader, .. } => path.push_str(&format!("/fields/{reader}/type")),
                Step::MissingField(index) => path.push_str(&format!("/fields/{index}")),
                Step::WriterBranch(index) => path.push_str(&format!("/{index}")),
                Step::Attribute(key) => {
                    path.push('/');
                    path.push_str(key);
                }
            }
        }
        if path.is_empty() {
            path.push('/');
        }
        path
    }

    /// Returns the child indexes of the path in the reader's schema and in the writer's.
    pub(super) fn paths(&self, location: LocationId) -> (Vec<usize>, Vec<usize>) {
        let (mut reader, mut writer) = (Vec::new(), Vec::new());
        for step in self.steps_back(location) {
            let (read, written) = step.indexes();
            reader.extend(read);
            writer.extend(written);
        }
        reader.reverse();
        writer.reverse();
        (reader, writer)
    }

    /// Returns the steps from a location back to the root, without the root.
    fn steps_back(&self, location: LocationId) -> impl Iterator<Item = Step> {
        let mut at = location;
        std::iter::from_fn(move || {
            // The root is its own parent, so it must end the iteration.
            let location = self.locations.get(at.0).filter(|_| at != Self::ROOT)?;
            at = location.parent;
            Some(location.step)
        })
    }
}

impl Step {
    /// Returns the child index in the reader's type and in the writer's.
    fn indexes(self) -> (Option<usize>, Option<usize>) {
        match self {
            Self::Root | Self::Attribute(_) => (None, None),
            Self::Items | Self::Values => (Some(0), Some(0)),
            Self::Field { reader, writer } => (Some(reader), writer),
            Self::MissingField(index) | Self::ReaderBranch(index) => (Some(index), None),
            Self::WriterBranch(index) | Self::WriterBranchAlone(index) => (None, Some(index)),
        }
    }
}
