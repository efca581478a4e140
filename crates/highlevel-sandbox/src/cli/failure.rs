//! Errors of commands, with their fix.

use std::io::{Error, ErrorKind};

use crate::shell::printable;

/// Returns the error and, where there is one, a line with its fix.
pub(super) fn describe(error: &Error) -> String {
    let help = match error.kind() {
        ErrorKind::AddrInUse => {
            "\n\nhelp: another program listens there, perhaps another sandbox; stop it, or let \
             `--address 127.0.0.1:0` choose a free port"
        }
        ErrorKind::PermissionDenied => {
            "\n\nhelp: ports below 1024 are often reserved; `--address 127.0.0.1:0` chooses a free port"
        }
        ErrorKind::AddrNotAvailable => {
            "\n\nhelp: this machine does not have that address; 127.0.0.1 always works"
        }
        _ => "",
    };
    // The error may quote a file, an argument or a response.
    format!("error: {}{help}", printable(&error.to_string()))
}
