//! Types that have no Avro schema.

use avouch_avro_macros::AvroType;

#[derive(AvroType)]
struct Generic<T> {
    value: T,
}

#[derive(AvroType)]
struct Tuple(i32);

#[derive(AvroType)]
enum Empty {}

#[derive(AvroType)]
enum Pairs {
    One(i32, i32),
}

#[derive(AvroType)]
#[avro(default = "C")]
enum Letters {
    A,
    B,
}

#[derive(AvroType)]
#[avro(rename_all = "kebab-case")]
struct Cased {
    value: i32,
}

#[derive(AvroType)]
struct Attributes {
    #[avro(alias = "b")]
    a: i32,
}

#[derive(AvroType)]
struct Defaults {
    #[avro(default = "{")]
    a: i32,
}

fn main() {}
