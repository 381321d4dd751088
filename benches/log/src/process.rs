//! What the system tells of a process: its memory, and what it put on the disk.

use std::fs;

use anyhow::{Context as _, Result};

/// Resident memory now and at its highest, in MiB.
pub(crate) fn memory_mib(pid: u32) -> Result<(f64, f64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let mib = |name| Ok::<_, anyhow::Error>(field(&status, name)? / 1024.0);
    Ok((mib("VmRSS:")?, mib("VmHWM:")?))
}

/// Bytes that this process had the system put on a disk so far: whole pages, each time that one
/// was changed after it had been written. The file system's own journal is not in it.
pub(crate) fn device_bytes() -> Result<f64> {
    field(&fs::read_to_string("/proc/self/io")?, "write_bytes:")
}

fn field(text: &str, name: &str) -> Result<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line.and_then(|line| line.split_whitespace().next());
    Ok(value.with_context(|| name.to_owned())?.parse()?)
}
