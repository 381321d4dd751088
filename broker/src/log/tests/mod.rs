//! Tests of the whole log, over a simulated disk and over the real one.

mod basics;
mod batches;
mod crash;
mod driven;
mod faults;
mod kept;
mod model;
mod real;
mod recovery;
mod scripts;
mod sim;
