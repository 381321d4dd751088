//! Data sets, the same in every run: about 1 MiB each, so that the branch predictor cannot learn
//! them.

use serde_json::json;

/// Records of one schema without gaps, followed by padding.
#[derive(Debug)]
pub struct Set {
    /// Name of the data set.
    pub name: &'static str,
    /// Schema of the records.
    pub schema: String,
    /// All records, then 64 bytes of padding.
    pub buffer: Vec<u8>,
    /// End positions of the records in the buffer.
    pub ends: Vec<usize>,
}

impl Set {
    /// Returns the records.
    #[must_use]
    pub fn records(&self) -> Vec<&[u8]> {
        // Each record starts where the previous one ends.
        // Only the ends are stored.
        let starts = std::iter::once(&0).chain(&self.ends);
        let ranges = starts.zip(&self.ends);
        ranges
            .map(|(start, end)| &self.buffer[*start..*end])
            .collect()
    }

    /// Returns all records without the padding.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[..self.ends.last().copied().unwrap_or_default()]
    }

    fn new(
        name: &'static str,
        schema: String,
        seed: u64,
        count: usize,
        record: impl Fn(&mut Writer),
    ) -> Self {
        let mut writer = Writer {
            state: seed,
            out: Vec::new(),
        };
        let mut ends = Vec::with_capacity(count);
        for _ in 0..count {
            record(&mut writer);
            ends.push(writer.out.len());
        }
        let mut buffer = writer.out;
        // The validator reads up to 64 bytes after a record.
        buffer.extend([0; 64]);
        Self {
            name,
            schema,
            buffer,
            ends,
        }
    }
}

/// Returns the data sets `payment`, `order`, `longs` and `strings`.
#[must_use]
pub fn sets() -> [Set; 4] {
    [
        Set::new("payment", payment_schema(), 1, 8_192, payment),
        Set::new("order", order_schema(), 2, 1_024, order),
        Set::new(
            "longs",
            json!({"type": "array", "items": "long"}).to_string(),
            3,
            64,
            longs,
        ),
        Set::new(
            "strings",
            json!({"type": "array", "items": "string"}).to_string(),
            4,
            256,
            strings,
        ),
    ]
}

/// Returns a record schema with this number of fields.
#[must_use]
pub fn wide_schema(fields: usize) -> String {
    let types = [
        json!("string"),
        // A mix of types, so that no single code path dominates.
        json!(["null", "string"]),
        json!("long"),
        json!("double"),
        json!({"type": "array", "items": "string"}),
    ];
    let field = |at: usize| json!({"name": format!("field{at}"), "type": types[at % types.len()]});
    let fields: Vec<_> = (0..fields).map(field).collect();
    json!({"type": "record", "name": "Wide", "fields": fields}).to_string()
}

fn payment_schema() -> String {
    json!({"type": "record", "name": "Payment", "namespace": "bench", "fields": [
        {"name": "id", "type": "string"},
        {"name": "account", "type": "string"},
        {"name": "merchant", "type": "string"},
        {"name": "sequence", "type": "long"},
        {"name": "score", "type": "double"},
        {"name": "status", "type": {"type": "enum", "name": "Status",
            "symbols": ["NEW", "HELD", "PAID", "FAILED", "BACK"]}},
        {"name": "note", "type": ["null", "string"]},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal",
            "precision": 18, "scale": 2}},
        {"name": "captured", "type": "boolean"},
    ]})
    .to_string()
}

fn payment(writer: &mut Writer) {
    writer.id("pay-", 24);
    writer.id("acc-", 24);
    writer.id("mer-", 20 + writer.peek(12));
    writer.number(30);
    writer.raw(8);
    writer.index(5);
    if writer.below(2) == 1 {
        writer.long(1);
        writer.id("", 8 + writer.peek(24));
    } else {
        writer.long(0);
    }
    writer.long(1_763_000_000_000 + writer.peek_i64(100_000_000));
    let digits = 2 + writer.below(6);
    // A decimal is encoded as bytes with their length.
    writer.long(i64::try_from(digits).expect("small"));
    writer.raw(digits);
    writer.boolean();
}

