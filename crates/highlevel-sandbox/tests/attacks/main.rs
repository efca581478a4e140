//! Attacks on the program in a separate process, with and without a token. The tests assert statuses, counts and
//! bytes; timeouts only end a run in which something is broken.
#![cfg(unix)]

mod connections;
mod credentials;
mod memory;
#[path = "../suite/process.rs"]
#[allow(dead_code, reason = "the suite needs more of it")]
mod process;
mod raw;
mod records;
mod shutdown;
mod unauthenticated;
mod uploads;
