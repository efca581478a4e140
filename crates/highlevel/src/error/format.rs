//! `Display` and `Debug` of errors.

use std::fmt;

use super::effect::RepeatEffect;
use super::text::{excerpt, printable};
use super::{Error, ErrorKind, ErrorSource, Inner};
use crate::Delivery;

impl Error {
    /// Returns what happened, with the server's messages, but without the operation and the delivery.
    pub(super) fn facts(&self) -> String {
        match &self.0.response {
            Some(response) => self.0.text.clone() + &response.details.summary(),
            None => self.0.text.clone(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, delivery, operation, effect, .. } = &*self.0;
        write!(f, "{}: {}", printable(operation), self.facts())?;
        let is_invalid = matches!(kind, ErrorKind::Configuration | ErrorKind::InvalidRequest);
        // A request that only reads is never done or undone.
        let only_reads = *effect == RepeatEffect::ReadOnly && *delivery != Delivery::NotSent;
        if is_invalid || only_reads {
            return Ok(());
        }
        write!(f, "; {delivery}")
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, delivery, operation, attempts, text, response, source, .. } = &*self.0;
        let mut debug = f.debug_struct("Error");
        debug.field("operation", operation);
        debug.field("kind", kind).field("delivery", delivery);
        debug.field("text", text).field("attempts", attempts);
        if let Some(response) = response {
            let details = &response.details;
            debug.field("status", &response.status).field("code", &details.code);
            debug.field("messages", &details.messages).field("trace_id", &details.trace_id);
            debug.field("body", &excerpt(&String::from_utf8_lossy(&response.body)));
        }
        match source {
            Some(ErrorSource::Owned(source)) => drop(debug.field("source", source)),
            Some(ErrorSource::Shared(source)) => drop(debug.field("source", source)),
            None => {}
        }
        debug.finish()
    }
}
