//! The command line of the SDK: sends messages, reads conversations, verifies webhooks and manages tokens.

mod access;
mod exit;
mod failure;
mod find;
mod interrupt;
mod output;
mod program;
mod recipient;
mod saved;
mod send;
mod text;
mod values;

use std::process::ExitCode;

fn main() -> ExitCode {
    program::run(std::env::args_os())
}
