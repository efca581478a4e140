//! Tests of the crate as its users see it. HighLevel is played by a TCP server on this machine.

mod around;
mod auth;
#[cfg(feature = "blocking")]
mod blocking;
mod builder;
mod checks;
mod constructors;
mod delivery;
mod errors;
mod executor;
mod find;
mod limiter;
mod middleware;
#[cfg(feature = "testing")]
mod mock;
mod operations;
mod reconcile;
mod request;
mod retries;
mod secrets;
mod server;
mod sharing;
#[cfg(all(feature = "metrics", feature = "testing"))]
mod telemetry;
mod transport;
mod webhook;
