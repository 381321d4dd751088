//! Memory and disk writes of a process, from `/proc`.

use std::fs;

use anyhow::{Context as _, Result};

/// Returns the current and the peak resident memory, in MiB.
pub(crate) fn memory_mib(pid: u32) -> Result<(f64, f64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let mib = |name| Ok::<_, anyhow::Error>(field(&status, name)? / 1024.0);
    Ok((mib("VmRSS:")?, mib("VmHWM:")?))
}

/// Returns the bytes that this process caused to be written to the disk so far, in whole pages;
/// a page that is modified again after write-back counts again. The file system's journal is not
/// included.
pub(crate) fn device_bytes() -> Result<f64> {
    field(&fs::read_to_string("/proc/self/io")?, "write_bytes:")
}

fn field(text: &str, name: &str) -> Result<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line.and_then(|line| line.split_whitespace().next());
    Ok(value.with_context(|| name.to_owned())?.parse()?)
}
