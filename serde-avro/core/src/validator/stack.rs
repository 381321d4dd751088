//! The stack of enclosing records, arrays and maps.

/// A stack whose first `INLINE` frames take no heap allocation.
#[derive(Debug)]
pub(super) struct Stack<F, const INLINE: usize> {
    inline: [F; INLINE],
    heap: Vec<F>,
    len: usize,
}

impl<F: Copy + Default, const INLINE: usize> Stack<F, INLINE> {
    #[inline]
    pub(super) fn new() -> Self {
        Self {
            inline: [F::default(); INLINE],
            heap: Vec::new(),
            len: 0,
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn push(&mut self, frame: F) {
        match self.inline.get_mut(self.len) {
            Some(slot) => *slot = frame,
            // Deeper data is rare, so that the heap is not used by most schemas.
            None => self.heap.push(frame),
        }
        self.len += 1;
    }

    #[inline]
    pub(super) fn pop(&mut self) {
        // Frames beyond the inline ones are in `heap`.
        if self.len > INLINE {
            self.heap.pop();
        }
        self.len = self.len.saturating_sub(1);
    }

    #[inline]
    pub(super) fn top(&mut self) -> Option<&mut F> {
        let top = self.len.checked_sub(1)?;
        if top < INLINE {
            self.inline.get_mut(top)
        } else {
            self.heap.last_mut()
        }
    }

    pub(super) fn frames(&self) -> impl Iterator<Item = &F> {
        self.inline.iter().take(self.len).chain(&self.heap)
    }
}