fn order_schema() -> String {
    let address = json!({"type": "record", "name": "Address", "fields": [
        {"name": "street", "type": "string"},
        {"name": "city", "type": "string"},
        {"name": "zip", "type": "string"},
        {"name": "country", "type": ["null", "string"]}]});
    let line = json!({"type": "record", "name": "Line", "fields": [
        {"name": "sku", "type": "string"},
        {"name": "quantity", "type": "int"},
        {"name": "price", "type": "double"},
        {"name": "tags", "type": {"type": "array", "items": "string"}}]});
    let credit = json!({"type": "record", "name": "Card", "fields": [
        {"name": "last", "type": "int"}, {"name": "network", "type": "string"}]});
    json!({"type": "record", "name": "Order", "namespace": "bench", "fields": [
        {"name": "id", "type": "string"},
        {"name": "customer", "type": {"type": "record", "name": "Customer", "fields": [
            {"name": "name", "type": "string"},
            {"name": "email", "type": ["null", "string"]},
            {"name": "address", "type": address}]}},
        {"name": "lines", "type": {"type": "array", "items": line}},
        {"name": "attributes", "type": {"type": "map", "values": "string"}},
        {"name": "paid", "type": ["null", credit, "string", "long"]},
        {"name": "token", "type": {"type": "fixed", "name": "Token", "size": 16}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    ]})
    .to_string()
}

fn order(writer: &mut Writer) {
    writer.id("order-", 16);
    writer.id("", 8 + writer.peek(16));
    // Two of the fields are unions with null.
    if writer.optional() {
        writer.id("", 12 + writer.peek(20));
    }
    writer.id("", 10 + writer.peek(20));
    writer.id("", 5 + writer.peek(12));
    writer.id("", 5);
    if writer.optional() {
        writer.id("", 2);
    }
    writer.block(8 + writer.peek(11), |writer| {
        writer.id("sku-", 12);
        writer.long(1 + writer.peek_i64(20));
        writer.raw(8);
        let tags = writer.below(5);
        writer.block(tags, |writer| writer.id("", 4 + writer.peek(10)));
    });
    writer.block(3 + writer.peek(4), |writer| {
        writer.id("", 5 + writer.peek(10));
        writer.id("", 6 + writer.peek(24));
    });
    let branch = writer.below(4);
    writer.long(i64::try_from(branch).expect("small"));
    match branch {
        // The branch null has no bytes.
        0 => {}
        1 => {
            writer.long(writer.peek_i64(10_000));
            writer.id("", 4);
        }
        2 => writer.id("", 18),
        _ => writer.number(40),
    }
    writer.raw(16);
    writer.long(1_763_000_000_000_000 + writer.peek_i64(1 << 36));
}

/// Writes 16 KiB of longs of random widths.
fn longs(writer: &mut Writer) {
    let mut items = Writer {
        state: writer.next(),
        out: Vec::new(),
    };
    let mut count = 0;
    while items.out.len() < 16_384 {
        let bits = 1 + items.below(56);
        items.number(bits);
        count += 1;
    }
    // The number of items is known only after they are generated.
    writer.long(count);
    writer.out.extend(items.out);
    writer.long(0);
}

/// Writes 4 KiB of strings, a quarter of which contain non-ASCII characters.
fn strings(writer: &mut Writer) {
    writer.block(30, |writer| {
        let length = 100 + writer.below(80);
        let mut line = String::new();
        let is_ascii = writer.below(4) > 0;
        while line.len() < length {
            let pool = if is_ascii || writer.below(8) > 0 {
                ['a', 'e', 'n', 'r', ' ', '7']
            } else {
                // Characters of two, three and four bytes.
                ['ä', 'é', 'ß', '日', '本', '😀']
            };
            line.push(pool[writer.below(pool.len())]);
        }
        writer.text(&line);
    });
}

struct Writer {
    state: u64,
    out: Vec<u8>,
}

impl Writer {
    /// Returns the next number of SplitMix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.state)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("below a usize")
    }

    /// Returns a number below `bound` that depends on the position in the data; does not advance
    /// the generator.
    fn peek(&self, bound: usize) -> usize {
        usize::try_from(self.peek_u64() % bound as u64).expect("below a usize")
    }

    fn peek_i64(&self, bound: u64) -> i64 {
        i64::try_from(self.peek_u64() % bound).expect("bounds are small")
    }

    fn peek_u64(&self) -> u64 {
        // Without advancing the state, so that it can be an argument of another method.
        mixed(self.state ^ self.out.len() as u64)
    }

    fn long(&mut self, value: i64) {
        // Zigzag: the sign becomes the lowest bit.
        let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
        while rest >= 0x80 {
            self.out.push(rest.to_le_bytes()[0] | 0x80);
            rest >>= 7;
        }
        self.out.push(rest.to_le_bytes()[0]);
    }

    /// Writes a random number of at most `bits` bits.
    fn number(&mut self, bits: usize) {
        let value = self.next() >> (64 - bits);
        // Zigzag makes small positive and negative numbers short; a reinterpreted u64 covers both.
        self.long(value.cast_signed());
    }

    fn index(&mut self, count: usize) {
        let index = self.below(count);
        self.long(i64::try_from(index).expect("small"));
    }

    fn text(&mut self, text: &str) {
        self.long(i64::try_from(text.len()).expect("small"));
        self.out.extend(text.as_bytes());
    }

    /// Writes a random ASCII string of `length` bytes, including the prefix.
    fn id(&mut self, prefix: &str, length: usize) {
        const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        self.long(i64::try_from(length).expect("small"));
        self.out.extend(prefix.as_bytes());
        for _ in prefix.len()..length {
            let digit = self.below(32);
            self.out.push(DIGITS[digit]);
        }
    }

    fn raw(&mut self, bytes: usize) {
        for _ in 0..bytes {
            let byte = self.next().to_le_bytes()[0] & 0x7f;
            self.out.push(byte);
        }
    }

    fn boolean(&mut self) {
        let bit = self.next() & 1;
        self.out.push(bit.to_le_bytes()[0]);
    }

    /// Writes a random branch index of a union with null. Returns true for the second branch.
    fn optional(&mut self) -> bool {
        let some = self.below(2) == 1;
        self.long(some.into());
        some
    }

    /// Writes an array or map of one block.
    fn block(&mut self, items: usize, item: impl Fn(&mut Self)) {
        if items > 0 {
            self.long(i64::try_from(items).expect("small"));
            (0..items).for_each(|_| item(self));
        }
        self.long(0);
    }
}

fn mixed(state: u64) -> u64 {
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
