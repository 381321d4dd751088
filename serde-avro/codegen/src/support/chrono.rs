//! Template: dates and times of the crate `chrono`.

fn out_of_range<T>(value: Option<T>, of: &'static str) -> Result<T, EncodeError> {
    value.ok_or_else(|| EncodeError::new(::avouch_avro::codec::EncodeErrorKind::OutOfRange(of)))
}

fn or_error<T>(value: Option<T>, input: &Decoder<'_>) -> Result<T, DecodeError> {
    value.ok_or_else(|| input.value_error("the number is outside the range of the Rust type"))
}

/// The day 1970-01-01, counted from 0001-01-01 as day 1.
const EPOCH_DAY: i64 = 719_163;

pub(super) fn date_of(number: i64) -> Option<::chrono::NaiveDate> {
    let day = i32::try_from(number.checked_add(EPOCH_DAY)?).ok()?;
    ::chrono::NaiveDate::from_num_days_from_ce_opt(day)
}

pub(super) fn encode_date(
    value: &::chrono::NaiveDate,
    out: &mut Encoder,
) -> Result<(), EncodeError> {
    let day = i64::from(::chrono::Datelike::num_days_from_ce(value));
    let number = i32::try_from(day - EPOCH_DAY).ok();
    out.int(out_of_range(number, "date")?);
    Ok(())
}

pub(super) fn decode_date(input: &mut Decoder<'_>) -> Result<::chrono::NaiveDate, DecodeError> {
    let number = i64::from(input.int()?);
    or_error(date_of(number), input)
}

pub(super) fn time_millis_of(number: i64) -> Option<::chrono::NaiveTime> {
    let seconds = u32::try_from(number.div_euclid(1_000)).ok()?;
    let rest = u32::try_from(number.rem_euclid(1_000)).ok()?;
    ::chrono::NaiveTime::from_num_seconds_from_midnight_opt(seconds, rest * 1_000_000)
}

pub(super) fn encode_time_millis(
    value: &::chrono::NaiveTime,
    out: &mut Encoder,
) -> Result<(), EncodeError> {
    let seconds = i64::from(::chrono::Timelike::num_seconds_from_midnight(value));
    // A leap second has more than a second of nanoseconds.
    let rest = i64::from(::chrono::Timelike::nanosecond(value) / 1_000_000);
    let number = seconds * 1_000 + rest;
    let number = (number < 86_400 * 1_000).then_some(number);
    let number = number.and_then(|number| i32::try_from(number).ok());
    out.int(out_of_range(number, "time-millis")?);
    Ok(())
}

pub(super) fn decode_time_millis(
    input: &mut Decoder<'_>,
) -> Result<::chrono::NaiveTime, DecodeError> {
    let number = i64::from(input.int()?);
    or_error(time_millis_of(number), input)
}

pub(super) fn time_micros_of(number: i64) -> Option<::chrono::NaiveTime> {
    let seconds = u32::try_from(number.div_euclid(1_000_000)).ok()?;
    let rest = u32::try_from(number.rem_euclid(1_000_000)).ok()?;
    ::chrono::NaiveTime::from_num_seconds_from_midnight_opt(seconds, rest * 1_000)
}

pub(super) fn encode_time_micros(
    value: &::chrono::NaiveTime,
    out: &mut Encoder,
) -> Result<(), EncodeError> {
    let seconds = i64::from(::chrono::Timelike::num_seconds_from_midnight(value));
    // A leap second has more than a second of nanoseconds.
    let rest = i64::from(::chrono::Timelike::nanosecond(value) / 1_000);
    let number = seconds * 1_000_000 + rest;
    let number = (number < 86_400 * 1_000_000).then_some(number);
    out.long(out_of_range(number, "time-micros")?);
    Ok(())
}

pub(super) fn decode_time_micros(
    input: &mut Decoder<'_>,
) -> Result<::chrono::NaiveTime, DecodeError> {
    let number = input.long()?;
    or_error(time_micros_of(number), input)
}

pub(super) fn timestamp_millis_of(number: i64) -> Option<::chrono::DateTime<::chrono::Utc>> {
    ::chrono::DateTime::from_timestamp_millis(number)
}

