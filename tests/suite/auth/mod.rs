//! Tokens: apps on many locations, and the processes of one app.

mod faults;
mod lifecycle;
mod processes;
mod setup;
mod storms;
