//! Parse errors.

use crate::json::Failure;

/// An error of the schema parser: the cause, often a suggestion, and the position in the source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (line {line}, column {column}{})", at(pointer))]
pub struct ParseError {
    message: String,
    line: usize,
    column: usize,
    pointer: String,
}

fn at(pointer: &str) -> String {
    if pointer.is_empty() {
        String::new()
    } else {
        format!(", at {pointer}")
    }
}

impl ParseError {
    pub(crate) fn new(source: &str, failure: Failure) -> Self {
        let before = source.get(..failure.offset).unwrap_or(source);
        // Lines and columns are counted only for errors, so that valid input does not pay.
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            message: failure.message,
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            pointer: failure.pointer,
        }
    }

    /// Returns the cause and the suggestion, without the position.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the line of the offending value, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// Returns the column of the offending value in characters, from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.column
    }

    /// Returns the JSON pointer (RFC 6901) to the offending value; empty for the whole source.
    #[must_use]
    pub fn pointer(&self) -> &str {
        &self.pointer
    }
}
