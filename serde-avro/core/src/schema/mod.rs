//! The schema model (skeleton: signatures are final).

/// A parsed schema.
#[derive(Clone, Debug)]
pub struct Schema {}

/// What a schema text may hold at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Nesting of JSON values.
    pub depth: usize,
    /// Schema nodes, references included.
    pub nodes: usize,
    /// Symbols of one enum.
    pub symbols: usize,
    /// Branches of one union.
    pub branches: usize,
    /// Fields of one record.
    pub fields: usize,
    /// Bytes of one name.
    pub name_bytes: usize,
    /// Bytes of one fixed.
    pub fixed_bytes: usize,
    /// Bytes of the text.
    pub text_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 64,
            nodes: 20_000,
            symbols: 10_000,
            branches: 256,
            fields: 5_000,
            name_bytes: 1_024,
            fixed_bytes: 1 << 20,
            text_bytes: 1 << 20,
        }
    }
}

/// Why a text is no schema, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    message: String,
    line: usize,
    column: usize,
    pointer: String,
}

impl ParseError {
    /// The line, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }
    /// The column in characters, from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.column
    }
    /// The JSON pointer to the offending value.
    #[must_use]
    pub fn pointer(&self) -> &str {
        &self.pointer
    }
}

impl Schema {
    /// Parses one text.
    ///
    /// # Errors
    /// When the text is no schema.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Self::parse_with(text, &[], &Limits::default())
    }
    /// Parses one text with the named types of others in scope.
    ///
    /// # Errors
    /// When the text is no schema.
    pub fn parse_with(
        text: &str,
        references: &[Self],
        limits: &Limits,
    ) -> Result<Self, ParseError> {
        let _ = (text, references, limits);
        todo!()
    }
    /// The text that Java's `Schema.toString()` prints.
    #[must_use]
    pub fn canonical_text(&self) -> String {
        todo!()
    }
    /// The specification's Parsing Canonical Form.
    #[must_use]
    pub fn parsing_canonical_form(&self) -> String {
        todo!()
    }
    /// CRC-64-AVRO of the Parsing Canonical Form.
    #[must_use]
    pub fn rabin_fingerprint(&self) -> u64 {
        todo!()
    }
    /// MD5 of the Parsing Canonical Form.
    #[must_use]
    pub fn md5_fingerprint(&self) -> [u8; 16] {
        todo!()
    }
    /// SHA-256 of the Parsing Canonical Form.
    #[must_use]
    pub fn sha256_fingerprint(&self) -> [u8; 32] {
        todo!()
    }
}
