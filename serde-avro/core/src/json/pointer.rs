//! JSON pointers (RFC 6901): the way from the whole text to a value in it.

use std::borrow::Cow;

/// The steps from the whole text to the value at hand.
#[derive(Debug, Default)]
pub(crate) struct Path {
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Key(Cow<'static, str>),
    Index(usize),
}

impl Path {
    pub(crate) fn push_key(&mut self, key: impl Into<Cow<'static, str>>) {
        self.steps.push(Step::Key(key.into()));
    }

    pub(crate) fn push_index(&mut self, index: usize) {
        self.steps.push(Step::Index(index));
    }

    pub(crate) fn pop(&mut self) {
        self.steps.pop();
    }

    /// The pointer, empty for the whole text.
    pub(crate) fn pointer(&self) -> String {
        written(self.steps.iter())
    }

    /// The pointer, if the steps were taken from the value outwards.
    pub(crate) fn pointer_backwards(&self) -> String {
        written(self.steps.iter().rev())
    }
}

fn written<'s>(steps: impl Iterator<Item = &'s Step>) -> String {
    let mut pointer = String::new();
    for step in steps {
        pointer.push('/');
        match step {
            Step::Key(key) => pointer.push_str(&key.replace('~', "~0").replace('/', "~1")),
            Step::Index(index) => pointer.push_str(&index.to_string()),
        }
    }
    pointer
}
