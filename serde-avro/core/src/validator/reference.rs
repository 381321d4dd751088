//! The plain interpreter: safe code that tells the first fault, and the judge of the fused one.
//!
//! Invariant: an operation either reads bytes or moves on to one that does, so the work is bounded
//! by the datum; the stack holds the records, arrays and maps that are open.

use super::cursor::{Cursor, Stop};
use super::program::{Op, Program};
use super::stack::Stack;
use super::{Budget, Fault, Need, Reason};

pub(super) fn run(program: &Program, budget: Budget, datum: &[u8]) -> Result<(), Fault> {
    let mut machine = Machine::new(program, budget, datum);
    machine.run().map_err(|stop| machine.fault(&stop))
}

/// As [`run`], without the place of the fault and its path, which is the costly part.
#[cold]
pub(super) fn reason(program: &Program, budget: Budget, datum: &[u8]) -> Result<(), Reason> {
    let mut machine = Machine::new(program, budget, datum);
    machine.run().map_err(|stop| stop.reason)
}

/// A record, array or map that is open.
#[derive(Clone, Copy, Debug, Default)]
struct Frame {
    /// The operation behind the call, or the first of an item.
    resume: u32,
    /// Items left in the block, the one at hand included.
    left: u64,
    /// Items up to the end of the block.
    total: u64,
    /// Where the block ends, if it says so.
    block_end: Option<usize>,
}

/// Levels without a heap allocation.
const NEAR_FRAMES: usize = 8;

struct Machine<'p, 'd> {
    program: &'p Program,
    cursor: Cursor<'d>,
    stack: Stack<Frame, NEAR_FRAMES>,
    depth_max: usize,
    items_left: u64,
    /// The operation at hand.
    op: u32,
}

/// The head of a block that has items.
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
            depth_max: if program.counts_depth {
                budget.depth as usize
            } else {
                usize::MAX
            },
            items_left: budget.items,
            op: 0,
        }
    }

    fn run(&mut self) -> Result<(), Stop> {
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
            _ => Err(Stop::new(Reason::TrailingBytes, self.cursor.at())),
        }
    }

    #[inline]
    fn call(&mut self) -> Result<(), Stop> {
        self.check_depth()?;
        self.stack.push(Frame {
            resume: self.op + 1,
            ..Frame::default()
        });
        Ok(())
    }

    /// Ends a record that was called. Answers where it was called from.
    #[inline]
    fn leave(&mut self) -> u32 {
        let resume = self
            .stack
            .top()
            .expect("a return stands behind a call")
            .resume;
        self.stack.pop();
        resume
    }

    fn longs(&mut self) -> Result<(), Stop> {
        self.each(|cursor, left| {
            cursor.pass_longs(left);
            cursor.long("long").map(|_| ())
        })
    }

    /// Reads all items of a block, and leaves the last one to be ended. `read` takes one off the
    /// items left for each that it reads beyond the first.
    fn each(
        &mut self,
        read: impl Fn(&mut Cursor<'d>, &mut u64) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let frame = self.stack.top().expect("an item stands in blocks");
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

    /// A place in a list of so many.
    #[inline]
    fn index(&mut self, what: &'static str, count: u32, reason: Reason) -> Result<u32, Stop> {
        let start = self.cursor.at();
        let zigzag = self.cursor.int(what)?;
        if zigzag & 1 == 0 && zigzag >> 1 < count {
            return Ok(zigzag >> 1);
        }
        Err(Stop::new(reason, start))
    }

    /// Ends an item. Answers where the next one starts, if there is one.
    #[inline]
    fn next(&mut self) -> Result<Option<u32>, Stop> {
        let frame = self.stack.top().expect("an item stands in blocks");
        frame.left -= 1;
        if frame.left > 0 {
            return Ok(Some(frame.resume));
        }
        if frame.block_end.is_some_and(|end| end != self.cursor.at()) {
            return Err(Stop::new(Reason::BadBlock, self.cursor.at()));
        }
        let block = self.block()?;
        let frame = self.stack.top().expect("it was there before");
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

    /// The head of a block; none if it is the one that ends the blocks.
    #[inline]
    fn block(&mut self) -> Result<Option<Block>, Stop> {
        let start = self.cursor.at();
        let count = self.cursor.signed("block count")?;
        if count == 0 {
            return Ok(None);
        }
        let items = count.unsigned_abs();
        let Some(items_left) = self.items_left.checked_sub(items) else {
            return Err(Stop::new(Reason::TooComplex, start));
        };
        self.items_left = items_left;
        let end = if count < 0 {
            Some(self.block_end()?)
        } else {
            None
        };
        Ok(Some(Block { items, end }))
    }

    fn block_end(&mut self) -> Result<usize, Stop> {
        let start = self.cursor.at();
        let Ok(size) = u64::try_from(self.cursor.signed("block size")?) else {
            return Err(Stop::new(Reason::BadBlock, start));
        };
        // A size beyond the datum is told when its items have been walked, or have run out.
        Ok(self
            .cursor
            .at()
            .saturating_add(usize::try_from(size).unwrap_or(usize::MAX)))
    }

    fn empty_blocks(&mut self) -> Result<(), Stop> {
        self.check_depth()?;
        while let Some(block) = self.block()? {
            if block.end.is_some_and(|end| end != self.cursor.at()) {
                return Err(Stop::new(Reason::BadBlock, self.cursor.at()));
            }
        }
        Ok(())
    }

    #[inline]
    fn check_depth(&self) -> Result<(), Stop> {
        if self.stack.len() < self.depth_max {
            return Ok(());
        }
        Err(Stop::new(Reason::TooDeep, self.cursor.at()))
    }

    /// The report of a stop: the path is that of the open frames, then of the operation at hand.
    #[cold]
    fn fault(&self, stop: &Stop) -> Fault {
        let mut path = String::new();
        for frame in self.stack.frames() {
            let op = frame.resume - 1;
            self.program.write_path(self.program.place(op), &mut path);
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
        let mut place = self.program.place(self.op);
        let mut offset = stop.offset;
        let mut need = stop.need;
        if let Some(Op::Skip(_)) = self.program.ops.get(self.op as usize) {
            // Of the values skipped together, the first that is not all there.
            let mut there = self.cursor.remaining();
            for part in self.program.parts(self.op) {
                place = part.place;
                need = Some(Need {
                    what: part.what,
                    bytes: part.bytes.into(),
                });
                match there.checked_sub(part.bytes as usize) {
                    Some(left) => there = left,
                    None => break,
                }
                offset += part.bytes as usize;
            }
        }
        self.program.write_path(place, &mut path);
        if !path.starts_with('/') {
            path.insert(0, '/');
        }
        Fault {
            reason: stop.reason,
            path,
            offset,
            len: self.cursor.len(),
            need,
        }
    }
}
