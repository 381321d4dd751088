//! Encoding and decoding of messages, generated from tables of their fields.
//!
//! A message file is a [`message!`](crate::message) table:
//! ```text
//! message! {
//!     Fetch:                                        // the API
//!     /// Its purpose.
//!     pub struct FetchRequest {                     // the first structure is the message
//!         max_wait_ms: i32,                         // in every version, default 0
//!         max_bytes: i32 = i32::MAX,                // another default
//!         session_epoch: i32 [7.., ignorable] = -1, // from version 7 on
//!         replica_id: i32 [..=14] = -1,             // up to version 14
//!         cluster_id: Option<String> [12.., tag 0], // tagged field 0
//!         name: Option<String> [.., null 10..],     // in every version, null only from 10 on
//!     }
//!     pub struct FetchTopic { .. }                  // structures used in the message
//! }
//! ```
//! Fields are in the order of the wire. Decoding a version that lacks a field sets its default.
//! Encoding it in such a version omits it if it is `ignorable` or has its default, and fails
//! otherwise. A tagged field with its default is omitted. The semantics are those of Kafka's
//! message definitions.

use std::ops::RangeInclusive;

use bytes::Bytes;

use super::WireError;
use super::api::ApiKey;
use super::reader::Reader;
use super::writer::Writer;

/// The layout of the structures of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The message's version.
    pub version: i16,
    /// True if this version has compact lengths and tagged fields (KIP-482).
    pub flexible: bool,
}

/// A type of message fields.
pub trait Wire: Sized {
    /// Returns the minimum size of a value in bytes.
    fn min_bytes(shape: Shape) -> usize;

    /// Decodes a value.
    ///
    /// # Errors
    /// If the bytes are not a valid value.
    fn read(reader: &mut Reader, shape: Shape) -> Result<Self, WireError>;

    /// Encodes the value.
    ///
    /// # Errors
    /// If the version cannot represent it.
    fn write(&self, writer: &mut Writer, shape: Shape) -> Result<(), WireError>;

    /// Returns true if the value is null.
    fn is_null(&self) -> bool {
        false
    }

    /// Returns a value that sets all fields of the version, see [`Message::example`].
    fn example(examples: &mut Examples, shape: Shape) -> Self;
}

/// A source of values for examples: increasing small numbers, so that adjacent fields of one type
/// differ.
#[derive(Clone, Copy, Debug, Default)]
pub struct Examples {
    /// If true, nullable fields are null and arrays are empty.
    pub bare: bool,
    last: u8,
}

impl Examples {
    /// Returns a number from 3 to 120.
    pub fn number(&mut self) -> u8 {
        // From 3, because 0 to 2 and -1 are frequent defaults; below 128, so that it fits an `i8`.
        self.last = if (3..120).contains(&self.last) {
            self.last + 1
        } else {
            3
        };
        self.last
    }
}

/// The body of a request or a response.
pub trait Message: Wire {
    /// The API of the message.
    const API: ApiKey;
    /// The supported versions.
    const VERSIONS: RangeInclusive<i16> = Self::API.versions();
    /// The first flexible version.
    const FLEXIBLE_FROM: i16 = Self::API.flexible_from();

    /// Decodes a body. Bytes after it are not read.
    ///
    /// # Errors
    /// If `version` is not supported or the bytes are not a valid message.
    fn decode(reader: &mut Reader, version: i16) -> Result<Self, WireError> {
        Self::read(reader, Self::shape(version)?)
    }

    /// Encodes the body.
    ///
    /// # Errors
    /// If `version` is not supported or cannot represent the message.
    fn encode(&self, writer: &mut Writer, version: i16) -> Result<(), WireError> {
        self.write(writer, Self::shape(version)?)
    }

    /// Decodes a body that is exactly `bytes`.
    ///
    /// # Errors
    /// The errors of [`Self::decode`], and [`WireError::TrailingBytes`].
    fn from_bytes(bytes: Bytes, version: i16) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let message = Self::decode(&mut reader, version)?;
        reader.finish()?;
        Ok(message)
    }

    /// Returns a message in which no field of the version has its default. In a `bare` message,
    /// nullable fields are null and arrays are empty. Used by round-trip tests and fuzz targets.
    ///
    /// # Errors
    /// [`WireError::UnsupportedVersion`].
    fn example(version: i16, bare: bool) -> Result<Self, WireError> {
        let shape = Self::shape(version)?;
        Ok(<Self as Wire>::example(
            &mut Examples {
                bare,
                ..Examples::default()
            },
            shape,
        ))
    }

    /// Returns the layout of a version.
    ///
    /// # Errors
    /// [`WireError::UnsupportedVersion`].
    fn shape(version: i16) -> Result<Shape, WireError> {
        if !Self::VERSIONS.contains(&version) {
            return Err(WireError::UnsupportedVersion {
                api: Self::API,
                version,
            });
        }
        Ok(Shape {
            version,
            flexible: version >= Self::FLEXIBLE_FROM,
        })
    }
}

