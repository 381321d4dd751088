//! Why a text is no schema.

use crate::json::Mistake;

/// Why a text is no schema: what is wrong, what would be right, and where.
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
    pub(crate) fn new(text: &str, mistake: Mistake) -> Self {
        let before = text.get(..mistake.offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            message: mistake.message,
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            pointer: mistake.pointer,
        }
    }

    /// What is wrong and what would be right, without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The line of the offending value, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// The column of the offending value in characters, from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.column
    }

    /// The JSON pointer (RFC 6901) to the offending value; empty for the whole text.
    #[must_use]
    pub fn pointer(&self) -> &str {
        &self.pointer
    }
}
