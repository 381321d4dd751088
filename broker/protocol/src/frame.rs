//! Complete frames: a length of four bytes, header and body.

use super::WireError;
use super::chunk::Chunk;
use super::header::{RequestHeader, ResponseHeader};
use super::message::Message;
use super::writer::{ErrorCounts, Writer};

/// Returns the frame of a request as chunks to write in order. The API key and version in `header`
/// must be those of `body`.
///
/// # Errors
/// If the version cannot represent the body.
pub fn request<M: Message>(header: &RequestHeader, body: &M) -> Result<Vec<Chunk>, WireError> {
    let mut writer = Writer::new();
    header.encode(&mut writer)?;
    body.encode(&mut writer, header.api_version)?;
    with_length(writer)
}

/// Returns the frame of a response to the request with this correlation id, as chunks to write in
/// order.
///
/// # Errors
/// If the version cannot represent the body.
pub fn response<M: Message>(
    correlation_id: i32,
    version: i16,
    body: &M,
) -> Result<Vec<Chunk>, WireError> {
    encode_response(Writer::new(), correlation_id, version, body).map(|(frame, _)| frame)
}

/// Returns the same frame with this throttle time in ms instead of the one in `body`, and the error
/// codes in the frame. Versions without a throttle time omit it.
///
/// # Errors
/// If the version cannot represent the body.
pub fn throttled_response<M: Message>(
    correlation_id: i32,
    version: i16,
    body: &M,
    throttle_time_ms: i32,
) -> Result<(Vec<Chunk>, ErrorCounts), WireError> {
    let mut writer = Writer::new();
    writer.set_throttle_time_ms(throttle_time_ms);
    encode_response(writer, correlation_id, version, body)
}

fn encode_response<M: Message>(
    mut writer: Writer,
    correlation_id: i32,
    version: i16,
    body: &M,
) -> Result<(Vec<Chunk>, ErrorCounts), WireError> {
    ResponseHeader { correlation_id }.encode(&mut writer, M::API, version);
    body.encode(&mut writer, version)?;
    let errors = writer.errors().to_vec();
    Ok((with_length(writer)?, errors))
}

fn with_length(content: Writer) -> Result<Vec<Chunk>, WireError> {
    // The length is known only now; a rope prepends it without moving the content.
    let mut frame = Writer::new();
    frame.length(false, Some(content.len()))?;
    frame.append(content);
    Ok(frame.finish())
}
