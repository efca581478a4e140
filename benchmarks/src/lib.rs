//! What a call of `highlevel` costs, beside hand-written reqwest and `ghl-sdk`, and what it costs to receive an event.
//!
//! - `bin/bench.rs`: requests per second and CPU time, and the table.
//! - `bin/allocations.rs`: allocations, in a program of its own, because counting them costs time.
//! - `bin/server.rs`: what answers, in a process of its own, so that its cost is nobody's.
//! - `bin/webhook.rs`: events per second on one core, beside the bare verification, and the official JavaScript SDK.
//! - `bin/sandbox.rs`: what the program of the sandbox takes, with a client that is only a socket.

pub mod clients;
pub mod measure;
pub mod server;
