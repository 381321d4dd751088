//! The interpreter of a plan.
//!
//! Bytes that stay as they are are copied in runs: `pending` is the start of the run that ends at
//! the position. Every action that emits or removes bytes first ends the run.

use super::plan::{Action, ActionId, NO_SYMBOL, Part, Plan, Read};
use crate::codec::{DecodeError, DecodeErrorKind, Decoder, Encoder};
use crate::schema::{NodeId, Type};
use crate::validator::Budget;

/// Rewrites a datum into `out`, which is empty.
pub(super) fn run(
    plan: &Plan,
    budget: Budget,
    datum: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    let mut machine = Machine {
        plan,
        datum,
        input: Decoder::with_budget(datum, budget),
        pending: 0,
        out: Encoder::from(std::mem::take(out)),
        bytes_max: usize::try_from(budget.bytes).unwrap_or(usize::MAX),
    };
    let outcome = machine.value(&plan.actions[0]).and_then(|()| {
        machine.input.finish()?;
        machine.flush()
    });
    *out = machine.out.into();
    outcome
}

struct Machine<'p, 'd> {
    plan: &'p Plan,
    datum: &'d [u8],
    input: Decoder<'d>,
    pending: usize,
    out: Encoder,
    bytes_max: usize,
}

impl<'d> Machine<'_, 'd> {
    /// Runs an action. Those without children are inlined, because most fields are such.
    #[inline(always)]
    fn step(&mut self, action: &Action) -> Result<(), DecodeError> {
        match action {
            Action::Bytes(bytes) => self.input.fixed_slice(*bytes as usize).map(|_| ()),
            Action::Boolean => self.input.boolean().map(|_| ()),
            Action::Int => self.input.int().map(|_| ()),
            Action::Long => self.input.varint("long").map(|_| ()),
            Action::Sized => self.input.bytes().map(|_| ()),
            Action::Enum(symbols) => self.input.enum_index(*symbols).map(|_| ()),
            other => self.value(other),
        }
    }

    fn value(&mut self, action: &Action) -> Result<(), DecodeError> {
        match *action {
            Action::Bytes(_)
            | Action::Boolean
            | Action::Int
            | Action::Long
            | Action::Sized
            | Action::Enum(_) => self.step(action),
            Action::Record { writer, fields } => self.record(writer, fields),
            Action::Reorder {
                writer,
                walks,
                reads,
            } => self.reorder(writer, walks, reads),
            Action::Union { writer, branches } => {
                let index = self.input.union_index(branches.end - branches.start)?;
                self.branch(writer, branches, index)
            }
            Action::Unwrap { writer, branches } => {
                self.flush()?;
                let index = self.input.union_index(branches.end - branches.start)?;
                self.pending = self.input.offset();
                self.branch(writer, branches, index)
            }
            Action::Wrap { branch, value } => {
                self.flush()?;
                self.out.union_index(branch);
                self.step(self.plan.action(value))
            }
            Action::Blocks { item, is_map } => self.blocks(item, is_map),
            Action::Insert(part) => {
                self.flush()?;
                let default = self.plan.defaults.get(part.range());
                self.out.fixed(default.unwrap_or_default());
                self.check_size()
            }
            Action::Skip(value) => self.skip(value),
            Action::MapEnum { writer, symbols } => self.map_enum(writer, symbols),
            Action::IntToFloat => {
                let value = self.replaced(Decoder::int)?;
                self.out.float(value as f32);
                Ok(())
            }
            Action::IntToDouble => {
                let value = self.replaced(Decoder::int)?;
                self.out.double(f64::from(value));
                Ok(())
            }
            Action::LongToFloat => {
                let value = self.replaced(Decoder::long)?;
                self.out.float(value as f32);
                Ok(())
            }
            Action::LongToDouble => {
                let value = self.replaced(Decoder::long)?;
                self.out.double(value as f64);
                Ok(())
            }
            Action::FloatToDouble => {
                let value = self.replaced(Decoder::float)?;
                self.out.double(f64::from(value));
                Ok(())
            }
            Action::Fail(message) => {
                let message = self.plan.messages[message as usize].to_string();
                Err(self
                    .input
                    .error(DecodeErrorKind::Unresolved(message.into())))
            }
        }
    }

    /// Ends the run of bytes that are copied.
    #[inline]
    fn flush(&mut self) -> Result<(), DecodeError> {
        let at = self.input.offset();
        if self.pending != at {
            let (_, rest) = self.datum.split_at(self.pending.min(at));
            self.out.start_of(rest, at.saturating_sub(self.pending));
            self.pending = at;
        }
        self.check_size()
    }

    #[inline]
    fn check_size(&self) -> Result<(), DecodeError> {
        if self.out.len() > self.bytes_max {
            return Err(self.input.error(DecodeErrorKind::TooLarge));
        }
        Ok(())
    }

    /// Reads a value whose bytes are not copied.
    fn replaced<T>(
        &mut self,
        read: impl FnOnce(&mut Decoder<'d>) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        self.flush()?;
        let value = read(&mut self.input)?;
        self.pending = self.input.offset();
        Ok(value)
    }

    /// Ends the run and moves to another value of the writer.
    fn flush_to(&mut self, at: usize) -> Result<(), DecodeError> {
        self.flush()?;
        self.input.seek(self.datum, at);
        self.pending = at;
        Ok(())
    }

    fn skip(&mut self, value: ActionId) -> Result<(), DecodeError> {
        self.flush()?;
        self.step(self.plan.action(value))?;
        self.pending = self.input.offset();
        Ok(())
    }

    fn record(&mut self, writer: NodeId, fields: Part) -> Result<(), DecodeError> {
        self.input.enter()?;
        let plan = self.plan;
        for (entry, field) in plan.steps(fields).iter().enumerate() {
            self.step(field)
                .map_err(|error| error.in_field(plan.field_name(writer, fields, entry)))?;
        }
        self.input.leave();
        Ok(())
    }

    /// Finds all fields of the writer, then emits those that the reader has.
    fn reorder(&mut self, writer: NodeId, walks: Part, reads: Part) -> Result<(), DecodeError> {
        self.input.enter()?;
        self.flush()?;
        let plan = self.plan;
        let start = self.input.offset();
        let mut starts = Vec::with_capacity(walks.range().len());
        for (position, walk) in plan.steps(walks).iter().enumerate() {
            starts.push(self.input.offset());
            self.step(walk)
                .map_err(|error| error.in_field(plan.field_at(writer, position)))?;
        }
        let end = self.input.offset();
        // Not flushed: the reads below emit the bytes. Items of the second pass count again.
        self.input.seek(self.datum, start);
        for Read { source, action } in plan.reads.get(reads.range()).unwrap_or_default() {
            let Some(source) = source.map(|source| source as usize) else {
                self.value(plan.action(*action))?;
                continue;
            };
            let at = starts.get(source).copied().unwrap_or(end);
            // A field that follows the previous one continues its run.
            if at != self.input.offset() {
                self.flush_to(at)?;
            }
            self.value(plan.action(*action))
                .map_err(|error| error.in_field(plan.field_at(writer, source)))?;
        }
        self.flush_to(end)?;
        self.input.leave();
        Ok(())
    }

    fn branch(&mut self, writer: NodeId, branches: Part, index: u32) -> Result<(), DecodeError> {
        let plan = self.plan;
        let index = index as usize;
        self.step(&plan.steps(branches)[index])
            .map_err(|error| error.in_branch(plan.branch_name(writer, index)))
    }

    fn blocks(&mut self, item: ActionId, is_map: bool) -> Result<(), DecodeError> {
        let plan = self.plan;
        let (keeps, item) = (plan.keeps[item as usize], plan.action(item));
        let mut blocks = self.input.blocks()?;
        let mut position = 0;
        loop {
            // Items of another size need a new header, since it may contain the size of the block.
            if !keeps {
                self.flush()?;
            }
            let Some(count) = blocks.next(&mut self.input)? else {
                break;
            };
            if !keeps {
                self.pending = self.input.offset();
                self.out.block(count);
            }
            for _ in 0..count {
                if is_map {
                    let key = self.input.bytes();
                    key.map_err(|error| error.in_key(position))?;
                }
                self.step(item).map_err(|error| match is_map {
                    true => error.in_entry(position),
                    false => error.in_item(position),
                })?;
                position += 1;
            }
        }
        Ok(())
    }

    fn map_enum(&mut self, writer: NodeId, symbols: Part) -> Result<(), DecodeError> {
        let index = self.replaced(|input| input.enum_index(symbols.end - symbols.start))?;
        let mapped = self.plan.symbols[symbols.range()][index as usize];
        if mapped == NO_SYMBOL {
            return Err(self.unknown_symbol(writer, index as usize));
        }
        self.out.enum_index(mapped);
        Ok(())
    }

    /// Symbols are part of the writer's schema, so the message contains no data.
    #[cold]
    fn unknown_symbol(&self, writer: NodeId, index: usize) -> DecodeError {
        let name = match &self.plan.writer.node(writer).kind {
            Type::Enum(symbols) => symbols.symbols.get(index).map(|symbol| symbol.to_string()),
            _ => None,
        };
        let name = name.unwrap_or_default();
        let message = format!("the reader's enum has neither symbol {name} nor a default");
        self.input
            .error(DecodeErrorKind::Unresolved(message.into()))
    }
}
