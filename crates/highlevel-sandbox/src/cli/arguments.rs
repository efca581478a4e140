//! The command line: which command it is, and what commands have in common.

use std::ffi::OsString;
use std::io;

use lexopt::{Arg, Parser, ValueExt};

use super::output::say;
use super::{health, serve, simulate, trigger};

/// What can be done. The first one is done when none is named.
const COMMANDS: &[Command] = &[
    Command { name: "serve", help: serve::HELP, read: serve::read },
    Command { name: "health", help: health::HELP, read: health::read },
    Command { name: "trigger", help: trigger::HELP, read: trigger::read },
    Command { name: "simulate", help: simulate::HELP, read: simulate::read },
];

/// A command of the program.
#[derive(Debug)]
struct Command {
    name: &'static str,
    help: &'static str,
    /// Reads what follows the name.
    read: fn(&mut Parser) -> Result<Action, Stop>,
}

/// What is to be done.
pub(crate) type Action = Box<dyn FnOnce() -> io::Result<()>>;

/// Why a command is not read to the end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Help,
    Version,
    /// It cannot be read.
    Problem(String),
}

/// Reads the arguments, without the name of the program.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Action, String> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    let command = find(&mut arguments)?;
    match (command.read)(&mut Parser::from_args(arguments)) {
        Ok(action) => Ok(action),
        Err(Stop::Help) => Ok(Box::new(|| say(command.help))),
        Err(Stop::Version) => Ok(Box::new(|| say(concat!("highlevel-sandbox ", env!("CARGO_PKG_VERSION"))))),
        Err(Stop::Problem(problem)) => Err(explained(&problem, command.name)),
    }
}

/// The command that is named, whose name is taken away.
fn find(arguments: &mut Vec<OsString>) -> Result<&'static Command, String> {
    let default = &COMMANDS[0];
    let Some(first) = arguments.first().map(|first| first.to_string_lossy().into_owned()) else {
        return Ok(default);
    };
    if first.starts_with('-') {
        return Ok(default);
    }
    let Some(command) = COMMANDS.iter().find(|command| command.name == first) else {
        let names: Vec<String> = COMMANDS.iter().map(|command| format!("`{}`", command.name)).collect();
        return Err(explained(&format!("there is no command `{first}`; there are {}", names.join(", ")), ""));
    };
    arguments.remove(0);
    Ok(command)
}

fn explained(problem: &str, command: &str) -> String {
    let command = if command.is_empty() { String::new() } else { format!("{command} ") };
    format!("error: {problem}\n\nRun `highlevel-sandbox {command}--help` to see what it takes.")
}

/// What every command does with an argument that it has no use for.
pub(crate) fn other(argument: Arg<'_>) -> Stop {
    match argument {
        Arg::Short('h') | Arg::Long("help") => Stop::Help,
        Arg::Short('V') | Arg::Long("version") => Stop::Version,
        Arg::Short(letter) => Stop::Problem(format!("there is no option -{letter}")),
        Arg::Long(name) => Stop::Problem(format!("there is no option --{name}")),
        Arg::Value(word) => Stop::Problem(format!("`{}` has no meaning here", word.to_string_lossy())),
    }
}

/// The next argument.
pub(crate) fn next(parser: &mut Parser) -> Result<Option<Arg<'_>>, Stop> {
    parser.next().map_err(|error| Stop::Problem(error.to_string()))
}

/// The value of an option.
pub(crate) fn text(parser: &mut Parser, option: &str) -> Result<String, Stop> {
    let value = parser.value().map_err(|_| Stop::Problem(format!("{option} needs a value")))?;
    value.string().map_err(|_| Stop::Problem(format!("the value of {option} is not UTF-8")))
}

/// The value of an option that has one of a few.
pub(crate) fn one_of<T: Copy>(parser: &mut Parser, option: &str, values: &[(&str, T)]) -> Result<T, Stop> {
    let text = text(parser, option)?;
    let found = values.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let words: Vec<String> = values.iter().map(|(word, _)| format!("`{word}`")).collect();
        Stop::Problem(format!("{option} is `{text}`, and can be {}", words.join(" or ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_is_the_command() {
        let cases = [
            ("", Ok(("serve", 0))),
            ("--json", Ok(("serve", 1))),
            ("serve --json", Ok(("serve", 1))),
            ("health --url a", Ok(("health", 2))),
            ("run", Err("error: there is no command `run`; there are `serve`, `health`,")),
        ];
        for (line, expected) in cases {
            let mut arguments: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
            let found = find(&mut arguments).map(|command| (command.name, arguments.len()));
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{line}"),
                (Err(found), Err(expected)) => assert!(found.starts_with(expected), "{found}"),
                (found, _) => panic!("{line}: {found:?}"),
            }
        }
    }
}
