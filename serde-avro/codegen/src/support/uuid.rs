//! Template: UUIDs of the crate `uuid`.

pub(super) fn encode_uuid_string(
    value: &::uuid::Uuid,
    out: &mut Encoder,
) -> Result<(), EncodeError> {
    let mut buffer = ::uuid::Uuid::encode_buffer();
    out.string(value.hyphenated().encode_lower(&mut buffer));
    Ok(())
}

pub(super) fn decode_uuid_string(input: &mut Decoder<'_>) -> Result<::uuid::Uuid, DecodeError> {
    let text = input.string()?;
    ::uuid::Uuid::try_parse(text).map_err(|_| input.value_error("the string is not a UUID"))
}

pub(super) fn encode_uuid_fixed(
    value: &::uuid::Uuid,
    out: &mut Encoder,
) -> Result<(), EncodeError> {
    out.fixed(value.as_bytes());
    Ok(())
}

pub(super) fn decode_uuid_fixed(input: &mut Decoder<'_>) -> Result<::uuid::Uuid, DecodeError> {
    input.fixed().map(|bytes| ::uuid::Uuid::from_bytes(*bytes))
}
