//! The loop of the fast interpreter. `None` means that the datum is rejected.

use super::{FastProgram, Op};
use crate::validator::Budget;
use crate::validator::stack::Stack;
use avouch_avro_kernel::{Job, Lanes, Level, Padded, Reader};

/// Returns `Some` if the datum is exactly one value of the program's schema.
#[inline(always)]
pub(super) fn run(
    program: &FastProgram,
    level: Level,
    budget: Budget,
    datum: Padded<'_>,
) -> Option<()> {
    if program.nests {
        level.run(Nested {
            program,
            budget,
            datum,
        })
    } else {
        level.run(Flat {
            program,
            budget,
            datum,
        })
    }
}

/// A job for a program that pushes frames.
struct Nested<'a> {
    program: &'a FastProgram,
    budget: Budget,
    datum: Padded<'a>,
}

/// A job for a program that pushes no frames.
struct Flat<'a> {
    program: &'a FastProgram,
    budget: Budget,
    datum: Padded<'a>,
}

impl Job for Nested<'_> {
    type Output = Option<()>;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> Option<()> {
        let stack = &mut Stack::<Frame, 8>::new();
        let reader = Reader::new(lanes, self.datum);
        Machine::new(self.program, self.budget, reader, stack).run()
    }
}

impl Job for Flat<'_> {
    type Output = Option<()>;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> Option<()> {
        let reader = Reader::new(lanes, self.datum);
        Machine::new(self.program, self.budget, reader, &mut NoFrames).run()
    }
}

/// A stack of frames.
trait Frames {
    fn len(&self) -> usize;
    fn push(&mut self, frame: Frame);
    fn pop(&mut self);
    fn top(&mut self) -> Option<&mut Frame>;
}

impl<const NEAR: usize> Frames for Stack<Frame, NEAR> {
    #[inline(always)]
    fn len(&self) -> usize {
        self.len()
    }

    #[inline(always)]
    fn push(&mut self, frame: Frame) {
        self.push(frame);
    }

    #[inline(always)]
    fn pop(&mut self) {
        self.pop();
    }

    #[inline(always)]
    fn top(&mut self) -> Option<&mut Frame> {
        self.top()
    }
}

/// The stack of a program without frames, which takes no initialization.
struct NoFrames;

impl Frames for NoFrames {
    #[inline(always)]
    fn len(&self) -> usize {
        0
    }

    #[inline(always)]
    fn push(&mut self, _: Frame) {}

    #[inline(always)]
    fn pop(&mut self) {}

    #[inline(always)]
    fn top(&mut self) -> Option<&mut Frame> {
        None
    }
}

/// An enclosing record, array or map.
#[derive(Clone, Copy, Debug, Default)]
struct Frame {
    /// The step after the call, or the first one of an item.
    resume: usize,
    /// The items left in the block, including the current one.
    left: u64,
    /// The end of the block, if it declares a size.
    block_end: Option<usize>,
}

/// The header of a block with items.
struct Block {
    items: u64,
    end: Option<usize>,
}

/// The state of the interpreter. The stack is a reference, so that the compiler keeps the rest in
/// registers.
struct Machine<'a, 's, L, F> {
    program: &'a FastProgram,
    reader: Reader<'a, L>,
    stack: &'s mut F,
    depth_max: usize,
    items_left: u64,
}

impl<'a, 's, L: Lanes, F: Frames> Machine<'a, 's, L, F> {
    #[inline(always)]
    fn new(
        program: &'a FastProgram,
        budget: Budget,
        reader: Reader<'a, L>,
        stack: &'s mut F,
    ) -> Self {
        Self {
            program,
            reader,
            stack,
            // The compiler has shown that other programs cannot exceed the budget.
            depth_max: if program.counts_depth {
                budget.depth as usize
            } else {
                usize::MAX
            },
            items_left: budget.items,
        }
    }

