//! Compares the cost of a call with hand-written reqwest and `ghl-sdk`, and of receiving an event with bare verification.
//!
//! - `bin/bench.rs`: requests per second, CPU time and instructions.
//! - `bin/allocations.rs`: allocations, in a separate program, because counting them takes time.
//! - `bin/server.rs`: the server, in a separate process, so that its cost is not measured.
//! - `bin/webhook.rs`: events per second on one core, compared with bare verification and the official JavaScript SDK.
//! - `bin/storm.rs`: the time in which many locations refresh their tokens at once.
//! - `bin/postgres/`: throughput of the outbox of `highlevel-postgres`, compared with a bare queue in the same database.
//! - `bin/sandbox/`: throughput, memory and latency of the program of the sandbox.

pub mod clients;
pub mod instructions;
pub mod measure;
pub mod process;
pub mod server;