/// Defines a message from its table, see the module.
macro_rules! message {
    ($api:ident: $(#[$doc:meta])* pub struct $name:ident $fields:tt $($more:tt)*) => {
        impl $crate::message::Message for $name {
            const API: $crate::api::ApiKey = $crate::api::ApiKey::$api;
        }
        $crate::message::structures! {
            $(#[$doc])* pub struct $name $fields $($more)*
        }
    };
}

/// Defines structures that are not messages themselves.
macro_rules! structures {
    ($($(#[$doc:meta])* pub struct $name:ident {
        $($(#[$note:meta])* $field:ident: $type:ty
            $([$($spec:tt)+])? $(= $default:expr)?),* $(,)?
    })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $(
                $(#[$note])*
                #[doc = $crate::message::field_doc!($($($spec)+)?)]
                pub $field: $type,
            )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $crate::message::default!($type $(, $default)?)),* }
            }
        }

        impl $crate::message::Wire for $name {
            fn min_bytes(shape: $crate::message::Shape) -> usize {
                let mut min = usize::from(shape.flexible);
                $(
                    let spec = $crate::message::spec!($($($spec)+)?);
                    if spec.tag.is_none() && spec.has(shape.version) {
                        min += <$type>::min_bytes(shape);
                    }
                )*
                min
            }

            fn example(
                examples: &mut $crate::message::Examples,
                shape: $crate::message::Shape,
            ) -> Self {
                let mut value = Self::default();
                $(
                    let spec = $crate::message::spec!($($($spec)+)?);
                    if spec.has(shape.version) {
                        value.$field = spec.example(examples, shape, &value.$field);
                    }
                )*
                value
            }

            fn read(
                reader: &mut $crate::reader::Reader,
                shape: $crate::message::Shape,
            ) -> Result<Self, $crate::WireError> {
                let mut value = Self::default();
                $(
                    let spec = $crate::message::spec!($($($spec)+)?);
                    if spec.tag.is_none() && spec.has(shape.version) {
                        value.$field = <$type>::read(reader, shape)?;
                        spec.check_null(stringify!($field), &value.$field, shape)?;
                    }
                )*
                // Tags can be in any order and unknown, so each is matched against all fields.
                if shape.flexible {
                    reader.tagged_fields(|_reader, _tag| {
                        $(
                            let spec = $crate::message::spec!($($($spec)+)?);
                            if spec.tag == Some(_tag) && spec.has(shape.version) {
                                value.$field = <$type>::read(_reader, shape)?;
                                return Ok(true);
                            }
                        )*
                        Ok(false)
                    })?;
                }
                Ok(value)
            }

            fn write(
                &self,
                writer: &mut $crate::writer::Writer,
                shape: $crate::message::Shape,
            ) -> Result<(), $crate::WireError> {
                $(
                    let spec = $crate::message::spec!($($($spec)+)?);
                    if !spec.has(shape.version) {
                        // Losing a value that the version lacks must be an error, not silent.
                        let default: $type =
                            $crate::message::default!($type $(, $default)?);
                        spec.check_droppable(stringify!($field), self.$field == default, shape)?;
                    } else if spec.tag.is_none() {
                        spec.check_null(stringify!($field), &self.$field, shape)?;
                        $crate::message::write_field!($field, writer, self.$field, shape);
                    }
                )*
                if shape.flexible {
                    let mut _tagged = Vec::new();
                    $(
                        let spec = $crate::message::spec!($($($spec)+)?);
                        if let Some(tag) = spec.tag.filter(|_| spec.has(shape.version)) {
                            let default: $type =
                                $crate::message::default!($type $(, $default)?);
                            // Kafka omits a tagged field that has its default.
                            if self.$field != default {
                                let mut field = $crate::writer::Writer::new();
                                self.$field.write(&mut field, shape)?;
                                _tagged.push((tag, field));
                            }
                        }
                    )*
                    writer.tagged_fields(_tagged)?;
                }
                Ok(())
            }
        }
    )*};
}

