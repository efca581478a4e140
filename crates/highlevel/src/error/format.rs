//! `Display` and `Debug` of errors.

use std::fmt;

use super::text::{excerpt, printable};
use super::{Error, ErrorKind, ErrorSource, Inner};

impl Error {
    /// Returns what happened, with the server's messages, but without the operation and the delivery.
    pub(super) fn facts(&self) -> String {
        match &self.0.response {
            Some(response) => self.0.text.clone() + &response.details(),
            None => self.0.text.clone(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, delivery, operation, target, .. } = &*self.0;
        match target {
            Some(target) => write!(f, "{operation} {}: {}", printable(target), self.facts())?,
            None => write!(f, "{operation}: {}", self.facts())?,
        }
        if matches!(kind, ErrorKind::Configuration | ErrorKind::InvalidRequest) {
            return Ok(());
        }
        write!(f, "; {delivery}")
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, delivery, operation, target, attempts, text, response, source, .. } = &*self.0;
        let mut debug = f.debug_struct("Error");
        debug.field("operation", operation);
        if let Some(target) = target {
            debug.field("target", target);
        }
        debug.field("kind", kind).field("delivery", delivery);
        debug.field("text", text).field("attempts", attempts);
        if let Some(response) = response {
            debug.field("status", &response.status).field("messages", &response.messages);
            let body = String::from_utf8_lossy(&response.body);
            debug.field("trace_id", &response.trace_id).field("body", &excerpt(&body));
        }
        match source {
            Some(ErrorSource::Owned(source)) => drop(debug.field("source", source)),
            Some(ErrorSource::Shared(source)) => drop(debug.field("source", source)),
            None => {}
        }
        debug.finish()
    }
}
