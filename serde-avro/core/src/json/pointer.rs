//! JSON pointers (RFC 6901).

use std::borrow::Cow;

/// The keys and indexes from the root to the current value.
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

    /// Returns the pointer, empty for the root.
    pub(crate) fn pointer(&self) -> String {
        join(self.steps.iter())
    }

    /// Returns the pointer if the steps were pushed from the value outwards.
    pub(crate) fn pointer_backwards(&self) -> String {
        join(self.steps.iter().rev())
    }
}

fn join<'s>(steps: impl Iterator<Item = &'s Step>) -> String {
    // Built only for errors; the parser keeps the steps.
    let mut pointer = String::new();
    for step in steps {
        pointer.push('/');
        match step {
            // "~" first: escaping "/" adds another "~".
            Step::Key(key) => pointer.push_str(&key.replace('~', "~0").replace('/', "~1")),
            Step::Index(index) => pointer.push_str(&index.to_string()),
        }
    }
    pointer
}
