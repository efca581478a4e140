//! The steps of the pipeline, each on its own, and then together.

#![allow(clippy::too_many_lines, reason = "a table of cases is one function, however long")]

mod description;
mod generate;
mod lint;
mod normalise;
mod open_enums;
mod outline;
mod parse;
mod robustness;
