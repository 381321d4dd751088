//! Fields of the broker's configuration as values of configs.

use std::time::Duration;

use crate::config::BrokerConfig;
use crate::metadata::config_kind::ConfigValue;

const MINUTE_MS: i64 = 60_000;

/// A config that sets a field of [`BrokerConfig`] at startup.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// Returns the field's value.
    pub(crate) read: fn(&BrokerConfig) -> ConfigValue,
    /// Sets the field; returns `None` if the field cannot hold the value.
    pub(crate) write: fn(&mut BrokerConfig, &ConfigValue) -> Option<()>,
    /// True if Kafka changes it at run time: a change is stored for the next start.
    pub(crate) is_dynamic: bool,
    /// The effect.
    pub(crate) doc: &'static str,
}

/// A type of fields.
pub(super) trait Field {
    /// Returns the value.
    fn read(&self) -> ConfigValue;
    /// Sets the value; returns `None` if it does not fit.
    fn write(&mut self, value: &ConfigValue) -> Option<()>;
}

impl Field for bool {
    fn read(&self) -> ConfigValue {
        ConfigValue::Boolean(*self)
    }

    fn write(&mut self, value: &ConfigValue) -> Option<()> {
        match value {
            ConfigValue::Boolean(value) => *self = *value,
            _ => return None,
        }
        Some(())
    }
}

impl Field for Vec<String> {
    fn read(&self) -> ConfigValue {
        ConfigValue::List(self.clone(), ',')
    }

    fn write(&mut self, value: &ConfigValue) -> Option<()> {
        match value {
            ConfigValue::List(words, _) => self.clone_from(words),
            _ => return None,
        }
        Some(())
    }
}

/// Times are configured in milliseconds.
impl Field for Duration {
    fn read(&self) -> ConfigValue {
        ConfigValue::Integer(i64::try_from(self.as_millis()).unwrap_or(i64::MAX))
    }

    fn write(&mut self, value: &ConfigValue) -> Option<()> {
        *self = Self::from_millis(integer(value)?.try_into().ok()?);
        Some(())
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Field for $type {
            fn read(&self) -> ConfigValue {
                // A default without limit may exceed what a config can express.
                ConfigValue::Integer(i64::try_from(*self).unwrap_or(i64::MAX))
            }

            fn write(&mut self, value: &ConfigValue) -> Option<()> {
                *self = integer(value)?.try_into().ok()?;
                Some(())
            }
        }
    )*};
}

integers!(i32, i64, usize);

/// Returns the minutes of a field in milliseconds.
pub(super) fn read_minutes(ms: i64) -> ConfigValue {
    ConfigValue::Integer(ms / MINUTE_MS)
}

/// Sets a field in milliseconds to minutes.
pub(super) fn write_minutes(ms: &mut i64, value: &ConfigValue) -> Option<()> {
    *ms = integer(value)?.checked_mul(MINUTE_MS)?;
    Some(())
}

fn integer(value: &ConfigValue) -> Option<i64> {
    match value {
        ConfigValue::Integer(value) => Some(*value),
        _ => None,
    }
}
