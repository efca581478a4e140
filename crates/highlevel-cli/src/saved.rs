//! Requests that are saved before they are sent, so that their messages can be found.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::SystemTime;

use highlevel::wire::types::SendMessageRequest;
use highlevel::{Fingerprint, Timestamp};
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::exit::ExitReason;
use crate::failure::CommandError;
use crate::text::shell_word;

/// The version of the format.
const FORMAT: u64 = 1;

/// The maximum length of a saved request, in bytes. The texts of messages are far shorter.
const MAX_LENGTH: u64 = 16 * 1024 * 1024;

/// A request to send a message, the API that it was sent to, and the time of the attempt.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SavedRequest {
    pub(crate) base_url: String,
    pub(crate) location: Option<String>,
    pub(crate) attempted: SystemTime,
    pub(crate) request: SendMessageRequest,
}

impl SavedRequest {
    /// Returns the fingerprint of the request.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.request, self.attempted)
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "format": FORMAT,
            "baseUrl": self.base_url,
            "locationId": self.location,
            "attemptedAt": Timestamp::from(self.attempted).as_str(),
            "request": self.request,
        })
    }

    /// Reads a saved request, or the output of `send --json` that contains one.
    fn from_json(json: &Value) -> Result<Self, String> {
        let json = json.get("saved").unwrap_or(json);
        match json.get("format").and_then(Value::as_u64) {
            Some(FORMAT) => {}
            Some(format) => {
                return Err(format!("it has the format {format}, which this version cannot read"));
            }
            None => return Err("it is not a request that `highlevel send` has saved".to_owned()),
        }
        let text = |name: &str| json[name].as_str().ok_or_else(|| format!("/{name} is missing"));
        let attempted = text("attemptedAt")?.parse::<Timestamp>().ok().and_then(|time| time.to_system_time());
        let request = SendMessageRequest::deserialize(&json["request"]);
        Ok(Self {
            base_url: text("baseUrl")?.to_owned(),
            location: json["locationId"].as_str().map(str::to_owned),
            attempted: attempted.ok_or("/attemptedAt is not a point in time")?,
            request: request.map_err(|error| format!("/request cannot be read: {error}"))?,
        })
    }

    /// Writes the request to a file that does not exist or is empty, and syncs it to the disk. It contains the text of the
    /// message: on Unix only its owner can read it.
    pub(crate) fn create(&self, path: &Path) -> Result<(), CommandError> {
        let mut file = open_empty(path)?;
        let written = writeln!(file, "{}", self.to_json()).and_then(|()| file.sync_all());
        written.map_err(|error| not_saved(path, &error))
    }

    /// Reads a request from a file, or from standard input if the path is `-`.
    pub(crate) fn read(path: &Path) -> Result<Self, CommandError> {
        let mut text = String::new();
        let read = if path == Path::new("-") {
            io::stdin().lock().take(MAX_LENGTH).read_to_string(&mut text)
        } else {
            File::open(path).and_then(|file| file.take(MAX_LENGTH).read_to_string(&mut text))
        };
        let help =
            "pass the file that `highlevel send --save FILE` wrote, or the output of `highlevel send --json`";
        let place = path.display();
        read.map_err(|error| CommandError::usage(format!("{place} cannot be read: {error}"), help))?;
        let json = serde_json::from_str(&text).map_err(|error| format!("it is not JSON: {error}"));
        json.and_then(|json| Self::from_json(&json))
            .map_err(|why| CommandError::usage(format!("{place} cannot be used: {why}"), help))
    }
}

/// Returns the command that finds the message of a saved request.
pub(crate) fn find_command(path: &Path) -> String {
    format!("highlevel find {}", shell_word(&path.to_string_lossy()))
}

/// Opens a file for a request. It must not replace one whose outcome may be unknown.
fn open_empty(path: &Path) -> Result<File, CommandError> {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let error = match options.clone().create_new(true).open(path) {
        Ok(file) => return Ok(file),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => error,
        Err(error) => return Err(not_saved(path, &error)),
    };
    // `mktemp` creates an empty file.
    let is_empty = std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() == 0);
    if is_empty {
        return options.open(path).map_err(|error| not_saved(path, &error));
    }
    Err(CommandError::usage(
        format!("the request cannot be saved to {}: {error}; no message was sent", path.display()),
        format!(
            "save it to another file; this one may be of a message whose outcome is unknown, which `{}` finds out",
            find_command(path)
        ),
    ))
}

fn not_saved(path: &Path, error: &io::Error) -> CommandError {
    CommandError::new(
        ExitReason::NotSent,
        format!("the request cannot be saved to {}: {error}; no message was sent", path.display()),
    )
    .with_help("save it to a file that can be written")
}
