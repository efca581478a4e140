//! Requests, responses and their types.

#![allow(clippy::too_many_lines, reason = "a table of cases is one function, however long")]

mod context;
mod generated;
mod ids;
mod open_enums;
mod received;
mod requests;
#[cfg(feature = "schemars")]
mod schemas;
mod seal;
mod server;
mod spec;
mod timestamp;
