//! The reference interpreter: safe code that finds the first fault.
//!
//! Invariant: an operation reads bytes or advances to one that does, so the work is bounded by the
//! datum. The stack has the enclosing records, arrays and maps.

use super::cursor::{Cursor, Rejection};
use super::program::{Op, Program};
use super::stack::Stack;
use super::{Budget, Fault, Need, Reason};

/// Checks a datum.
///
/// # Errors
/// Returns the first fault.
pub(super) fn run(program: &Program, budget: Budget, datum: &[u8]) -> Result<(), Fault> {
    let mut machine = Machine::new(program, budget, datum);
    machine.run().map_err(|rejection| machine.fault(&rejection))
}

/// As [`run`], without the path of the fault, which is expensive to build.
#[cold]
pub(super) fn reason(program: &Program, budget: Budget, datum: &[u8]) -> Result<(), Reason> {
    let mut machine = Machine::new(program, budget, datum);
    machine.run().map_err(|rejection| rejection.reason)
}

/// An enclosing record, array or map.
#[derive(Clone, Copy, Debug, Default)]
struct Frame {
    /// The operation after the call, or the first one of an item.
    resume: u32,
    /// The items left in the block, including the current one.
    left: u64,
    /// The items up to the end of the block.
    total: u64,
    /// The end of the block, if it declares a size.
    block_end: Option<usize>,
}

/// The number of levels without a heap allocation.
const INLINE_FRAMES: usize = 8;

struct Machine<'p, 'd> {
    program: &'p Program,
    cursor: Cursor<'d>,
    stack: Stack<Frame, INLINE_FRAMES>,
    depth_max: usize,
    items_left: u64,
    /// The current operation.
    op: u32,
}

/// The header of a block with items.
struct Block {
    items: u64,
    end: Option<usize>,
}

impl<'p, 'd> Machine<'p, 'd> {
    fn new(program: &'p Program, budget: Budget, datum: &'d [u8]) -> Self {
        Self {
            program,
            cursor: Cursor::new(datum),
            stack: Stack::new(),
            // Without counting, the compiler has shown that no datum exceeds the budget.
            depth_max: if program.counts_depth {
                budget.depth as usize
            } else {
                usize::MAX
            },
            items_left: budget.items,
            op: 0,
        }
    }

    fn run(&mut self) -> Result<(), Rejection> {
        while let Some(op) = self.program.ops.get(self.op as usize) {
            match *op {
                Op::Boolean => self.cursor.boolean()?,
                Op::Int => self.cursor.int("int").map(|_| ())?,
                Op::Long => self.cursor.long("long").map(|_| ())?,
                Op::Skip(bytes) => self.cursor.take(bytes as usize, "fixed").map(|_| ())?,
                Op::Bytes => self.cursor.bytes("bytes").map(|_| ())?,
                Op::String => self.cursor.string()?,
                Op::Ints => self.each(|cursor, _| cursor.int("int").map(|_| ()))?,
                Op::Longs => self.longs()?,
                Op::Strings => self.each(|cursor, _| cursor.string())?,
                Op::Enum(symbols) => {
                    self.index("enum", symbols, Reason::BadEnum)?;
                }
                Op::Union {
                    first_target,
                    branches,
                } => {
                    let branch = self.index("union index", branches, Reason::BadUnion)?;
                    let target = self.program.targets.get((first_target + branch) as usize);
                    self.op = *target.expect("every branch has a target");
                    continue;
                }
                Op::Jump(target) => {
                    self.op = target;
                    continue;
                }
                Op::Blocks { end } => {
                    self.check_depth()?;
                    let Some(Block {
                        items,
                        end: block_end,
                    }) = self.block()?
                    else {
                        self.op = end;
                        continue;
                    };
                    let resume = self.op + 1;
                    self.stack.push(Frame {
                        resume,
                        left: items,
                        total: items,
                        block_end,
                    });
                }
                Op::Next => {
                    if let Some(resume) = self.next()? {
                        self.op = resume;
                        continue;
                    }
                }
                Op::EmptyBlocks => self.empty_blocks()?,
                Op::Call(target) => {
                    self.call()?;
                    self.op = target;
                    continue;
                }
                Op::Return => {
                    self.op = self.leave();
                    continue;
                }
                Op::End => break,
            }
            self.op += 1;
        }
        match self.cursor.remaining() {
            0 => Ok(()),
            _ => Err(Rejection::new(Reason::TrailingBytes, self.cursor.at())),
        }
    }

    #[inline]
    fn call(&mut self) -> Result<(), Rejection> {
        self.check_depth()?;
        self.stack.push(Frame {
            resume: self.op + 1,
            ..Frame::default()
        });
        Ok(())
    }

    /// Ends a called record. Returns the operation after the call.
    #[inline]
    fn leave(&mut self) -> u32 {
        let resume = self.stack.top().expect("a return follows a call").resume;
        self.stack.pop();
        resume
    }

    fn longs(&mut self) -> Result<(), Rejection> {
        self.each(|cursor, left| {
            cursor.skip_longs(left);
            cursor.long("long").map(|_| ())
        })
    }

