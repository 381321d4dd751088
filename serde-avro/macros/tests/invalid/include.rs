//! Calls with wrong arguments.

avouch_avro_macros::include_avro!();
avouch_avro_macros::include_avro!("tests/payment.avsc", time = calendar);

fn main() {}
