//! The content of a message, from arguments, files and standard input.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;

use crate::failure::CommandError;

/// The longest text, in bytes. HighLevel accepts shorter ones.
const MAX_LENGTH: u64 = 1024 * 1024;

/// The texts of a message.
#[derive(Debug, Default)]
pub(super) struct SendContent {
    pub(super) text: Option<String>,
    pub(super) html: Option<String>,
}

/// Returns the text of a message: the argument, or standard input if the argument is `-`. Without an argument, standard input is
/// read unless it is a terminal or the message has another content.
pub(super) fn read_text(argument: Option<&str>, has_other: bool) -> Result<Option<String>, CommandError> {
    match argument {
        Some("-") => {}
        Some(text) if text.trim().is_empty() => return Err(without_content()),
        Some(text) => return Ok(Some(text.to_owned())),
        None if has_other => return Ok(None),
        None if io::stdin().is_terminal() => return Err(without_content()),
        None => {}
    }
    let text = read(io::stdin().lock(), "standard input")?;
    if text.trim().is_empty() { Err(without_content()) } else { Ok(Some(text)) }
}

/// Returns the HTML in a file, or in standard input if the path is `-`.
pub(super) fn read_html(path: &Path) -> Result<String, CommandError> {
    if path == Path::new("-") {
        return read(io::stdin().lock(), "standard input");
    }
    let place = path.display().to_string();
    let file = File::open(path).map_err(|error| unreadable(&place, &error))?;
    read(file, &place)
}

/// Reads text without the line break at its end, which tools like `echo` add.
fn read(source: impl Read, place: &str) -> Result<String, CommandError> {
    let mut text = String::new();
    source.take(MAX_LENGTH + 1).read_to_string(&mut text).map_err(|error| unreadable(place, &error))?;
    if text.len() as u64 > MAX_LENGTH {
        return Err(CommandError::usage(
            format!("the text in {place} is longer than {MAX_LENGTH} bytes; no message was sent"),
            "shorten it, or attach a file by its URL",
        ));
    }
    let line = text.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    Ok(line.map(str::to_owned).unwrap_or(text))
}

fn unreadable(place: &str, error: &io::Error) -> CommandError {
    CommandError::usage(
        format!("the text cannot be read from {place}: {error}; no message was sent"),
        "pass UTF-8 text, as an argument, in a file or through a pipe",
    )
}

pub(super) fn without_content() -> CommandError {
    CommandError::usage(
        "the message has no content, so it was not sent",
        "pass a text, for example `highlevel send sms --to-contact ID \"Your table is ready\"`, or pipe it into the command",
    )
}
