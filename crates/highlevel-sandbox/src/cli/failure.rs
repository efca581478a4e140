//! Why the sandbox did not start, and what to do about it.

use std::io::{Error, ErrorKind};

use crate::shell::printable;

pub(crate) fn words(error: &Error) -> String {
    let mend = match error.kind() {
        ErrorKind::AddrInUse => {
            "\n\nAnother program listens there, perhaps another sandbox. Stop it, or choose another port: \
             --address 127.0.0.1:0 takes a free one."
        }
        ErrorKind::PermissionDenied => {
            "\n\nPorts below 1024 are often reserved. --address 127.0.0.1:0 takes a free one."
        }
        ErrorKind::AddrNotAvailable => "\n\nThis machine does not have that address. 127.0.0.1 always works.",
        _ => "",
    };
    // The error may quote a file, an argument or a response.
    format!("error: {}{mend}", printable(&error.to_string()))
}
