//! Confluent's wire format: the prefix of a payload that identifies the writer's schema.
//!
//! There are two prefixes: `0x00` and a big-endian schema id, and `0x01` and a 16-byte GUID.
//! Whether the schema exists is not checked. Framing by record headers has no prefix and is not
//! part of this module.

/// An identifier of the writer's schema in a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SchemaRef {
    /// A schema id.
    Id(i32),
    /// A schema GUID, its bytes in the order of its textual form.
    Guid([u8; 16]),
}

/// The parts of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framed<'a> {
    /// The writer's schema.
    pub schema: SchemaRef,
    /// The bytes after the prefix; may be empty.
    pub datum: &'a [u8],
    /// The length of the prefix in bytes: 5 or 17.
    pub prefix_bytes: usize,
}

/// The reasons why a payload has no valid prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FramingFault {
    /// The first byte is neither of the two magic bytes.
    #[error("no magic byte: found 0x{found:02x}, expected 0x00 (id) or 0x01 (GUID)")]
    NoMagic {
        /// The first byte.
        found: u8,
    },
    /// The payload ends within its prefix.
    #[error("{have} bytes are too short for a prefix of {need}")]
    Short {
        /// The length of the payload in bytes.
        have: usize,
        /// The length of the prefix in bytes.
        need: usize,
    },
}

impl FramingFault {
    /// Returns the stable reason code: `no-magic` or `short`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NoMagic { .. } => "no-magic",
            Self::Short { .. } => "short",
        }
    }
}

const ID_MAGIC: u8 = 0;
const GUID_MAGIC: u8 = 1;
const ID_PREFIX_BYTES: usize = 5;
const GUID_PREFIX_BYTES: usize = 17;

/// Splits a payload into the identifier of the writer's schema and the datum.
///
/// # Errors
/// [`FramingFault::Short`] for an empty payload or one that ends within its prefix,
/// [`FramingFault::NoMagic`] for any other first byte.
pub fn split(payload: &[u8]) -> Result<Framed<'_>, FramingFault> {
    let have = payload.len();
    match payload.split_first() {
        None => Err(FramingFault::Short {
            have,
            need: ID_PREFIX_BYTES,
        }),
        Some((&ID_MAGIC, rest)) => match rest.split_first_chunk() {
            Some((id, datum)) => Ok(Framed {
                schema: SchemaRef::Id(i32::from_be_bytes(*id)),
                datum,
                prefix_bytes: ID_PREFIX_BYTES,
            }),
            None => Err(FramingFault::Short {
                have,
                need: ID_PREFIX_BYTES,
            }),
        },
        Some((&GUID_MAGIC, rest)) => match rest.split_first_chunk() {
            Some((guid, datum)) => Ok(Framed {
                schema: SchemaRef::Guid(*guid),
                datum,
                prefix_bytes: GUID_PREFIX_BYTES,
            }),
            None => Err(FramingFault::Short {
                have,
                need: GUID_PREFIX_BYTES,
            }),
        },
        Some((&found, _)) => Err(FramingFault::NoMagic { found }),
    }
}

/// Returns the prefix of a payload for a schema id.
#[must_use]
pub fn prefix(id: i32) -> [u8; ID_PREFIX_BYTES] {
    let [a, b, c, d] = id.to_be_bytes();
    [ID_MAGIC, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_prefix_round_trips() {
        for id in [0, 1, 41, i32::MAX, -1] {
            let mut payload = prefix(id).to_vec();
            payload.extend(b"datum");
            let framed = split(&payload).unwrap();
            assert_eq!(framed.schema, SchemaRef::Id(id));
            assert_eq!((framed.datum, framed.prefix_bytes), (&b"datum"[..], 5));
        }
    }

    #[test]
    fn guid_prefix_keeps_byte_order() {
        let mut payload = vec![1];
        payload.extend(1..=16);
        let framed = split(&payload).unwrap();
        let guid = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
        assert_eq!(framed.schema, SchemaRef::Guid(guid));
        assert_eq!((framed.datum, framed.prefix_bytes), (&[][..], 17));
    }

    #[test]
    fn incomplete_prefixes_have_a_reason_code() {
        let table: [(&[u8], FramingFault, &str); 6] = [
            (&[], FramingFault::Short { have: 0, need: 5 }, "short"),
            (&[0], FramingFault::Short { have: 1, need: 5 }, "short"),
            (
                &[0, 0, 0, 1],
                FramingFault::Short { have: 4, need: 5 },
                "short",
            ),
            (
                &[1; 16],
                FramingFault::Short { have: 16, need: 17 },
                "short",
            ),
            (
                b"Obj\x01rest",
                FramingFault::NoMagic { found: b'O' },
                "no-magic",
            ),
            (
                &[2, 0, 0, 0, 1],
                FramingFault::NoMagic { found: 2 },
                "no-magic",
            ),
        ];
        for (payload, fault, code) in table {
            assert_eq!(split(payload), Err(fault), "{payload:02x?}");
            assert_eq!(fault.code(), code);
        }
    }
}
