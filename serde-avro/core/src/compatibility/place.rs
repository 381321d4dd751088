//! Where a comparison is: as Java tells it, and in both schemas.
//!
//! Owns the steps that lead from the pair of whole schemas to each pair that is compared. They are
//! kept as they are taken, one a pair, and written out only for what is told.

/// Steps taken, each from an earlier one.
pub(super) struct Places {
    places: Vec<Place>,
}

/// A place among [`Places`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PlaceId(usize);

struct Place {
    parent: PlaceId,
    step: Step,
}

/// A step from a comparison to one of its parts.
#[derive(Clone, Copy)]
pub(super) enum Step {
    /// Both schemas as a whole.
    Root,
    /// The items of two arrays.
    Items,
    /// The values of two maps.
    Values,
    /// A field of the reader's record, with the writer's that it reads, or else with the writer's
    /// record.
    Field {
        reader: usize,
        writer: Option<usize>,
    },
    /// A field of the reader's record that the writer's lacks.
    LackedField(usize),
    /// A branch of the writer's union.
    WriterBranch(usize),
    /// A branch of the writer's union beside the reader's union, where Java starts afresh.
    WriterBranchAlone(usize),
    /// A branch of the reader's union, where Java starts afresh.
    ReaderBranch(usize),
    /// An attribute of both types.
    Attribute(&'static str),
}

impl Places {
    pub(super) const ROOT: PlaceId = PlaceId(0);

    pub(super) fn new() -> Self {
        let root = Place {
            parent: Self::ROOT,
            step: Step::Root,
        };
        Self { places: vec![root] }
    }

    pub(super) fn step(&mut self, parent: PlaceId, step: Step) -> PlaceId {
        self.places.push(Place { parent, step });
        PlaceId(self.places.len() - 1)
    }

    /// How many steps there are.
    pub(super) fn depth(&self, place: PlaceId) -> usize {
        self.steps_back(place).count()
    }

    /// The path as Java tells it: a JSON pointer from where it started afresh; `/` for that itself.
    pub(super) fn location(&self, place: PlaceId) -> String {
        let afresh =
            |step: &Step| matches!(step, Step::WriterBranchAlone(_) | Step::ReaderBranch(_));
        let mut steps: Vec<_> = self
            .steps_back(place)
            .take_while(|step| !afresh(step))
            .collect();
        steps.reverse();
        let mut path = String::new();
        for step in steps {
            match step {
                Step::Root | Step::WriterBranchAlone(_) | Step::ReaderBranch(_) => {}
                Step::Items => path.push_str("/items"),
                Step::Values => path.push_str("/values"),
                Step::Field { reader, .. } => path.push_str(&format!("/fields/{reader}/type")),
                Step::LackedField(index) => path.push_str(&format!("/fields/{index}")),
                Step::WriterBranch(index) => path.push_str(&format!("/{index}")),
                Step::Attribute(word) => {
                    path.push('/');
                    path.push_str(word);
                }
            }
        }
        if path.is_empty() {
            path.push('/');
        }
        path
    }

    /// The numbers of the parts that lead there in the reader's schema, and in the writer's.
    pub(super) fn trails(&self, place: PlaceId) -> (Vec<usize>, Vec<usize>) {
        let (mut reader, mut writer) = (Vec::new(), Vec::new());
        for step in self.steps_back(place) {
            let (read, written) = step.parts();
            reader.extend(read);
            writer.extend(written);
        }
        reader.reverse();
        writer.reverse();
        (reader, writer)
    }

    /// The steps from a place back to the root, without the root.
    fn steps_back(&self, place: PlaceId) -> impl Iterator<Item = Step> {
        let mut at = place;
        std::iter::from_fn(move || {
            let place = self.places.get(at.0).filter(|_| at != Self::ROOT)?;
            at = place.parent;
            Some(place.step)
        })
    }
}

impl Step {
    /// The number of the part that it takes of the reader's type, and of the writer's.
    fn parts(self) -> (Option<usize>, Option<usize>) {
        match self {
            Self::Root | Self::Attribute(_) => (None, None),
            Self::Items | Self::Values => (Some(0), Some(0)),
            Self::Field { reader, writer } => (Some(reader), writer),
            Self::LackedField(index) | Self::ReaderBranch(index) => (Some(index), None),
            Self::WriterBranch(index) | Self::WriterBranchAlone(index) => (None, Some(index)),
        }
    }
}
