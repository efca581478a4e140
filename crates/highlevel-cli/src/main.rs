//! The command line of the SDK: sends messages, reads conversations, verifies webhooks and manages tokens.

mod access;
mod contact;
mod conversation;
mod doctor;
mod exit;
mod failure;
mod find;
mod generate;
mod interrupt;
mod oauth;
mod output;
mod program;
mod recipient;
mod saved;
mod send;
mod server;
mod status;
mod text;
mod values;
mod webhook;

use std::process::ExitCode;

fn main() -> ExitCode {
    program::run(std::env::args_os())
}
