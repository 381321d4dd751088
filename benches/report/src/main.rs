//! Renders `docs/benchmarks.md` from the committed figures.

fn main() -> anyhow::Result<()> {
    avouch_bench_report::page::render()
}
