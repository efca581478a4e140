//! The steps of the pipeline, each on its own, and then together.

mod description;
mod generate;
mod lint;
mod normalise;
mod open_enums;
mod outline;
mod parse;
mod robustness;
