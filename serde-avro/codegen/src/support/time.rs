//! Template: dates and times of the crate `time`.

fn out_of_range<T>(value: Option<T>, of: &'static str) -> Result<T, EncodeError> {
    value.ok_or_else(|| EncodeError::new(::avouch_avro::codec::EncodeErrorKind::OutOfRange(of)))
}

fn or_error<T>(value: Option<T>, input: &Decoder<'_>) -> Result<T, DecodeError> {
    value.ok_or_else(|| input.value_error("the number is outside the range of the Rust type"))
}

/// The Julian day of 1970-01-01.
const EPOCH_DAY: i64 = 2_440_588;

pub(super) fn date_of(number: i64) -> Option<::time::Date> {
    let day = i32::try_from(number.checked_add(EPOCH_DAY)?).ok()?;
    ::time::Date::from_julian_day(day).ok()
}

pub(super) fn encode_date(value: &::time::Date, out: &mut Encoder) -> Result<(), EncodeError> {
    let number = i32::try_from(i64::from(value.to_julian_day()) - EPOCH_DAY).ok();
    out.int(out_of_range(number, "date")?);
    Ok(())
}

pub(super) fn decode_date(input: &mut Decoder<'_>) -> Result<::time::Date, DecodeError> {
    let number = i64::from(input.int()?);
    or_error(date_of(number), input)
}

pub(super) fn time_millis_of(number: i64) -> Option<::time::Time> {
    let seconds = number.div_euclid(1_000);
    let nanos = u32::try_from(number.rem_euclid(1_000) * 1_000_000).ok()?;
    let part = |number: i64| u8::try_from(number).ok();
    ::time::Time::from_hms_nano(
        part(seconds.div_euclid(3_600))?,
        part(seconds.rem_euclid(3_600) / 60)?,
        part(seconds.rem_euclid(60))?,
        nanos,
    )
    .ok()
}

pub(super) fn encode_time_millis(
    value: &::time::Time,
    out: &mut Encoder,
) -> Result<(), EncodeError> {
    let (hour, minute, second, nanos) = value.as_hms_nano();
    let seconds = i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second);
    let number = seconds * 1_000 + i64::from(nanos / 1_000_000);
    let number = i32::try_from(number).ok();
    out.int(out_of_range(number, "time-millis")?);
    Ok(())
}

pub(super) fn decode_time_millis(input: &mut Decoder<'_>) -> Result<::time::Time, DecodeError> {
    let number = i64::from(input.int()?);
    or_error(time_millis_of(number), input)
}

pub(super) fn time_micros_of(number: i64) -> Option<::time::Time> {
    let seconds = number.div_euclid(1_000_000);
    let nanos = u32::try_from(number.rem_euclid(1_000_000) * 1_000).ok()?;
    let part = |number: i64| u8::try_from(number).ok();
    ::time::Time::from_hms_nano(
        part(seconds.div_euclid(3_600))?,
        part(seconds.rem_euclid(3_600) / 60)?,
        part(seconds.rem_euclid(60))?,
        nanos,
    )
    .ok()
}

pub(super) fn encode_time_micros(
    value: &::time::Time,
    out: &mut Encoder,
) -> Result<(), EncodeError> {
    let (hour, minute, second, nanos) = value.as_hms_nano();
    let seconds = i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second);
    let number = Some(seconds * 1_000_000 + i64::from(nanos / 1_000));
    out.long(out_of_range(number, "time-micros")?);
    Ok(())
}

pub(super) fn decode_time_micros(input: &mut Decoder<'_>) -> Result<::time::Time, DecodeError> {
    let number = input.long()?;
    or_error(time_micros_of(number), input)
}

pub(super) fn timestamp_millis_of(number: i64) -> Option<::time::UtcDateTime> {
    ::time::UtcDateTime::from_unix_timestamp_nanos(i128::from(number) * 1_000_000).ok()
}

pub(super) fn encode_timestamp_millis(
    value: &::time::UtcDateTime,
    out: &mut Encoder,
) -> Result<(), EncodeError> {
    // Digits below the unit are dropped, towards the past.
    let number = i64::try_from(value.unix_timestamp_nanos().div_euclid(1_000_000)).ok();
    out.long(out_of_range(number, "timestamp-millis")?);
    Ok(())
}

pub(super) fn decode_timestamp_millis(
    input: &mut Decoder<'_>,
) -> Result<::time::UtcDateTime, DecodeError> {
    let number = input.long()?;
    or_error(timestamp_millis_of(number), input)
}

