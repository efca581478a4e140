//! The SDK in separate processes, which are stopped, continued and killed, with several runtimes and with runtimes that are
//! not driven.
//!
//! Each area has a module. The child programs are in `tests/src/bin`; [`process`] starts, stops and kills them. [`server`] is
//! a server in the process of the test, which counts the requests that it reads.

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