/// Writes a field. The writer counts error codes and overrides the throttle time.
macro_rules! write_field {
    (error_code, $writer:ident, $code:expr, $shape:ident) => {
        $code.write($writer, $shape)?;
        $writer.note_error($code);
    };
    (throttle_time_ms, $writer:ident, $time_ms:expr, $shape:ident) => {
        let time_ms: i32 = $writer.throttle_time_ms().unwrap_or($time_ms);
        time_ms.write($writer, $shape)?;
    };
    ($other:ident, $writer:ident, $value:expr, $shape:ident) => {
        $value.write($writer, $shape)?;
    };
}

macro_rules! default {
    ($type:ty) => {
        <$type>::default()
    };
    ($type:ty, $default:expr) => {
        $default
    };
}

macro_rules! field_doc {
    () => {
        "In every version."
    };
    ($($spec:tt)+) => {
        concat!("Versions and kind: `", stringify!($($spec)+), "`.")
    };
}

/// Converts the bracket of a field into a [`FieldSpec`].
macro_rules! spec {
    () => {
        $crate::message::FieldSpec::ALWAYS
    };
    (.. $(, $($rest:tt)*)?) => {
        $crate::message::spec!(@ (0, i16::MAX); $($($rest)*)?)
    };
    ($from:literal .. $(, $($rest:tt)*)?) => {
        $crate::message::spec!(@ ($from, i16::MAX); $($($rest)*)?)
    };
    (..= $to:literal $(, $($rest:tt)*)?) => {
        $crate::message::spec!(@ (0, $to); $($($rest)*)?)
    };
    ($from:literal ..= $to:literal $(, $($rest:tt)*)?) => {
        $crate::message::spec!(@ ($from, $to); $($($rest)*)?)
    };
    (@ ($from:expr, $to:expr); $(tag $tag:literal $(,)?)? $(null $null:literal .. $(,)?)?) => {
        $crate::message::FieldSpec {
            from: $from,
            to: $to,
            $(tag: Some($tag),)?
            $(null_from: $null,)?
            ..$crate::message::FieldSpec::ALWAYS
        }
    };
    (@ ($from:expr, $to:expr); $(tag $tag:literal,)? $(null $null:literal ..,)? ignorable) => {
        $crate::message::FieldSpec {
            from: $from,
            to: $to,
            $(tag: Some($tag),)?
            $(null_from: $null,)?
            ignorable: true,
            ..$crate::message::FieldSpec::ALWAYS
        }
    };
}

pub(super) use {default, field_doc, message, spec, structures, write_field};

/// The properties of one field in a table. A constant, which the compiler folds.
#[derive(Clone, Copy, Debug)]
pub(super) struct FieldSpec {
    /// The first version with the field.
    pub(super) from: i16,
    /// The last version with the field.
    pub(super) to: i16,
    /// The tag of a tagged field.
    pub(super) tag: Option<u32>,
    /// The first version in which the field can be null, if its type is nullable.
    pub(super) null_from: i16,
    /// If true, versions without the field omit its value.
    pub(super) ignorable: bool,
}

impl FieldSpec {
    /// An untagged field in every version.
    pub(super) const ALWAYS: Self = Self {
        from: 0,
        to: i16::MAX,
        tag: None,
        null_from: 0,
        ignorable: false,
    };

    pub(super) const fn has(&self, version: i16) -> bool {
        self.from <= version && version <= self.to
    }

    /// Returns a value that differs from the default, and is not null in versions without null.
    pub(super) fn example<T: Wire + PartialEq>(
        &self,
        examples: &mut Examples,
        shape: Shape,
        default: &T,
    ) -> T {
        // Versions before `null_from` have no null, also in a bare message.
        let bare = examples.bare;
        examples.bare &= shape.version >= self.null_from;
        let mut example = T::example(examples, shape);
        // Two successive examples differ, so at most one of them is the default.
        if example == *default {
            example = T::example(examples, shape);
        }
        examples.bare = bare;
        example
    }

    pub(super) fn check_null(
        &self,
        field: &'static str,
        value: &impl Wire,
        shape: Shape,
    ) -> Result<(), WireError> {
        if shape.version < self.null_from && value.is_null() {
            return Err(WireError::NullNotInVersion {
                field,
                version: shape.version,
            });
        }
        Ok(())
    }

    pub(super) fn check_droppable(
        &self,
        field: &'static str,
        is_default: bool,
        shape: Shape,
    ) -> Result<(), WireError> {
        if self.ignorable || is_default {
            return Ok(());
        }
        Err(WireError::FieldNotInVersion {
            field,
            version: shape.version,
        })
    }
}
