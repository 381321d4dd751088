//! The prefix that names a datum's writer schema.
//!
//! Owns the two framings of Confluent's serializers: `0x00` and a big-endian id, `0x01` and a
//! 16-byte GUID. It doesn't know whether the schema exists, nor the header framing, which has no
//! prefix at all.

/// How a payload names its writer schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SchemaRef {
    /// A registry's schema id.
    Id(i32),
    /// A registry's schema GUID, its bytes in the order that text shows them.
    Guid([u8; 16]),
}

/// A payload taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framed<'a> {
    /// The writer schema.
    pub schema: SchemaRef,
    /// What follows the prefix, maybe nothing.
    pub datum: &'a [u8],
    /// Bytes of the prefix: 5 or 17.
    pub prefix_bytes: usize,
}

/// Why a payload has no prefix.
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
        /// Bytes of the payload.
        have: usize,
        /// Bytes of the prefix.
        need: usize,
    },
}

impl FramingFault {
    /// The stable reason code: `no-magic` or `short`.
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

/// Splits a payload into the reference to its writer schema and the datum.
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

/// The prefix of a payload whose writer schema has this id.
#[must_use]
pub fn prefix(id: i32) -> [u8; ID_PREFIX_BYTES] {
    let [a, b, c, d] = id.to_be_bytes();
    [ID_MAGIC, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_prefix_splits_into_what_was_put_in() {
        for id in [0, 1, 41, i32::MAX, -1] {
            let mut payload = prefix(id).to_vec();
            payload.extend(b"datum");
            let framed = split(&payload).unwrap();
            assert_eq!(framed.schema, SchemaRef::Id(id));
            assert_eq!((framed.datum, framed.prefix_bytes), (&b"datum"[..], 5));
        }
    }

    #[test]
    fn a_guid_prefix_keeps_its_byte_order() {
        let mut payload = vec![1];
        payload.extend(1..=16);
        let framed = split(&payload).unwrap();
        let guid = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
        assert_eq!(framed.schema, SchemaRef::Guid(guid));
        assert_eq!((framed.datum, framed.prefix_bytes), (&[][..], 17));
    }

    #[test]
    fn what_has_no_whole_prefix_is_refused_with_its_code() {
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
