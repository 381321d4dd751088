//! The protocol's primitive types on the wire, and [`Records`].
//!
//! Strings, byte strings and arrays are compact in flexible versions (KIP-482): the length n is the
//! unsigned variable-length integer n + 1, and null is 0.

use bytes::Bytes;
use uuid::Uuid;

use super::WireError;
use super::chunk::{Chunk, FileRange};
use super::message::{Examples, Shape, Wire};
use super::reader::Reader;
use super::writer::Writer;

/// Record batches of one partition as a rope, for instance file ranges of segments and cached
/// batches, without copies.
#[derive(Clone, Debug, Default)]
pub struct Records(Vec<Chunk>);

impl Records {
    /// Returns the size of all chunks in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(Chunk::len).sum()
    }

    /// Returns true if there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Chunk::is_empty)
    }

    /// Appends a chunk, unless it is empty.
    pub fn push(&mut self, chunk: impl Into<Chunk>) {
        let chunk = chunk.into();
        if !chunk.is_empty() {
            self.0.push(chunk);
        }
    }

    /// Returns the chunks in order.
    #[must_use]
    pub fn chunks(&self) -> &[Chunk] {
        &self.0
    }

    /// Returns the bytes of all chunks in memory. Decoded records have one chunk, which is not
    /// copied. File ranges are omitted.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        let memory: Vec<Bytes> = self.memory().cloned().collect();
        match memory.as_slice() {
            [] => Bytes::new(),
            [all] => all.clone(),
            parts => parts.concat().into(),
        }
    }

    fn memory(&self) -> impl Iterator<Item = &Bytes> {
        self.0.iter().filter_map(Chunk::memory)
    }

    fn file_ranges(&self) -> impl Iterator<Item = &FileRange> {
        self.0.iter().filter_map(|chunk| match chunk {
            Chunk::Memory(_) => None,
            Chunk::File(range) => Some(range),
        })
    }
}

impl From<Bytes> for Records {
    fn from(bytes: Bytes) -> Self {
        let mut records = Self::default();
        records.push(bytes);
        records
    }
}

impl FromIterator<Chunk> for Records {
    fn from_iter<Chunks: IntoIterator<Item = Chunk>>(chunks: Chunks) -> Self {
        let chunks = chunks.into_iter();
        Self(chunks.filter(|chunk| !chunk.is_empty()).collect())
    }
}

/// Compares the bytes in memory, however they are split into chunks, and the file ranges.
impl PartialEq for Records {
    fn eq(&self, other: &Self) -> bool {
        self.memory().flatten().eq(other.memory().flatten())
            && self.file_ranges().eq(other.file_ranges())
    }
}

macro_rules! fixed {
    ($($type:ty: $bytes:literal bytes, $read:expr, $write:expr, $example:expr;)*) => {$(
        impl Wire for $type {
            fn min_bytes(_: Shape) -> usize {
                $bytes
            }

            fn read(reader: &mut Reader, _: Shape) -> Result<Self, WireError> {
                $read(reader)
            }

            fn write(&self, writer: &mut Writer, _: Shape) -> Result<(), WireError> {
                $write(writer, *self);
                Ok(())
            }

            fn example(examples: &mut Examples, _: Shape) -> Self {
                $example(examples.number())
            }
        }
    )*};
}

fixed! {
    // Kafka reads any byte but 0 as true.
    bool: 1 bytes, |reader: &mut Reader| Ok(reader.u8()? != 0),
        |writer: &mut Writer, value: bool| writer.u8(u8::from(value)),
        |number: u8| !number.is_multiple_of(2);
    i8: 1 bytes, Reader::i8, Writer::i8, u8::cast_signed;
    i16: 2 bytes, Reader::i16, Writer::i16, |number: u8| i16::from(number) << 8;
    i32: 4 bytes, Reader::i32, Writer::i32, |number: u8| i32::from(number) << 16;
    i64: 8 bytes, Reader::i64, Writer::i64, |number: u8| i64::from(number) << 40;
    u16: 2 bytes, |reader: &mut Reader| reader.i16().map(i16::cast_unsigned),
        |writer: &mut Writer, value: u16| writer.i16(value.cast_signed()),
        |number: u8| u16::from(number) << 8;
    f64: 8 bytes,
        |reader: &mut Reader| reader.i64().map(|bits| f64::from_bits(bits.cast_unsigned())),
        |writer: &mut Writer, value: f64| writer.i64(value.to_bits().cast_signed()),
        f64::from;
    Uuid: 16 bytes, Reader::uuid, Writer::uuid, |number: u8| Uuid::from_bytes([number; 16]);
}

