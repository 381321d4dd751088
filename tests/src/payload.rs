//! Record values for load tests: half random, so that they compress like real data.

/// A payload whose first half is pseudo-random (xorshift, fixed seed) and whose second half is
/// constant.
#[derive(Debug)]
pub struct Payload {
    bytes: Vec<u8>,
    state: u64,
}

impl Payload {
    /// Creates a generator of values of `size` bytes.
    pub fn new(size: usize) -> Self {
        Self {
            bytes: vec![b'a'; size],
            state: 0x9e37_79b9_7f4a_7c15,
        }
    }

    /// Returns the next value.
    pub fn next_value(&mut self) -> &[u8] {
        let half = self.bytes.len() / 2;
        for chunk in self.bytes[..half].chunks_mut(size_of::<u64>()) {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            chunk.copy_from_slice(&self.state.to_be_bytes()[..chunk.len()]);
        }
        &self.bytes
    }
}
