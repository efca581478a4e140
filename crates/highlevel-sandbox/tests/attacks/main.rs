//! Attacks on the program in a process of its own: what any client can send, with and without a token. What is asserted
//! are statuses, counts and bytes; times only end a run in which something is broken.
#![cfg(unix)]

mod connections;
mod credentials;
mod memory;
#[path = "../suite/process.rs"]
#[allow(dead_code, reason = "the suite needs more of it")]
mod process;
mod raw;
mod shutdown;
mod unauthenticated;
