//! The traits for primitive types, strings, bytes, arrays, maps, boxes, and options.

use super::{Decode, DecodeError, Decoder, Encode, EncodeError, EncodeErrorKind, Encoder};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};

/// Implements both traits for a type that the encoder takes by value.
macro_rules! primitive {
    ($($method:ident: $type:ty),*) => {
        $(
            impl Encode for $type {
                #[inline]
                fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError> {
                    out.$method(*self);
                    Ok(())
                }
            }

            impl<'de> Decode<'de> for $type {
                #[inline]
                fn decode(input: &mut Decoder<'de>) -> Result<Self, DecodeError> {
                    input.$method()
                }
            }
        )*
    };
}

primitive!(boolean: bool, int: i32, long: i64, float: f32, double: f64);

/// Implements both traits for integers that are encoded as a wider type.
macro_rules! integer {
    ($($method:ident: $wide:ty, $($type:ty),*;)*) => {
        $($(
            impl Encode for $type {
                #[inline]
                fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError> {
                    let wide = <$wide>::try_from(*self);
                    let out_of_range = EncodeErrorKind::OutOfRange(stringify!($method));
                    out.$method(wide.map_err(|_| EncodeError::new(out_of_range))?);
                    Ok(())
                }
            }

            impl<'de> Decode<'de> for $type {
                #[inline]
                fn decode(input: &mut Decoder<'de>) -> Result<Self, DecodeError> {
                    const MESSAGE: &str =
                        concat!("the number is outside the range of ", stringify!($type));
                    let wide = input.$method()?;
                    Self::try_from(wide).map_err(|_| input.value_error(MESSAGE))
                }
            }
        )*)*
    };
}

integer! {
    int: i32, i8, i16, u16;
    long: i64, u32, u64;
}

/// Implements both traits for a type that the encoder takes by reference, and that is decoded by a
/// conversion of the borrowed form.
macro_rules! borrowed {
    ($($method:ident: $type:ty),*) => {
        $(
            impl Encode for $type {
                #[inline]
                fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError> {
                    out.$method(self);
                    Ok(())
                }
            }

            impl<'de> Decode<'de> for $type {
                #[inline]
                fn decode(input: &mut Decoder<'de>) -> Result<Self, DecodeError> {
                    input.$method().map(Into::into)
                }
            }
        )*
    };
}

borrowed!(string: String, string: Box<str>, bytes: Vec<u8>, bytes: Box<[u8]>);

/// Encodes nothing.
impl Encode for () {
    #[inline]
    fn encode(&self, _: &mut Encoder) -> Result<(), EncodeError> {
        Ok(())
    }
}

impl<'de> Decode<'de> for () {
    #[inline]
    fn decode(input: &mut Decoder<'de>) -> Result<Self, DecodeError> {
        input.null()
    }
}

impl Encode for str {
    #[inline]
    fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError> {
        out.string(self);
        Ok(())
    }
}

/// Encodes bytes with their length, not an array.
impl Encode for [u8] {
    #[inline]
    fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError> {
        out.bytes(self);
        Ok(())
    }
}

/// Encodes a fixed, without a length.
impl<const N: usize> Encode for [u8; N] {
    #[inline]
    fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError> {
        out.fixed(self);
        Ok(())
    }
}

impl<'de, const N: usize> Decode<'de> for [u8; N] {
    #[inline]
    fn decode(input: &mut Decoder<'de>) -> Result<Self, DecodeError> {
        input.fixed().copied()
    }
}

impl<T: Encode + ?Sized> Encode for &T {
    #[inline]
    fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError> {
        (**self).encode(out)
    }
}

impl<'de> Decode<'de> for &'de str {
    #[inline]
    fn decode(input: &mut Decoder<'de>) -> Result<Self, DecodeError> {
        input.string()
    }
}

impl<'de> Decode<'de> for &'de [u8] {
    #[inline]
    fn decode(input: &mut Decoder<'de>) -> Result<Self, DecodeError> {
        input.bytes()
    }
}

impl<T: Encode + ToOwned + ?Sized> Encode for Cow<'_, T> {
    #[inline]
    fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError> {
        (**self).encode(out)
    }
}

impl<'de, T: ToOwned + ?Sized> Decode<'de> for Cow<'de, T>
where
    &'de T: Decode<'de>,
{
    #[inline]
    fn decode(input: &mut Decoder<'de>) -> Result<Self, DecodeError> {
        <&T>::decode(input).map(Cow::Borrowed)
    }
}

