//! What values configs take, as they are checked and as Kafka tells clients of them. Knows no
//! config.

/// What values a config takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `true` or `false`.
    Boolean,
    /// A 32-bit integer of at least this.
    Int(i32),
    /// A 64-bit integer of at least this.
    Long(i64),
    /// A 32-bit integer in one of these ranges, both ends included.
    Within(&'static [(i32, i32)]),
    /// A number from 0 to 1.
    Ratio,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A comma-separated list of these words.
    ListOf(&'static [&'static str]),
    /// A list of anything, separated by this.
    List(char),
    /// A comma-separated list of `PARTITION:BROKER`, or `*` for all.
    Replicas,
    /// Anything.
    Text,
}

/// What a config's values are, as Kafka tells clients (`DescribeConfigsResponse.ConfigType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueType {
    /// `true` or `false`.
    Boolean,
    /// Any text.
    Text,
    /// A 32-bit integer.
    Int,
    /// A 16-bit integer.
    Short,
    /// A 64-bit integer.
    Long,
    /// A floating-point number.
    Double,
    /// A list of texts.
    List,
    /// The name of a Java class.
    Class,
    /// A text that is never shown.
    Password,
}

impl ValueType {
    /// Kafka's number for it.
    #[must_use]
    pub(crate) fn code(self) -> i8 {
        match self {
            Self::Boolean => 1,
            Self::Text => 2,
            Self::Int => 3,
            Self::Short => 4,
            Self::Long => 5,
            Self::Double => 6,
            Self::List => 7,
            Self::Class => 8,
            Self::Password => 9,
        }
    }
}

impl Kind {
    /// What its values are.
    #[must_use]
    pub(crate) fn value_type(self) -> ValueType {
        match self {
            Self::Boolean => ValueType::Boolean,
            Self::Int(_) | Self::Within(_) => ValueType::Int,
            Self::Long(_) => ValueType::Long,
            Self::Ratio => ValueType::Double,
            Self::OneOf(_) | Self::Text => ValueType::Text,
            Self::ListOf(_) | Self::List(_) | Self::Replicas => ValueType::List,
        }
    }

    /// What stands between the words of a list; `None` when it is no list.
    #[must_use]
    pub(crate) fn separator(self) -> Option<char> {
        match self {
            Self::ListOf(_) | Self::Replicas => Some(','),
            Self::List(separator) => Some(separator),
            Self::Boolean
            | Self::Int(_)
            | Self::Within(_)
            | Self::Long(_)
            | Self::Ratio
            | Self::OneOf(_)
            | Self::Text => None,
        }
    }

    /// Checks a value.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn check(self, value: &str) -> Result<(), String> {
        fits(self, value)
    }
}

fn fits(kind: Kind, value: &str) -> Result<(), String> {
    let at_least = |parsed: Option<i64>, least: i64, what: &str| match parsed {
        Some(number) if number >= least => Ok(()),
        Some(_) => Err(format!("{value} is below the least value {least}")),
        None => Err(format!("{value:?} is not {what}")),
    };
    match kind {
        Kind::Boolean => match value {
            "true" | "false" => Ok(()),
            _ => Err(format!("{value:?} is not true or false")),
        },
        Kind::Int(least) => at_least(
            value.parse::<i32>().ok().map(i64::from),
            i64::from(least),
            "a 32-bit integer",
        ),
        Kind::Within(ranges) => within(ranges, value),
        Kind::Long(least) => at_least(value.parse().ok(), least, "a 64-bit integer"),
        Kind::Ratio => match value.parse::<f64>() {
            Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(()),
            _ => Err(format!("{value:?} is not a number from 0 to 1")),
        },
        Kind::OneOf(words) => one_of(words, value),
        Kind::ListOf(words) => words_of(value, ',').try_for_each(|word| one_of(words, word)),
        Kind::Replicas if value.trim() == "*" => Ok(()),
        Kind::Replicas => words_of(value, ',').try_for_each(replica),
        Kind::List(_) | Kind::Text => Ok(()),
    }
}

/// The words of a list; none in an empty text.
pub(super) fn words_of(value: &str, separator: char) -> impl Iterator<Item = &str> {
    value
        .split(separator)
        .map(str::trim)
        .filter(|word| !word.is_empty())
}

fn within(ranges: &[(i32, i32)], value: &str) -> Result<(), String> {
    let number = value
        .parse::<i32>()
        .map_err(|_| format!("{value:?} is not a 32-bit integer"))?;
    if ranges
        .iter()
        .any(|(from, to)| (*from..=*to).contains(&number))
    {
        return Ok(());
    }
    let allowed = ranges.iter().map(|(from, to)| match from == to {
        true => from.to_string(),
        false => format!("{from} to {to}"),
    });
    let allowed = allowed.collect::<Vec<_>>().join(" or ");
    Err(format!("{value} is not {allowed}"))
}

fn replica(word: &str) -> Result<(), String> {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    match word.split_once(':') {
        Some((partition, broker)) if is_number(partition) && is_number(broker) => Ok(()),
        _ => Err(format!(
            "{word:?} is not PARTITION:BROKER, nor is it * alone"
        )),
    }
}

fn one_of(words: &[&str], value: &str) -> Result<(), String> {
    if words.contains(&value) {
        Ok(())
    } else {
        Err(format!("{value:?} is not one of {}", words.join(", ")))
    }
}
