//! The time and the ids of one request.

use chrono::{DateTime, SecondsFormat, Utc};

use crate::api::Generated;
use crate::identifiers::Identifiers;

/// The clock and the new ids of one request.
pub(crate) struct Moment {
    pub(crate) now: DateTime<Utc>,
    pub(crate) generated: Generated,
}

impl Moment {
    pub(crate) fn at(now: DateTime<Utc>, identifiers: &Identifiers) -> Self {
        let generated = Generated {
            now: now.to_rfc3339_opts(SecondsFormat::Millis, true),
            trace_id: identifiers.uuid(),
            message_id: identifiers.object_id(),
            email_message_id: identifiers.object_id(),
            conversation_id: identifiers.object_id(),
        };
        Self { now, generated }
    }
}
