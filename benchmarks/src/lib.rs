//! What a call of `highlevel` costs, beside hand-written reqwest and `ghl-sdk`.
//!
//! - `bin/bench.rs`: requests per second and CPU time, and the table.
//! - `bin/allocations.rs`: allocations, in a program of its own, because counting them costs time.
//! - `bin/server.rs`: what answers, in a process of its own, so that its cost is nobody's.

pub mod clients;
pub mod server;
