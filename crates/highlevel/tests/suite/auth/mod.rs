//! Apps on many locations: their tokens, how they are renewed, and where they are kept. HighLevel is played by `world`.

mod authorize;
mod cancelled;
mod company;
mod exchange;
mod fault;
#[cfg(feature = "testing")]
mod install;
mod processes;
mod renewal;
mod secrets;
mod spy;
mod store;
mod unsaved;
mod world;
