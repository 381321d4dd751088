//! Tests of the whole log, over a simulated disk and over the real one.

mod basics;
mod batches;
mod bugs;
mod compaction;
mod crash;
mod driven;
mod faults;
mod flips;
mod inspect;
mod kept;
mod life;
mod model;
mod real;
mod recovery;
mod scripts;
mod seeds;
mod sim;
