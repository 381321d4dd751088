//! Benchmarks of the Avro crate against other libraries: `just bench-avro`, `just bench-model`.
//!
//! Measures the validator, or with the argument `model` schema parsing and compatibility checks.
//! Writes `docs/benchmarks/avro.json` or `model.json`, and renders `docs/benchmarks.md`. With
//! `look` or `look-model` it only prints the results; with `render` it only renders the page.

fn main() -> anyhow::Result<()> {
    avouch_bench_avro::run(std::env::args().nth(1).as_deref())
}