pub(super) fn encode_timestamp_millis(
    value: &::chrono::DateTime<::chrono::Utc>,
    out: &mut Encoder,
) -> Result<(), EncodeError> {
    let number = Some(value.timestamp_millis());
    out.long(out_of_range(number, "timestamp-millis")?);
    Ok(())
}

pub(super) fn decode_timestamp_millis(
    input: &mut Decoder<'_>,
) -> Result<::chrono::DateTime<::chrono::Utc>, DecodeError> {
    let number = input.long()?;
    or_error(timestamp_millis_of(number), input)
}

pub(super) fn local_timestamp_millis_of(number: i64) -> Option<::chrono::NaiveDateTime> {
    timestamp_millis_of(number).map(|instant| instant.naive_utc())
}

pub(super) fn encode_local_timestamp_millis(
    value: &::chrono::NaiveDateTime,
    out: &mut Encoder,
) -> Result<(), EncodeError> {
    let number = Some(value.and_utc().timestamp_millis());
    out.long(out_of_range(number, "local-timestamp-millis")?);
    Ok(())
}

pub(super) fn decode_local_timestamp_millis(
    input: &mut Decoder<'_>,
) -> Result<::chrono::NaiveDateTime, DecodeError> {
    let number = input.long()?;
    or_error(local_timestamp_millis_of(number), input)
}

pub(super) fn timestamp_micros_of(number: i64) -> Option<::chrono::DateTime<::chrono::Utc>> {
    ::chrono::DateTime::from_timestamp_micros(number)
}

pub(super) fn encode_timestamp_micros(
    value: &::chrono::DateTime<::chrono::Utc>,
    out: &mut Encoder,
) -> Result<(), EncodeError> {
    let number = Some(value.timestamp_micros());
    out.long(out_of_range(number, "timestamp-micros")?);
    Ok(())
}

pub(super) fn decode_timestamp_micros(
    input: &mut Decoder<'_>,
) -> Result<::chrono::DateTime<::chrono::Utc>, DecodeError> {
    let number = input.long()?;
    or_error(timestamp_micros_of(number), input)
}

pub(super) fn local_timestamp_micros_of(number: i64) -> Option<::chrono::NaiveDateTime> {
    timestamp_micros_of(number).map(|instant| instant.naive_utc())
}

pub(super) fn encode_local_timestamp_micros(
    value: &::chrono::NaiveDateTime,
    out: &mut Encoder,
) -> Result<(), EncodeError> {
    let number = Some(value.and_utc().timestamp_micros());
    out.long(out_of_range(number, "local-timestamp-micros")?);
    Ok(())
}

pub(super) fn decode_local_timestamp_micros(
    input: &mut Decoder<'_>,
) -> Result<::chrono::NaiveDateTime, DecodeError> {
    let number = input.long()?;
    or_error(local_timestamp_micros_of(number), input)
}

pub(super) fn timestamp_nanos_of(number: i64) -> Option<::chrono::DateTime<::chrono::Utc>> {
    Some(::chrono::DateTime::from_timestamp_nanos(number))
}

pub(super) fn encode_timestamp_nanos(
    value: &::chrono::DateTime<::chrono::Utc>,
    out: &mut Encoder,
) -> Result<(), EncodeError> {
    let number = value.timestamp_nanos_opt();
    out.long(out_of_range(number, "timestamp-nanos")?);
    Ok(())
}

pub(super) fn decode_timestamp_nanos(
    input: &mut Decoder<'_>,
) -> Result<::chrono::DateTime<::chrono::Utc>, DecodeError> {
    let number = input.long()?;
    or_error(timestamp_nanos_of(number), input)
}

pub(super) fn local_timestamp_nanos_of(number: i64) -> Option<::chrono::NaiveDateTime> {
    timestamp_nanos_of(number).map(|instant| instant.naive_utc())
}

pub(super) fn encode_local_timestamp_nanos(
    value: &::chrono::NaiveDateTime,
    out: &mut Encoder,
) -> Result<(), EncodeError> {
    let number = value.and_utc().timestamp_nanos_opt();
    out.long(out_of_range(number, "local-timestamp-nanos")?);
    Ok(())
}

pub(super) fn decode_local_timestamp_nanos(
    input: &mut Decoder<'_>,
) -> Result<::chrono::NaiveDateTime, DecodeError> {
    let number = input.long()?;
    or_error(local_timestamp_nanos_of(number), input)
}