pub(super) fn local_timestamp_millis_of(number: i64) -> Option<::time::PrimitiveDateTime> {
    let instant = timestamp_millis_of(number)?;
    Some(::time::PrimitiveDateTime::new(
        instant.date(),
        instant.time(),
    ))
}

pub(super) fn encode_local_timestamp_millis(
    value: &::time::PrimitiveDateTime,
    out: &mut Encoder,
) -> Result<(), EncodeError> {
    // Digits below the unit are dropped, towards the past.
    let number = i64::try_from(value.as_utc().unix_timestamp_nanos().div_euclid(1_000_000)).ok();
    out.long(out_of_range(number, "local-timestamp-millis")?);
    Ok(())
}

pub(super) fn decode_local_timestamp_millis(
    input: &mut Decoder<'_>,
) -> Result<::time::PrimitiveDateTime, DecodeError> {
    let number = input.long()?;
    or_error(local_timestamp_millis_of(number), input)
}

pub(super) fn timestamp_micros_of(number: i64) -> Option<::time::UtcDateTime> {
    ::time::UtcDateTime::from_unix_timestamp_nanos(i128::from(number) * 1_000).ok()
}

pub(super) fn encode_timestamp_micros(
    value: &::time::UtcDateTime,
    out: &mut Encoder,
) -> Result<(), EncodeError> {
    // Digits below the unit are dropped, towards the past.
    let number = i64::try_from(value.unix_timestamp_nanos().div_euclid(1_000)).ok();
    out.long(out_of_range(number, "timestamp-micros")?);
    Ok(())
}

pub(super) fn decode_timestamp_micros(
    input: &mut Decoder<'_>,
) -> Result<::time::UtcDateTime, DecodeError> {
    let number = input.long()?;
    or_error(timestamp_micros_of(number), input)
}

pub(super) fn local_timestamp_micros_of(number: i64) -> Option<::time::PrimitiveDateTime> {
    let instant = timestamp_micros_of(number)?;
    Some(::time::PrimitiveDateTime::new(
        instant.date(),
        instant.time(),
    ))
}

pub(super) fn encode_local_timestamp_micros(
    value: &::time::PrimitiveDateTime,
    out: &mut Encoder,
) -> Result<(), EncodeError> {
    // Digits below the unit are dropped, towards the past.
    let number = i64::try_from(value.as_utc().unix_timestamp_nanos().div_euclid(1_000)).ok();
    out.long(out_of_range(number, "local-timestamp-micros")?);
    Ok(())
}

pub(super) fn decode_local_timestamp_micros(
    input: &mut Decoder<'_>,
) -> Result<::time::PrimitiveDateTime, DecodeError> {
    let number = input.long()?;
    or_error(local_timestamp_micros_of(number), input)
}

pub(super) fn timestamp_nanos_of(number: i64) -> Option<::time::UtcDateTime> {
    ::time::UtcDateTime::from_unix_timestamp_nanos(i128::from(number)).ok()
}

pub(super) fn encode_timestamp_nanos(
    value: &::time::UtcDateTime,
    out: &mut Encoder,
) -> Result<(), EncodeError> {
    let number = i64::try_from(value.unix_timestamp_nanos()).ok();
    out.long(out_of_range(number, "timestamp-nanos")?);
    Ok(())
}

pub(super) fn decode_timestamp_nanos(
    input: &mut Decoder<'_>,
) -> Result<::time::UtcDateTime, DecodeError> {
    let number = input.long()?;
    or_error(timestamp_nanos_of(number), input)
}

pub(super) fn local_timestamp_nanos_of(number: i64) -> Option<::time::PrimitiveDateTime> {
    let instant = timestamp_nanos_of(number)?;
    Some(::time::PrimitiveDateTime::new(
        instant.date(),
        instant.time(),
    ))
}

pub(super) fn encode_local_timestamp_nanos(
    value: &::time::PrimitiveDateTime,
    out: &mut Encoder,
) -> Result<(), EncodeError> {
    let number = i64::try_from(value.as_utc().unix_timestamp_nanos()).ok();
    out.long(out_of_range(number, "local-timestamp-nanos")?);
    Ok(())
}

pub(super) fn decode_local_timestamp_nanos(
    input: &mut Decoder<'_>,
) -> Result<::time::PrimitiveDateTime, DecodeError> {
    let number = input.long()?;
    or_error(local_timestamp_nanos_of(number), input)
}
