//! Fingerprints of the Parsing Canonical Form (specification, section Schema Fingerprints).

use super::Schema;
use md5::Md5;
use sha2::{Digest, Sha256};

/// The fingerprint of the empty string, which is also the polynomial.
const EMPTY: u64 = 0xc15d_213a_a4d7_a795;

impl Schema {
    /// Returns the CRC-64-AVRO ("Rabin") fingerprint of the Parsing Canonical Form.
    ///
    /// Libraries differ in the order of its bytes: Java, Python and Rust (apache-avro) return the
    /// bytes of [`u64::to_le_bytes`], as single-object encoding has them; goavro returns the
    /// number, and hamba offers both (`CRC64Avro` is the big-endian order).
    #[must_use]
    pub fn rabin_fingerprint(&self) -> u64 {
        rabin(self.parsing_canonical_form().as_bytes())
    }

    /// Returns the MD5 digest of the Parsing Canonical Form.
    #[must_use]
    pub fn md5_fingerprint(&self) -> [u8; 16] {
        Md5::digest(self.parsing_canonical_form()).into()
    }

    /// Returns the SHA-256 digest of the Parsing Canonical Form.
    #[must_use]
    pub fn sha256_fingerprint(&self) -> [u8; 32] {
        Sha256::digest(self.parsing_canonical_form()).into()
    }
}

fn rabin(bytes: &[u8]) -> u64 {
    // The low byte of the state and the next byte of input select the table entry.
    bytes.iter().fold(EMPTY, |fingerprint, byte| {
        let low = (fingerprint ^ u64::from(*byte)) & 0xff;
        (fingerprint >> 8) ^ table_entry(low)
    })
}

/// Computes an entry of the byte-wise table. Not stored: eight steps a byte are fast enough here.
fn table_entry(index: u64) -> u64 {
    (0..8).fold(index, |entry, _| {
        // The negation of the low bit is a mask of all ones or zeros.
        (entry >> 1) ^ (EMPTY & (entry & 1).wrapping_neg())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: avro/2c
    #[test]
    fn fingerprints_of_int_match_the_specification() {
        let schema = Schema::parse(r#"{"type":"int"}"#).unwrap();
        assert_eq!(schema.rabin_fingerprint(), 0x7275_d51a_3f39_5c8f);
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        assert_eq!(
            hex(&schema.md5_fingerprint()),
            "ef524ea1b91e73173d938ade36c1db32"
        );
        assert_eq!(
            hex(&schema.sha256_fingerprint()),
            "3f2b87a9fe7cc9b13835598c3981cd45e3e355309e5090aa0933d7becb6fba45"
        );
    }
}