/// Types with a length prefix, which also encodes null.
macro_rules! nullable {
    ($($type:ty: $read:expr, $write:expr, $prefix_bytes:literal, $example:expr;)*) => {$(
        impl Wire for $type {
            fn min_bytes(shape: Shape) -> usize {
                if shape.flexible { 1 } else { $prefix_bytes }
            }

            fn read(reader: &mut Reader, shape: Shape) -> Result<Self, WireError> {
                let at = reader.position();
                $read(reader, shape)?.ok_or(WireError::NullNotAllowed { at })
            }

            fn write(&self, writer: &mut Writer, shape: Shape) -> Result<(), WireError> {
                $write(writer, shape, Some(self))
            }

            fn example(examples: &mut Examples, _: Shape) -> Self {
                $example(examples.number())
            }
        }

        impl Wire for Option<$type> {
            fn min_bytes(shape: Shape) -> usize {
                <$type>::min_bytes(shape)
            }

            fn read(reader: &mut Reader, shape: Shape) -> Result<Self, WireError> {
                $read(reader, shape)
            }

            fn write(&self, writer: &mut Writer, shape: Shape) -> Result<(), WireError> {
                $write(writer, shape, self.as_ref())
            }

            fn is_null(&self) -> bool {
                self.is_none()
            }

            fn example(examples: &mut Examples, shape: Shape) -> Self {
                (!examples.bare).then(|| Wire::example(examples, shape))
            }
        }
    )*};
}

nullable! {
    String: read_string, write_string, 2, |number: u8| format!("text {number}");
    Bytes: read_bytes, write_bytes, 4, |number: u8| Bytes::from(vec![number; 5]);
    Records: read_records, write_records, 4, |number: u8| Bytes::from(vec![number; 70]).into();
}

fn read_string(reader: &mut Reader, shape: Shape) -> Result<Option<String>, WireError> {
    let length = reader.string_length(shape.flexible)?;
    length.map(|length| reader.text(length)).transpose()
}

fn write_string(
    writer: &mut Writer,
    shape: Shape,
    value: Option<&String>,
) -> Result<(), WireError> {
    writer.string_length(shape.flexible, value.map(String::len))?;
    writer.put_slice(value.map_or(&[], |text| text.as_bytes()));
    Ok(())
}

fn read_bytes(reader: &mut Reader, shape: Shape) -> Result<Option<Bytes>, WireError> {
    let length = reader.length(shape.flexible)?;
    length.map(|length| reader.take(length)).transpose()
}

fn write_bytes(writer: &mut Writer, shape: Shape, value: Option<&Bytes>) -> Result<(), WireError> {
    writer.length(shape.flexible, value.map(Bytes::len))?;
    writer.put_bytes(value.cloned().unwrap_or_default());
    Ok(())
}

fn read_records(reader: &mut Reader, shape: Shape) -> Result<Option<Records>, WireError> {
    Ok(read_bytes(reader, shape)?.map(Records::from))
}

fn write_records(
    writer: &mut Writer,
    shape: Shape,
    value: Option<&Records>,
) -> Result<(), WireError> {
    writer.length(shape.flexible, value.map(Records::len))?;
    for chunk in value.map_or(&[][..], Records::chunks) {
        writer.put(chunk.clone());
    }
    Ok(())
}

impl<T: Wire> Wire for Vec<T> {
    fn min_bytes(shape: Shape) -> usize {
        if shape.flexible { 1 } else { 4 }
    }

    fn read(reader: &mut Reader, shape: Shape) -> Result<Self, WireError> {
        let at = reader.position();
        read_array(reader, shape)?.ok_or(WireError::NullNotAllowed { at })
    }

    fn write(&self, writer: &mut Writer, shape: Shape) -> Result<(), WireError> {
        writer.length(shape.flexible, Some(self.len()))?;
        self.iter()
            .try_for_each(|element| element.write(writer, shape))
    }

    fn example(examples: &mut Examples, shape: Shape) -> Self {
        let count = if examples.bare { 0 } else { 2 };
        (0..count).map(|_| T::example(examples, shape)).collect()
    }
}

impl<T: Wire> Wire for Option<Vec<T>> {
    fn min_bytes(shape: Shape) -> usize {
        Vec::<T>::min_bytes(shape)
    }

    fn read(reader: &mut Reader, shape: Shape) -> Result<Self, WireError> {
        read_array(reader, shape)
    }

    fn write(&self, writer: &mut Writer, shape: Shape) -> Result<(), WireError> {
        match self {
            Some(elements) => elements.write(writer, shape),
            None => writer.length(shape.flexible, None),
        }
    }

    fn is_null(&self) -> bool {
        self.is_none()
    }

    fn example(examples: &mut Examples, shape: Shape) -> Self {
        (!examples.bare).then(|| Wire::example(examples, shape))
    }
}

fn read_array<T: Wire>(reader: &mut Reader, shape: Shape) -> Result<Option<Vec<T>>, WireError> {
    let Some(count) = reader.count(shape.flexible, T::min_bytes(shape))? else {
        return Ok(None);
    };
    // `count` was checked against the bytes left, so this allocation is bounded by the frame.
    let mut elements = Vec::with_capacity(count);
    for _ in 0..count {
        elements.push(T::read(reader, shape)?);
    }
    Ok(Some(elements))
}
