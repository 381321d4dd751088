//! Template: arrays and maps whose items need a function of their own.

pub(super) fn encode_array<T>(
    items: &[T],
    out: &mut Encoder,
    encode: impl Fn(&T, &mut Encoder) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    out.block(items.len());
    for (position, item) in items.iter().enumerate() {
        encode(item, out).map_err(|error| error.in_item(position))?;
    }
    out.end_blocks();
    Ok(())
}

pub(super) fn decode_array<'de, T>(
    input: &mut Decoder<'de>,
    decode: impl Fn(&mut Decoder<'de>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let mut items = Vec::new();
    let mut blocks = input.blocks()?;
    while let Some(count) = blocks.next(input)? {
        items.reserve(input.allocate::<T>(count)?);
        for _ in 0..count {
            let item = decode(input).map_err(|error| error.in_item(items.len()))?;
            items.push(item);
        }
    }
    Ok(items)
}

pub(super) fn encode_map<K: ::avouch_avro::codec::Encode, T>(
    entries: &::std::collections::BTreeMap<K, T>,
    out: &mut Encoder,
    encode: impl Fn(&T, &mut Encoder) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    out.block(entries.len());
    for (position, (key, value)) in entries.iter().enumerate() {
        key.encode(out).map_err(|error| error.in_key(position))?;
        encode(value, out).map_err(|error| error.in_entry(position))?;
    }
    out.end_blocks();
    Ok(())
}

pub(super) fn decode_map<'de, K: ::avouch_avro::codec::Decode<'de> + Ord, T>(
    input: &mut Decoder<'de>,
    decode: impl Fn(&mut Decoder<'de>) -> Result<T, DecodeError>,
) -> Result<::std::collections::BTreeMap<K, T>, DecodeError> {
    let mut entries = ::std::collections::BTreeMap::new();
    let mut position = 0;
    let mut blocks = input.blocks()?;
    while let Some(count) = blocks.next(input)? {
        input.allocate::<(K, T)>(count)?;
        for _ in 0..count {
            let key = K::decode(input).map_err(|error| error.in_key(position))?;
            let value = decode(input).map_err(|error| error.in_entry(position))?;
            entries.insert(key, value);
            position += 1;
        }
    }
    Ok(entries)
}
