//! Write amplification of a load: bytes written to files, and blocks written to the disk.

use anyhow::Result;
use avouch_bench_report::log::DeviceRow;
use avouch_log::Durability;

use crate::directory;
use crate::load::{BATCH_BYTES, Load, Shape, config};
use crate::process::device_bytes;
use crate::rounds::Scale;

const SMALL: usize = 1 << 10;
/// Batch size in bytes, batches in flight, partitions.
const CASES: [(usize, usize, i32); 6] = [
    (BATCH_BYTES, 256, 1),
    (BATCH_BYTES, 256, 100),
    (BATCH_BYTES, 256, 4_000),
    (SMALL, 256, 1),
    (SMALL, 256, 100),
    (SMALL, 1, 1),
];
/// With one batch in flight: commits of this many rounds of lone commits.
const LONE_ROUNDS: usize = 10;

pub(crate) fn measured(scale: Scale) -> Result<Vec<DeviceRow>> {
    let shapes = CASES.map(|(batch_bytes, window, partitions)| Shape {
        partitions,
        batch_bytes,
        window,
    });
    let rows = shapes.iter().map(|shape| row(scale, *shape));
    rows.collect()
}

fn row(scale: Scale, shape: Shape) -> Result<DeviceRow> {
    let dir = directory()?;
    let config = config(dir.path(), Durability::Fsync);
    // Fills the write-ahead log once, so that the measured load reuses its files.
    let mut warm = Load::open(config.clone(), Shape::of(shape.partitions))?;
    warm.append(scale.warm_up_bytes)?;
    warm.log.close()?;
    drop(warm);
    let mut load = Load::open(config, shape)?;
    let bytes = match (shape.window, shape.batch_bytes) {
        // Without a window the load is slow, so it writes less.
        (1, batch) => scale.lone_commits * LONE_ROUNDS * batch,
        (_, SMALL) => scale.round_bytes / 4,
        _ => scale.round_bytes,
    };
    let before = (load.activity.written() as f64, device_bytes()?);
    load.append(bytes)?;
    // Closing moves the rest of the write-ahead log to segments.
    load.log.close()?;
    let produced = bytes as f64;
    Ok(DeviceRow {
        batch_bytes: shape.batch_bytes,
        window: shape.window,
        partitions: load.partitions.len(),
        written: (load.activity.written() as f64 - before.0) / produced,
        device: (device_bytes()? - before.1) / produced,
    })
}
