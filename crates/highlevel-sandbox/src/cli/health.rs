//! `health`: whether a sandbox runs.

use std::io;

use http::Method;
use lexopt::{Arg, Parser};

use super::arguments::{Action, Stop, next, other};
use super::client::{Target, target_help};
use super::output::say;
use crate::shell::json_line;

pub(crate) const HELP: &str = concat!(
    "\
Whether a sandbox runs. If none does, the exit code is 1: for the health check of a container.

Usage: highlevel-sandbox health [options]

Options:
",
    target_help!()
);

pub(crate) fn read(parser: &mut Parser) -> Result<Action, Stop> {
    let mut target = Target::default();
    while let Some(argument) = next(parser)? {
        let Arg::Long(name) = argument else { return Err(other(argument)) };
        let name = name.to_owned();
        if !target.read(&name, parser)? {
            return Err(other(Arg::Long(&name)));
        }
    }
    Ok(Box::new(move || {
        let health = target.call(Method::GET, "health", None)?;
        if health["server"] != "highlevel-sandbox" {
            let message =
                "the server responds, but it is not a sandbox; is that the URL that the sandbox printed?";
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        say(&json_line(&health))
    }))
}