    #[inline(always)]
    fn run(mut self) -> Option<()> {
        let steps = self.program.steps.as_slice();
        let mut rest = steps;
        loop {
            // Splitting a slice costs less than an index with a bounds check.
            let (step, next_steps) = rest.split_first()?;
            rest = next_steps;
            match step.op {
                Op::Nothing => {}
                Op::Boolean => self.reader.boolean()?,
                Op::Ints(count) => (0..count).try_for_each(|_| self.reader.int())?,
                Op::Longs(count) => (0..count).try_for_each(|_| self.reader.long())?,
                Op::Bytes => self.reader.bytes()?,
                Op::Strings(count) => (0..count).try_for_each(|_| self.reader.string())?,
                Op::Enum(symbols) => self.reader.index(symbols).map(|_| ())?,
                Op::OptionalString { absent } => self.reader.optional_string(absent)?,
                Op::Optional { absent, end } => {
                    // The single-byte index is the most frequent encoding.
                    if self.reader.byte_is(absent) || self.is_empty_branch(absent)? {
                        rest = steps.get(end as usize..)?;
                    }
                }
                Op::Union {
                    first_target,
                    branches,
                } => {
                    let branch = self.reader.index(branches)?;
                    // Both are below 2^31, so the sum does not overflow.
                    let target = self.program.targets.get((first_target + branch) as usize)?;
                    rest = steps.get(*target as usize..)?;
                }
                Op::Jump(target) => rest = steps.get(target as usize..)?,
                Op::Blocks { end } => {
                    if !self.open_blocks(steps.len() - rest.len())? {
                        rest = steps.get(end as usize..)?;
                    }
                }
                Op::Next => {
                    if let Some(first) = self.next()? {
                        rest = steps.get(first..)?;
                    }
                }
                Op::IntBlocks => self.blocks(|reader, items| reader.ints(items))?,
                Op::LongBlocks => self.blocks(|reader, items| reader.longs(items))?,
                Op::StringBlocks(each) => self.blocks(|reader, items| {
                    // A count may be up to 2^63.
                    let strings = items.checked_mul(each.into())?;
                    (0..strings).try_for_each(|_| reader.string())
                })?,
                // Bytes of any value: a block is one skip, whatever its count.
                Op::SkipBlocks(each) => self.blocks(|reader, items| {
                    reader.skip(usize::try_from(items.checked_mul(each.into())?).ok()?)
                })?,
                Op::Call(target) => {
                    self.call(steps.len() - rest.len())?;
                    rest = steps.get(target as usize..)?;
                }
                Op::Return => {
                    rest = steps.get(self.stack.top()?.resume..)?;
                    self.stack.pop();
                }
                Op::End => return self.reader.is_at_end().then_some(()),
            }
            self.reader.skip(step.skip as usize)?;
        }
    }

    /// Returns whether the branch of a union of two is the one without bytes, after the index was
    /// found not to be the single byte `absent`.
    #[inline(always)]
    fn is_empty_branch(&mut self, absent: u8) -> Option<bool> {
        let other = absent ^ 2;
        if self.reader.byte_is(other) {
            return Some(false);
        }
        // An over-long or invalid index.
        self.reader
            .index(2)
            .map(|branch| branch == u32::from(absent >> 1))
    }

    #[inline(always)]
    fn call(&mut self, resume: usize) -> Option<()> {
        self.check_depth()?;
        self.stack.push(Frame {
            resume,
            ..Frame::default()
        });
        Some(())
    }

    /// Starts an array or map whose items start at `first`. Returns whether it has items.
    #[inline(always)]
    fn open_blocks(&mut self, first: usize) -> Option<bool> {
        self.check_depth()?;
        let Some(block) = self.block()? else {
            return Some(false);
        };
        self.stack.push(Frame {
            resume: first,
            left: block.items,
            block_end: block.end,
        });
        Some(true)
    }

    /// Ends an item. Returns the step of the next item, if there is one.
    #[inline(always)]
    fn next(&mut self) -> Option<Option<usize>> {
        let frame = self.stack.top()?;
        // A frame is pushed only for a block with items.
        frame.left -= 1;
        let first = frame.resume;
        if frame.left > 0 {
            return Some(Some(first));
        }
        let block_end = frame.block_end;
        self.check_end(block_end)?;
        let Some(block) = self.block()? else {
            self.stack.pop();
            return Some(None);
        };
        let frame = self.stack.top()?;
        frame.left = block.items;
        frame.block_end = block.end;
        Some(Some(first))
    }

    /// Reads all blocks of an array or map; `read` reads a number of items.
    #[inline(always)]
    fn blocks(&mut self, read: impl Fn(&mut Reader<'_, L>, u64) -> Option<()>) -> Option<()> {
        self.check_depth()?;
        while let Some(block) = self.block()? {
            read(&mut self.reader, block.items)?;
            self.check_end(block.end)?;
        }
        Some(())
    }

    /// Reads the header of a block. Returns `Some(None)` for the one that ends the blocks.
    #[inline(always)]
    fn block(&mut self) -> Option<Option<Block>> {
        let count = self.reader.signed()?;
        if count == 0 {
            return Some(None);
        }
        let items = count.unsigned_abs();
        // Subtracted before the items are read, so that a huge count fails at once.
        self.items_left = self.items_left.checked_sub(items)?;
        let end = if count < 0 {
            let size = usize::try_from(self.reader.signed()?).ok()?;
            Some(self.reader.at().checked_add(size)?)
        } else {
            None
        };
        Some(Some(Block { items, end }))
    }

    #[inline(always)]
    fn check_end(&self, block_end: Option<usize>) -> Option<()> {
        block_end
            .is_none_or(|end| end == self.reader.at())
            .then_some(())
    }

    #[inline(always)]
    fn check_depth(&self) -> Option<()> {
        (self.stack.len() < self.depth_max).then_some(())
    }
}
