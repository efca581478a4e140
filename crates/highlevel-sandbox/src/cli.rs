//! What the program reads from the command line, does and prints. Each command is a file, and a row in [`arguments`].

pub(crate) mod arguments;
mod client;
pub(crate) mod failure;
mod health;
mod output;
mod serve;
mod simulate;
mod trigger;
