//! Zigzag variable-length integers of record batches: 7 bits in each byte, low bits first, the sign
//! in the lowest bit.

/// An invalid integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VarintFault {
    /// The bytes end inside the integer.
    Truncated,
    /// The integer has more bits than its type.
    TooLong,
}

/// Returns the 32-bit integer at the start of `bytes` and its length of 1 to 5 bytes.
pub(crate) fn read_i32(bytes: &[u8]) -> Result<(i32, usize), VarintFault> {
    let (value, length) = read_unsigned(bytes, 32)?;
    let value = u32::try_from(value).map_err(|_| VarintFault::TooLong)?;
    Ok((
        (value >> 1).cast_signed() ^ -(value & 1).cast_signed(),
        length,
    ))
}

/// Returns the 64-bit integer at the start of `bytes` and its length of 1 to 10 bytes.
pub(crate) fn read_i64(bytes: &[u8]) -> Result<(i64, usize), VarintFault> {
    let (value, length) = read_unsigned(bytes, 64)?;
    Ok((
        (value >> 1).cast_signed() ^ -(value & 1).cast_signed(),
        length,
    ))
}

/// Appends an integer in its shortest encoding.
pub fn write(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    loop {
        let [.., seven_bits] = (rest & 0x7f).to_be_bytes();
        rest >>= 7;
        if rest == 0 {
            return out.push(seven_bits);
        }
        out.push(seven_bits | 0x80);
    }
}

fn read_unsigned(bytes: &[u8], bits: u32) -> Result<(u64, usize), VarintFault> {
    let mut value = 0_u64;
    let mut shift = 0;
    for (index, byte) in bytes.iter().enumerate() {
        let seven_bits = u64::from(byte & 0x7f);
        let room = bits - shift;
        // The last byte has room for 4 of 32 bits or 1 of 64; other bits must be 0.
        if room < 7 && seven_bits >> room != 0 {
            return Err(VarintFault::TooLong);
        }
        value |= seven_bits << shift;
        if byte & 0x80 == 0 {
            return Ok((value, index + 1));
        }
        shift += 7;
        // The continuation bit is set, but all bits of the type were read.
        if shift >= bits {
            return Err(VarintFault::TooLong);
        }
    }
    Err(VarintFault::Truncated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_round_trips() {
        for shift in 0..63 {
            for value in [1_i64 << shift, (1_i64 << shift) - 1, -(1_i64 << shift)] {
                let mut bytes = Vec::new();
                write(&mut bytes, value);
                assert_eq!(read_i64(&bytes), Ok((value, bytes.len())));
                let as_i32 = i32::try_from(value).map(|value| (value, bytes.len()));
                assert_eq!(read_i32(&bytes).ok(), as_i32.ok(), "{value}");
            }
        }
        for value in [i64::MIN, i64::MAX] {
            let mut bytes = Vec::new();
            write(&mut bytes, value);
            assert_eq!(read_i64(&bytes), Ok((value, 10)));
        }
    }

    #[test]
    fn excess_bits_and_missing_bytes_are_errors() {
        let cases: [(&[u8], VarintFault); 5] = [
            (&[], VarintFault::Truncated),
            (&[0x80], VarintFault::Truncated),
            (&[0xff, 0xff, 0xff, 0xff], VarintFault::Truncated),
            (&[0xff, 0xff, 0xff, 0xff, 0x10], VarintFault::TooLong),
            (&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00], VarintFault::TooLong),
        ];
        for (bytes, fault) in cases {
            assert_eq!(read_i32(bytes), Err(fault), "{bytes:x?}");
        }
        let mut eleven = [0x80; 11];
        eleven[10] = 0;
        assert_eq!(read_i64(&eleven), Err(VarintFault::TooLong));
        let mut two_bits_in_the_tenth = [0xff; 10];
        two_bits_in_the_tenth[9] = 2;
        assert_eq!(read_i64(&two_bits_in_the_tenth), Err(VarintFault::TooLong));
        assert_eq!(
            read_i32(&[0x80, 0x00]),
            Ok((0, 2)),
            "longer than needed, but within the maximum length"
        );
    }
}
