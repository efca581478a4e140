//! The SDK in processes of its own: stopped, continued and killed, with several runtimes and with runtimes that nothing
//! drives.
//!
//! A module per area. Child programs are in `tests/src/bin`; [`process`] starts, stops and kills them, and [`server`] is
//! the server in the test's own process that counts the requests it reads.

#![cfg(unix)]

mod descriptors;
mod limits;
mod process;
mod proxy;
mod refresh;
mod send;
mod server;
mod store;
mod stress;
mod tokens;
mod webhooks;