    /// Reads all items of a block, except that the last one is ended by `Next`. For each further
    /// item that `read` reads it decrements the items left.
    fn each(
        &mut self,
        read: impl Fn(&mut Cursor<'d>, &mut u64) -> Result<(), Rejection>,
    ) -> Result<(), Rejection> {
        let frame = self.stack.top().expect("an item is within blocks");
        // Local copies, which the compiler keeps in registers.
        let mut cursor = self.cursor;
        let mut left = frame.left;
        let outcome = loop {
            let outcome = read(&mut cursor, &mut left);
            if outcome.is_err() || left <= 1 {
                break outcome;
            }
            left -= 1;
        };
        frame.left = left;
        self.cursor = cursor;
        outcome
    }

    /// Reads an index below `count`.
    #[inline]
    fn index(&mut self, what: &'static str, count: u32, reason: Reason) -> Result<u32, Rejection> {
        let start = self.cursor.at();
        let zigzag = self.cursor.int(what)?;
        // A negative index has an odd encoding.
        if zigzag & 1 == 0 && zigzag >> 1 < count {
            return Ok(zigzag >> 1);
        }
        Err(Rejection::new(reason, start))
    }

    /// Ends an item. Returns the operation of the next item, if there is one.
    #[inline]
    fn next(&mut self) -> Result<Option<u32>, Rejection> {
        let frame = self.stack.top().expect("an item is within blocks");
        frame.left -= 1;
        if frame.left > 0 {
            return Ok(Some(frame.resume));
        }
        // Items must fill the block exactly.
        if frame.block_end.is_some_and(|end| end != self.cursor.at()) {
            return Err(Rejection::new(Reason::BadBlock, self.cursor.at()));
        }
        let block = self.block()?;
        let frame = self.stack.top().expect("the frame is still on the stack");
        match block {
            Some(Block { items, end }) => {
                frame.left = items;
                frame.total += items;
                frame.block_end = end;
                Ok(Some(frame.resume))
            }
            None => {
                self.stack.pop();
                Ok(None)
            }
        }
    }

    /// Reads the header of a block. Returns `None` for the one that ends the blocks.
    #[inline]
    fn block(&mut self) -> Result<Option<Block>, Rejection> {
        let start = self.cursor.at();
        let count = self.cursor.signed("block count")?;
        if count == 0 {
            return Ok(None);
        }
        // The count may be i64::MIN, which has no positive counterpart.
        let items = count.unsigned_abs();
        // Subtracted before the items are read, so that a huge count fails at once.
        let Some(items_left) = self.items_left.checked_sub(items) else {
            return Err(Rejection::new(Reason::TooComplex, start));
        };
        self.items_left = items_left;
        let end = if count < 0 {
            Some(self.block_end()?)
        } else {
            None
        };
        Ok(Some(Block { items, end }))
    }

    /// Reads the size of a block. Returns the position of its end.
    fn block_end(&mut self) -> Result<usize, Rejection> {
        let start = self.cursor.at();
        let Ok(size) = u64::try_from(self.cursor.signed("block size")?) else {
            return Err(Rejection::new(Reason::BadBlock, start));
        };
        // A size beyond the datum is reported after the items have been checked, or are truncated.
        Ok(self
            .cursor
            .at()
            // Such an end is never reached, so the block is rejected.
            .saturating_add(usize::try_from(size).unwrap_or(usize::MAX)))
    }

    fn empty_blocks(&mut self) -> Result<(), Rejection> {
        self.check_depth()?;
        while let Some(block) = self.block()? {
            if block.end.is_some_and(|end| end != self.cursor.at()) {
                return Err(Rejection::new(Reason::BadBlock, self.cursor.at()));
            }
        }
        Ok(())
    }

    #[inline]
    fn check_depth(&self) -> Result<(), Rejection> {
        if self.stack.len() < self.depth_max {
            return Ok(());
        }
        Err(Rejection::new(Reason::TooDeep, self.cursor.at()))
    }

    /// Returns the fault of a rejection. Its path is that of the frames, then that of the current
    /// operation.
    #[cold]
    fn fault(&self, rejection: &Rejection) -> Fault {
        let mut path = String::new();
        for frame in self.stack.frames() {
            // The call or the blocks are before the operation at which the frame resumes.
            let op = frame.resume - 1;
            self.program.write_path(self.program.path(op), &mut path);
            if frame.left > 0 {
                let item = frame.total - frame.left;
                let (open, close) = if self.program.is_map(op) {
                    ('{', '}')
                } else {
                    ('[', ']')
                };
                path.push_str(&format!("{open}{item}{close}"));
            }
        }
        let mut last = self.program.path(self.op);
        let mut offset = rejection.offset;
        // Only operations that read an int: a negative length is also a bad varint.
        let mut need = rejection.need;
        let mut wide_int = None;
        if let Some(Op::Skip(_)) = self.program.ops.get(self.op as usize) {
            // The first incomplete value of those that are skipped together.
            let mut remaining = self.cursor.remaining();
            for value in self.program.skipped_values(self.op) {
                last = value.path;
                need = Some(Need {
                    what: value.what,
                    bytes: value.bytes.into(),
                });
                match remaining.checked_sub(value.bytes as usize) {
                    Some(left) => remaining = left,
                    None => break,
                }
                offset += value.bytes as usize;
            }
        }
        if let (Reason::BadVarint, Some(Op::Int | Op::Ints | Op::Enum(_) | Op::Union { .. })) =
            (rejection.reason, self.program.ops.get(self.op as usize))
        {
            wide_int = self.cursor.wide_int(offset);
        }
        self.program.write_path(last, &mut path);
        if !path.starts_with('/') {
            path.insert(0, '/');
        }
        Fault {
            reason: rejection.reason,
            path,
            offset,
            len: self.cursor.len(),
            need,
            wide_int,
        }
    }
}
