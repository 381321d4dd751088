//! Tests of the whole log, over a simulated disk and over the real one.

mod basics;
mod batches;
mod bugs;
mod compaction;
mod crash;
mod damage;
mod driven;
mod faults;
mod flips;
mod forged;
mod inspect;
mod kept;
mod life;
mod model;
mod races;
mod real;
mod recovery;
mod scripts;
mod seeds;
mod sim;
mod stretches;
