//! Java's additional information to a finding. Most findings are dropped, because a branch of a
//! union may fail, so the words are written late.

/// Java's additional information, written only for what is told.
pub(super) enum Info {
    Text(String),
    /// The words of both types.
    Mismatch(&'static str, &'static str),
    /// The word of the writer's type.
    Lacking(&'static str),
}

impl Info {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Mismatch(read, written) => {
                let (read, written) = (read.to_ascii_uppercase(), written.to_ascii_uppercase());
                format!("reader type: {read} not compatible with writer type: {written}")
            }
            Self::Lacking(written) => {
                let written = written.to_ascii_uppercase();
                format!("reader union lacking writer type: {written}")
            }
        }
    }
}
