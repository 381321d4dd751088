//! Template: dates and times of the crate `jiff`.

fn out_of_range<T>(value: Option<T>, of: &'static str) -> Result<T, EncodeError> {
    value.ok_or_else(|| EncodeError::new(::avouch_avro::codec::EncodeErrorKind::OutOfRange(of)))
}

fn or_error<T>(value: Option<T>, input: &Decoder<'_>) -> Result<T, DecodeError> {
    value.ok_or_else(|| input.value_error("the number is outside the range of the Rust type"))
}

const EPOCH: ::jiff::civil::Date = ::jiff::civil::Date::constant(1970, 1, 1);

pub(super) fn date_of(number: i64) -> Option<::jiff::civil::Date> {
    let hours = number.checked_mul(24)?;
    EPOCH
        .checked_add(::jiff::SignedDuration::try_from_hours(hours)?)
        .ok()
}

pub(super) fn encode_date(
    value: &::jiff::civil::Date,
    out: &mut Encoder,
) -> Result<(), EncodeError> {
    let number = i32::try_from(value.duration_since(EPOCH).as_hours() / 24).ok();
    out.int(out_of_range(number, "date")?);
    Ok(())
}

pub(super) fn decode_date(input: &mut Decoder<'_>) -> Result<::jiff::civil::Date, DecodeError> {
    let number = i64::from(input.int()?);
    or_error(date_of(number), input)
}

pub(super) fn time_millis_of(number: i64) -> Option<::jiff::civil::Time> {
    let start = ::jiff::civil::Time::MIN;
    start
        .checked_add(::jiff::SignedDuration::from_millis(number))
        .ok()
}

pub(super) fn encode_time_millis(
    value: &::jiff::civil::Time,
    out: &mut Encoder,
) -> Result<(), EncodeError> {
    let duration = value.duration_since(::jiff::civil::Time::MIN);
    let number = i32::try_from(duration.as_millis()).ok();
    out.int(out_of_range(number, "time-millis")?);
    Ok(())
}

pub(super) fn decode_time_millis(
    input: &mut Decoder<'_>,
) -> Result<::jiff::civil::Time, DecodeError> {
    let number = i64::from(input.int()?);
    or_error(time_millis_of(number), input)
}

pub(super) fn time_micros_of(number: i64) -> Option<::jiff::civil::Time> {
    let start = ::jiff::civil::Time::MIN;
    start
        .checked_add(::jiff::SignedDuration::from_micros(number))
        .ok()
}

pub(super) fn encode_time_micros(
    value: &::jiff::civil::Time,
    out: &mut Encoder,
) -> Result<(), EncodeError> {
    let duration = value.duration_since(::jiff::civil::Time::MIN);
    let number = i64::try_from(duration.as_micros()).ok();
    out.long(out_of_range(number, "time-micros")?);
    Ok(())
}

pub(super) fn decode_time_micros(
    input: &mut Decoder<'_>,
) -> Result<::jiff::civil::Time, DecodeError> {
    let number = input.long()?;
    or_error(time_micros_of(number), input)
}

pub(super) fn timestamp_millis_of(number: i64) -> Option<::jiff::Timestamp> {
    ::jiff::Timestamp::from_millisecond(number).ok()
}

pub(super) fn encode_timestamp_millis(
    value: &::jiff::Timestamp,
    out: &mut Encoder,
) -> Result<(), EncodeError> {
    // Digits below the unit are dropped, towards the past.
    let number = i64::try_from(value.as_nanosecond().div_euclid(1_000_000)).ok();
    out.long(out_of_range(number, "timestamp-millis")?);
    Ok(())
}

pub(super) fn decode_timestamp_millis(
    input: &mut Decoder<'_>,
) -> Result<::jiff::Timestamp, DecodeError> {
    let number = input.long()?;
    or_error(timestamp_millis_of(number), input)
}

pub(super) fn local_timestamp_millis_of(number: i64) -> Option<::jiff::civil::DateTime> {
    timestamp_millis_of(number).map(|instant| ::jiff::tz::Offset::UTC.to_datetime(instant))
}

