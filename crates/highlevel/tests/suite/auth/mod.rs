//! Apps on many locations: their tokens, refreshes and stores. `mock` is a server that plays HighLevel.

mod authorize;
mod cancelled;
mod company;
mod connections;
mod exchange;
mod failures;
mod import;
#[cfg(feature = "testing")]
mod install_events;
mod install_locations;
mod mock;
mod panics;
mod pending_writes;
mod processes;
mod refresh;
mod rejections;
mod runtimes;
mod secrets;
mod spy_store;
mod store;
#[cfg(feature = "testing")]
mod uninstall_events;
