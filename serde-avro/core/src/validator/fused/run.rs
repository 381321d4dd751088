//! The interpreter of fused operations.

use super::{Fused, Op};
use crate::validator::Budget;
use crate::validator::stack::Stack;
use avouch_avro_kernel::{Job, Lanes, Level, Padded, Reader};

#[inline]
pub(super) fn run(fused: &Fused, budget: Budget, level: Level, datum: Padded<'_>) -> Option<()> {
    if fused.nests {
        level.run(Check::<8> {
            fused,
            budget,
            datum,
        })
    } else {
        level.run(Check::<0> {
            fused,
            budget,
            datum,
        })
    }
}

/// A datum to check, with a stack of so many near frames.
struct Check<'a, const NEAR: usize> {
    fused: &'a Fused,
    budget: Budget,
    datum: Padded<'a>,
}

/// A record, array or map that is open.
#[derive(Clone, Copy, Debug, Default)]
struct Frame {
    /// The step behind the call, or the first of an item.
    resume: u32,
    /// Items left in the block, the one at hand included.
    left: u64,
    /// Where the block ends, if it says so.
    block_end: Option<usize>,
}

/// The head of a block that has items.
struct Block {
    items: u64,
    end: Option<usize>,
}

impl<const NEAR: usize> Job for Check<'_, NEAR> {
    type Output = Option<()>;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> Option<()> {
        let mut machine = Machine::<_, NEAR> {
            fused: self.fused,
            reader: Reader::new(lanes, self.datum),
            stack: Stack::new(),
            depth_max: if self.fused.counts_depth {
                self.budget.depth as usize
            } else {
                usize::MAX
            },
            items_left: self.budget.items,
        };
        machine.run()
    }
}

struct Machine<'a, L, const NEAR: usize> {
    fused: &'a Fused,
    reader: Reader<'a, L>,
    stack: Stack<Frame, NEAR>,
    depth_max: usize,
    items_left: u64,
}

impl<L: Lanes, const NEAR: usize> Machine<'_, L, NEAR> {
    #[inline(always)]
    fn run(&mut self) -> Option<()> {
        let mut at = 0;
        loop {
            let step = self.fused.steps.get(at as usize)?;
            at += 1;
            match step.op {
                Op::Nothing => {}
                Op::Boolean => self.reader.boolean()?,
                Op::Ints(count) => (0..count).try_for_each(|_| self.reader.int())?,
                Op::Longs(count) => (0..count).try_for_each(|_| self.reader.long())?,
                Op::Bytes => self.reader.bytes()?,
                Op::Texts(count) => (0..count).try_for_each(|_| self.reader.text())?,
                Op::Enum(symbols) => self.reader.index(symbols).map(|_| ())?,
                Op::OptionalText { absent } => {
                    if !self.reader.byte_is(absent) && !self.is_empty_branch(absent)? {
                        self.reader.text()?;
                    }
                }
                Op::Optional { absent, end } => {
                    if self.reader.byte_is(absent) || self.is_empty_branch(absent)? {
                        at = end;
                    }
                }
                Op::Union {
                    first_target,
                    branches,
                } => {
                    let branch = self.reader.index(branches)?;
                    at = *self.fused.targets.get((first_target + branch) as usize)?;
                }
                Op::Jump(target) => at = target,
                Op::Blocks { end } => at = self.open_blocks(at, end)?,
                Op::Next => at = self.next(at)?,
                Op::IntBlocks => self.blocks(|reader, items| reader.ints(items))?,
                Op::LongBlocks => self.blocks(|reader, items| reader.longs(items))?,
                Op::TextBlocks(each) => self.blocks(|reader, items| {
                    let texts = items.checked_mul(each.into())?;
                    (0..texts).try_for_each(|_| reader.text())
                })?,
                Op::SkipBlocks(each) => self.blocks(|reader, items| {
                    reader.skip(usize::try_from(items.checked_mul(each.into())?).ok()?)
                })?,
                Op::Call(target) => at = self.call(at, target)?,
                Op::Return => {
                    at = self.stack.top()?.resume;
                    self.stack.pop();
                }
                Op::End => return self.reader.is_at_end().then_some(()),
            }
            self.reader.skip(step.skip as usize)?;
        }
    }

    /// The branch of a union of two: whether it is the one that takes no bytes. The index has been
    /// found not to be the one byte `absent`.
    #[inline(always)]
    fn is_empty_branch(&mut self, absent: u8) -> Option<bool> {
        let other = absent ^ 2;
        if self.reader.byte_is(other) {
            return Some(false);
        }
        // Longer than it must be, or wrong.
        self.reader
            .index(2)
            .map(|branch| branch == u32::from(absent >> 1))
    }

    #[inline(always)]
    fn call(&mut self, resume: u32, target: u32) -> Option<u32> {
        self.check_depth()?;
        self.stack.push(Frame {
            resume,
            ..Frame::default()
        });
        Some(target)
    }

    /// Opens an array or map whose items start at `first`; on at `end` if it has none.
    #[inline(always)]
    fn open_blocks(&mut self, first: u32, end: u32) -> Option<u32> {
        self.check_depth()?;
        let Some(Block {
            items: left,
            end: block_end,
        }) = self.block()?
        else {
            return Some(end);
        };
        self.stack.push(Frame {
            resume: first,
            left,
            block_end,
        });
        Some(first)
    }

    /// Ends an item; on at the next one, or `behind` the last.
    #[inline(always)]
    fn next(&mut self, behind: u32) -> Option<u32> {
        let frame = self.stack.top()?;
        frame.left -= 1;
        let resume = frame.resume;
        if frame.left > 0 {
            return Some(resume);
        }
        let block_end = frame.block_end;
        self.check_end(block_end)?;
        match self.block()? {
            Some(Block { items, end }) => {
                let frame = self.stack.top()?;
                frame.left = items;
                frame.block_end = end;
                Some(resume)
            }
            None => {
                self.stack.pop();
                Some(behind)
            }
        }
    }

    /// All blocks of an array or map, of which `read` reads so many items.
    #[inline(always)]
    fn blocks(&mut self, read: impl Fn(&mut Reader<'_, L>, u64) -> Option<()>) -> Option<()> {
        self.check_depth()?;
        while let Some(block) = self.block()? {
            read(&mut self.reader, block.items)?;
            self.check_end(block.end)?;
        }
        Some(())
    }

    /// The head of a block; the inner none is the one that ends the blocks.
    #[inline(always)]
    fn block(&mut self) -> Option<Option<Block>> {
        let count = self.reader.signed()?;
        if count == 0 {
            return Some(None);
        }
        let items = count.unsigned_abs();
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
