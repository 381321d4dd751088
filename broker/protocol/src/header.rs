//! The headers before requests and responses.

use super::WireError;
use super::api::ApiKey;
use super::message::{Shape, Wire};
use super::reader::Reader;
use super::writer::Writer;

/// What stands before every request's body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestHeader {
    /// Which API, also when it is none of ours.
    pub api_key: i16,
    /// The version of header and body.
    pub api_version: i16,
    /// What the response must repeat.
    pub correlation_id: i32,
    /// The client's name for itself.
    pub client_id: Option<String>,
}

/// The client id keeps its 2-byte length in flexible versions too.
const CLIENT_ID: Shape = Shape {
    version: 1,
    flexible: false,
};

impl RequestHeader {
    /// Reads a header of version 1 or 2, as key and version ask for. A key that is none of ours is
    /// read as version 1, which lets the caller name it in its refusal.
    ///
    /// # Errors
    /// When the bytes are no header.
    pub fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        let header = Self {
            api_key: reader.i16()?,
            api_version: reader.i16()?,
            correlation_id: reader.i32()?,
            client_id: Wire::read(reader, CLIENT_ID)?,
        };
        if header.version() == 2 {
            reader.tagged_fields(|_, _| Ok(false))?;
        }
        Ok(header)
    }

    /// Writes the header.
    ///
    /// # Errors
    /// When the client id is longer than 32767 bytes.
    pub fn encode(&self, writer: &mut Writer) -> Result<(), WireError> {
        writer.i16(self.api_key);
        writer.i16(self.api_version);
        writer.i32(self.correlation_id);
        self.client_id.write(writer, CLIENT_ID)?;
        if self.version() == 2 {
            writer.tagged_fields(Vec::new())?;
        }
        Ok(())
    }

    fn version(&self) -> i16 {
        let api = ApiKey::try_from(self.api_key);
        api.map_or(1, |api| api.request_header_version(self.api_version))
    }
}

/// What stands before every response's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHeader {
    /// The request's.
    pub correlation_id: i32,
}

impl ResponseHeader {
    /// Reads the header of a response to `api` in `version`.
    ///
    /// # Errors
    /// When the bytes are no header.
    pub fn decode(reader: &mut Reader, api: ApiKey, version: i16) -> Result<Self, WireError> {
        let header = Self {
            correlation_id: reader.i32()?,
        };
        if api.response_header_version(version) == 1 {
            reader.tagged_fields(|_, _| Ok(false))?;
        }
        Ok(header)
    }

    /// Writes the header of a response to `api` in `version`.
    pub fn encode(self, writer: &mut Writer, api: ApiKey, version: i16) {
        writer.i32(self.correlation_id);
        if api.response_header_version(version) == 1 {
            writer.unsigned_varint(0);
        }
    }
}
