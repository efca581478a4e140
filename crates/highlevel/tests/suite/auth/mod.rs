//! Apps on many locations: their tokens, how they are renewed, and where they are kept. HighLevel is played by `world`.

mod authorize;
mod cancelled;
mod company;
mod exchange;
mod fault;
mod import;
#[cfg(feature = "testing")]
mod install;
mod panics;
mod processes;
mod renewal;
mod runtimes;
mod secrets;
mod spy;
mod store;
mod unsaved;
mod world;
