//! The records, arrays and maps that are open.

/// A stack whose first frames cost no heap allocation.
#[derive(Debug)]
pub(super) struct Stack<F, const NEAR: usize> {
    near: [F; NEAR],
    far: Vec<F>,
    len: usize,
}

impl<F: Copy + Default, const NEAR: usize> Stack<F, NEAR> {
    #[inline]
    pub(super) fn new() -> Self {
        Self {
            near: [F::default(); NEAR],
            far: Vec::new(),
            len: 0,
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn push(&mut self, frame: F) {
        match self.near.get_mut(self.len) {
            Some(slot) => *slot = frame,
            None => self.far.push(frame),
        }
        self.len += 1;
    }

    #[inline]
    pub(super) fn pop(&mut self) {
        if self.len > NEAR {
            self.far.pop();
        }
        self.len = self.len.saturating_sub(1);
    }

    #[inline]
    pub(super) fn top(&mut self) -> Option<&mut F> {
        let top = self.len.checked_sub(1)?;
        if top < NEAR {
            self.near.get_mut(top)
        } else {
            self.far.last_mut()
        }
    }

    pub(super) fn frames(&self) -> impl Iterator<Item = &F> {
        self.near.iter().take(self.len).chain(&self.far)
    }
}
