//! Headers of requests and responses.

use super::WireError;
use super::api::ApiKey;
use super::message::{Shape, Wire};
use super::reader::Reader;
use super::writer::Writer;

/// The header of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestHeader {
    /// The key of the API, which can be unknown.
    pub api_key: i16,
    /// The version of header and body.
    pub api_version: i16,
    /// The number that the response must repeat.
    pub correlation_id: i32,
    /// The name of the client.
    pub client_id: Option<String>,
}

// The client id has a 2-byte length in flexible versions too, so that a broker can decode it before
// it knows the version (KIP-482).
const CLIENT_ID: Shape = Shape {
    version: 1,
    flexible: false,
};

impl RequestHeader {
    /// Decodes a header of version 1 or 2, depending on API key and version.
    ///
    /// # Errors
    /// If the bytes are not a valid header.
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

    /// Encodes the header.
    ///
    /// # Errors
    /// If the client id is longer than 32,767 bytes.
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
        // Version 1 of an unknown API gives the caller the correlation id for its error response.
        let api = ApiKey::try_from(self.api_key);
        api.map_or(1, |api| api.request_header_version(self.api_version))
    }
}

/// The header of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHeader {
    /// The correlation id of the request.
    pub correlation_id: i32,
}

impl ResponseHeader {
    /// Decodes the header of a response to `api` in `version`.
    ///
    /// # Errors
    /// If the bytes are not a valid header.
    pub fn decode(reader: &mut Reader, api: ApiKey, version: i16) -> Result<Self, WireError> {
        let header = Self {
            correlation_id: reader.i32()?,
        };
        if api.response_header_version(version) == 1 {
            reader.tagged_fields(|_, _| Ok(false))?;
        }
        Ok(header)
    }

    /// Encodes the header of a response to `api` in `version`.
    pub fn encode(self, writer: &mut Writer, api: ApiKey, version: i16) {
        writer.i32(self.correlation_id);
        if api.response_header_version(version) == 1 {
            // No tagged fields are defined.
            writer.unsigned_varint(0);
        }
    }
}
