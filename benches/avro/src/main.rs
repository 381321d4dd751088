//! Figures of the Avro core against its peers: `just bench-avro`, `just bench-model`.
//!
//! Measures the validator, or with the argument `model` parsing and comparing schemas, writes
//! `docs/benchmarks/avro.json` or `model.json`, and renders both into `docs/benchmarks.md`. With
//! `look` or `look-model` it only prints, with `render` it only renders what is committed.

fn main() -> anyhow::Result<()> {
    avouch_bench_avro::run(std::env::args().nth(1).as_deref())
}
