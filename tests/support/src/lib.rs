//! Helpers for the tests of several crates: a raw HTTP server, waiting for a condition, and temporary directories.
//!
//! The crate knows nothing of HighLevel, so that the tests of the SDK and those of the sandbox can use it.

#![allow(clippy::missing_panics_doc, reason = "a helper that fails ends its test")]

mod directory;
mod http;
mod server;
mod wait;

pub use directory::Directory;
pub use http::{Request, json, parse, read, response};
pub use server::{Action, Server, nowhere, on_thread};
pub use wait::until;
