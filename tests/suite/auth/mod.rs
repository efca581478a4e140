//! Tokens: apps on many locations.

mod faults;
mod lifecycle;
mod setup;
mod storms;