pub(super) fn encode_local_timestamp_millis(
    value: &::jiff::civil::DateTime,
    out: &mut Encoder,
) -> Result<(), EncodeError> {
    let instant = ::jiff::tz::Offset::UTC.to_timestamp(*value).ok();
    // Digits below the unit are dropped, towards the past.
    let number = instant
        .and_then(|instant| i64::try_from(instant.as_nanosecond().div_euclid(1_000_000)).ok());
    out.long(out_of_range(number, "local-timestamp-millis")?);
    Ok(())
}

pub(super) fn decode_local_timestamp_millis(
    input: &mut Decoder<'_>,
) -> Result<::jiff::civil::DateTime, DecodeError> {
    let number = input.long()?;
    or_error(local_timestamp_millis_of(number), input)
}

pub(super) fn timestamp_micros_of(number: i64) -> Option<::jiff::Timestamp> {
    ::jiff::Timestamp::from_microsecond(number).ok()
}

pub(super) fn encode_timestamp_micros(
    value: &::jiff::Timestamp,
    out: &mut Encoder,
) -> Result<(), EncodeError> {
    // Digits below the unit are dropped, towards the past.
    let number = i64::try_from(value.as_nanosecond().div_euclid(1_000)).ok();
    out.long(out_of_range(number, "timestamp-micros")?);
    Ok(())
}

pub(super) fn decode_timestamp_micros(
    input: &mut Decoder<'_>,
) -> Result<::jiff::Timestamp, DecodeError> {
    let number = input.long()?;
    or_error(timestamp_micros_of(number), input)
}

pub(super) fn local_timestamp_micros_of(number: i64) -> Option<::jiff::civil::DateTime> {
    timestamp_micros_of(number).map(|instant| ::jiff::tz::Offset::UTC.to_datetime(instant))
}

pub(super) fn encode_local_timestamp_micros(
    value: &::jiff::civil::DateTime,
    out: &mut Encoder,
) -> Result<(), EncodeError> {
    let instant = ::jiff::tz::Offset::UTC.to_timestamp(*value).ok();
    // Digits below the unit are dropped, towards the past.
    let number =
        instant.and_then(|instant| i64::try_from(instant.as_nanosecond().div_euclid(1_000)).ok());
    out.long(out_of_range(number, "local-timestamp-micros")?);
    Ok(())
}

pub(super) fn decode_local_timestamp_micros(
    input: &mut Decoder<'_>,
) -> Result<::jiff::civil::DateTime, DecodeError> {
    let number = input.long()?;
    or_error(local_timestamp_micros_of(number), input)
}

pub(super) fn timestamp_nanos_of(number: i64) -> Option<::jiff::Timestamp> {
    ::jiff::Timestamp::from_nanosecond(i128::from(number)).ok()
}

pub(super) fn encode_timestamp_nanos(
    value: &::jiff::Timestamp,
    out: &mut Encoder,
) -> Result<(), EncodeError> {
    let number = i64::try_from(value.as_nanosecond()).ok();
    out.long(out_of_range(number, "timestamp-nanos")?);
    Ok(())
}

pub(super) fn decode_timestamp_nanos(
    input: &mut Decoder<'_>,
) -> Result<::jiff::Timestamp, DecodeError> {
    let number = input.long()?;
    or_error(timestamp_nanos_of(number), input)
}

pub(super) fn local_timestamp_nanos_of(number: i64) -> Option<::jiff::civil::DateTime> {
    timestamp_nanos_of(number).map(|instant| ::jiff::tz::Offset::UTC.to_datetime(instant))
}

pub(super) fn encode_local_timestamp_nanos(
    value: &::jiff::civil::DateTime,
    out: &mut Encoder,
) -> Result<(), EncodeError> {
    let instant = ::jiff::tz::Offset::UTC.to_timestamp(*value).ok();
    let number = instant.and_then(|instant| i64::try_from(instant.as_nanosecond()).ok());
    out.long(out_of_range(number, "local-timestamp-nanos")?);
    Ok(())
}

pub(super) fn decode_local_timestamp_nanos(
    input: &mut Decoder<'_>,
) -> Result<::jiff::civil::DateTime, DecodeError> {
    let number = input.long()?;
    or_error(local_timestamp_nanos_of(number), input)
}
