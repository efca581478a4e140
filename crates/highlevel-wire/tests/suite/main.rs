//! What goes out, what comes back, and the types that carry it.

mod exchange;
mod ids;
mod open_enums;
mod received;
mod requests;
#[cfg(feature = "schemars")]
mod schemas;
mod server;
mod spec;
mod timestamp;
