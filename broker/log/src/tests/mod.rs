//! Tests of the log over a simulated disk and over the real one.

mod basics;
pub(crate) mod batches;
mod bit_flips;
mod compaction;
mod corruption;
mod crash;
mod fault_injection;
mod faults;
mod file_ranges;
mod forged_frames;
mod format_compatibility;
mod harness;
mod inspect;
mod lifecycle;
mod model;
mod races;
mod real_disk;
mod rebuild;
mod recovery;
mod scripts;
mod seeds;
mod sim;
mod snapshot;