impl<T: Encode> Encode for Box<T> {
    #[inline]
    fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError> {
        (**self).encode(out)
    }
}

/// Counts one level of nesting: types that contain themselves do so in a box, an array or a map.
impl<'de, T: Decode<'de>> Decode<'de> for Box<T> {
    #[inline]
    fn decode(input: &mut Decoder<'de>) -> Result<Self, DecodeError> {
        input.enter()?;
        input.allocate::<T>(1)?;
        let value = T::decode(input)?;
        input.leave();
        Ok(Self::new(value))
    }
}

impl<T: Encode> Encode for [T] {
    fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError> {
        out.block(self.len());
        for (position, item) in self.iter().enumerate() {
            item.encode(out).map_err(|error| error.in_item(position))?;
        }
        out.end_blocks();
        Ok(())
    }
}

impl<T: Encode> Encode for Vec<T> {
    #[inline]
    fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError> {
        self.as_slice().encode(out)
    }
}

impl<'de, T: Decode<'de>> Decode<'de> for Vec<T> {
    fn decode(input: &mut Decoder<'de>) -> Result<Self, DecodeError> {
        let mut items = Self::new();
        let mut blocks = input.blocks()?;
        while let Some(count) = blocks.next(input)? {
            items.reserve(input.allocate::<T>(count)?);
            for _ in 0..count {
                let item = T::decode(input).map_err(|error| error.in_item(items.len()))?;
                items.push(item);
            }
        }
        Ok(items)
    }
}

/// Implements both traits for a map type. The last entry of a key applies, as in Java.
macro_rules! map {
    ($map:ident<K, V $(, $hasher:ident: $default:ident)?>, $($bound:ident),+) => {
        impl<K: Encode, V: Encode $(, $hasher)?> Encode for $map<K, V $(, $hasher)?> {
            fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError> {
                out.block(self.len());
                for (position, (key, value)) in self.iter().enumerate() {
                    key.encode(out).map_err(|error| error.in_key(position))?;
                    value.encode(out).map_err(|error| error.in_entry(position))?;
                }
                out.end_blocks();
                Ok(())
            }
        }

        impl<'de, K, V $(, $hasher)?> Decode<'de> for $map<K, V $(, $hasher)?>
        where
            K: Decode<'de> $(+ $bound)+,
            V: Decode<'de>,
            $($hasher: BuildHasher + $default,)?
        {
            fn decode(input: &mut Decoder<'de>) -> Result<Self, DecodeError> {
                let mut entries = Self::default();
                let mut position = 0;
                let mut blocks = input.blocks()?;
                while let Some(count) = blocks.next(input)? {
                    input.allocate::<(K, V)>(count)?;
                    for _ in 0..count {
                        let key = K::decode(input).map_err(|error| error.in_key(position))?;
                        let value = V::decode(input).map_err(|error| error.in_entry(position))?;
                        entries.insert(key, value);
                        position += 1;
                    }
                }
                Ok(entries)
            }
        }
    };
}

map!(HashMap<K, V, S: Default>, Eq, Hash);
map!(BTreeMap<K, V>, Ord);

/// Encodes a union whose first branch is null. In other unions null has another index; see
/// [`encode_option`].
impl<T: Encode> Encode for Option<T> {
    #[inline]
    fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError> {
        encode_option(self.as_ref(), 0, out)
    }
}

impl<'de, T: Decode<'de>> Decode<'de> for Option<T> {
    #[inline]
    fn decode(input: &mut Decoder<'de>) -> Result<Self, DecodeError> {
        decode_option(0, input)
    }
}

/// Appends a value of a union of null and one other type. `null` is the index of the null branch, 0
/// or 1.
///
/// # Errors
/// As [`Encode::encode`].
#[inline]
pub fn encode_option<T: Encode>(
    value: Option<&T>,
    null: u32,
    out: &mut Encoder,
) -> Result<(), EncodeError> {
    match value {
        None => {
            out.union_index(null);
            Ok(())
        }
        Some(value) => {
            // The other of the indexes 0 and 1.
            out.union_index(null ^ 1);
            value.encode(out)
        }
    }
}

/// Reads a value of a union of null and one other type. `null` is the index of the null branch, 0
/// or 1.
///
/// # Errors
/// As [`Decode::decode`].
#[inline]
pub fn decode_option<'de, T: Decode<'de>>(
    null: u32,
    input: &mut Decoder<'de>,
) -> Result<Option<T>, DecodeError> {
    if input.union_index(2)? == null {
        return Ok(None);
    }
    T::decode(input).map(Some)
}
