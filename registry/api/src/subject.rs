//! Subject names of a topic's keys and values: the three subject name strategies.

use std::fmt;
use std::str::FromStr;

use crate::types::ParseError;

/// The component of a record that a schema describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordPart {
    /// The key.
    Key,
    /// The value.
    Value,
}

impl RecordPart {
    /// Returns `key` or `value`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Value => "value",
        }
    }
}

impl fmt::Display for RecordPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The strategy by which serializers name subjects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SubjectNameStrategy {
    /// `<topic>-key` or `<topic>-value`.
    #[default]
    TopicName,
    /// The full name of the record type.
    RecordName,
    /// `<topic>-<full name of the record type>`.
    TopicRecordName,
}

impl SubjectNameStrategy {
    /// Returns the subject of a topic's keys or values, `None` if the strategy requires the name of
    /// a record type and the schema has none.
    #[must_use]
    pub fn subject(
        self,
        topic: &str,
        part: RecordPart,
        record_name: Option<&str>,
    ) -> Option<String> {
        match self {
            Self::TopicName => Some(format!("{topic}-{part}")),
            Self::RecordName => record_name.map(str::to_owned),
            Self::TopicRecordName => record_name.map(|name| format!("{topic}-{name}")),
        }
    }

    /// Returns the short name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TopicName => "TopicNameStrategy",
            Self::RecordName => "RecordNameStrategy",
            Self::TopicRecordName => "TopicRecordNameStrategy",
        }
    }
}

impl fmt::Display for SubjectNameStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for SubjectNameStrategy {
    type Err = ParseError;

    /// Parses the short name or Confluent's class name.
    fn from_str(word: &str) -> Result<Self, ParseError> {
        const PACKAGE: &str = "io.confluent.kafka.serializers.subject.";
        // Java clients configure the class name; others use the bare name.
        let short = word.strip_prefix(PACKAGE).unwrap_or(word);
        [Self::TopicName, Self::RecordName, Self::TopicRecordName]
            .into_iter()
            .find(|strategy| strategy.as_str() == short)
            .ok_or_else(|| ParseError {
                problem: "unknown subject name strategy",
                found: word.to_owned(),
                expected: "TopicNameStrategy, RecordNameStrategy, TopicRecordNameStrategy",
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_strategy_names_its_subject() {
        let table = [
            ("TopicNameStrategy", RecordPart::Key, None, Some("pay-key")),
            (
                "TopicNameStrategy",
                RecordPart::Value,
                Some("n.Payment"),
                Some("pay-value"),
            ),
            (
                "RecordNameStrategy",
                RecordPart::Value,
                Some("n.Payment"),
                Some("n.Payment"),
            ),
            ("RecordNameStrategy", RecordPart::Value, None, None),
            (
                "io.confluent.kafka.serializers.subject.TopicRecordNameStrategy",
                RecordPart::Value,
                Some("n.Payment"),
                Some("pay-n.Payment"),
            ),
        ];
        for (word, part, record, subject) in table {
            let strategy: SubjectNameStrategy = word.parse().unwrap();
            assert_eq!(
                strategy.subject("pay", part, record).as_deref(),
                subject,
                "{word}"
            );
        }
        assert!(
            "com.example.MyStrategy"
                .parse::<SubjectNameStrategy>()
                .is_err()
        );
    }
}
