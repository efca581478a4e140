//! The window of time in which an event is accepted.

use std::time::{Duration, SystemTime};

use highlevel_wire::Timestamp;

use super::envelope::Field;
use super::error::{WebhookError, WebhookErrorKind};

/// The range of timestamps that are accepted, relative to the current time.
#[derive(Debug, Clone, Copy)]
pub(super) struct AgeWindow {
    pub(super) oldest: Duration,
    pub(super) furthest_ahead: Duration,
}

impl Default for AgeWindow {
    fn default() -> Self {
        Self { oldest: Duration::from_secs(2 * 60 * 60), furthest_ahead: Duration::from_secs(5 * 60) }
    }
}

impl AgeWindow {
    /// Returns the time from the first moment at which an event is accepted to the last.
    pub(super) fn length(self) -> Duration {
        self.oldest.saturating_add(self.furthest_ahead)
    }

    /// Checks the `timestamp` of an event.
    pub(super) fn check(self, timestamp: &Field<'_>, now: SystemTime) -> Result<(), WebhookError> {
        let text = match timestamp {
            // HighLevel does not put a timestamp on every event, and the signature is genuine.
            Field::Missing | Field::Null => return Ok(()),
            Field::Text(text) => text,
            // A malformed timestamp must not be a way around the window.
            Field::Other => {
                return Err(WebhookError::new(WebhookErrorKind::Malformed, "/timestamp is not a string"));
            }
        };
        let time =
            text.parse::<Timestamp>().ok().and_then(|time| time.to_system_time()).ok_or_else(|| {
                WebhookError::new(
                    WebhookErrorKind::Malformed,
                    format!("/timestamp is `{}`, which is not a point in time", text.escape_debug()),
                )
            })?;
        let is_more = |span: Result<Duration, _>, limit| span.is_ok_and(|span| span > limit);
        let (kind, text) = if is_more(now.duration_since(time), self.oldest) {
            let limit = self.oldest.as_secs();
            let text = format!(
                "event timestamp {text} is older than the {limit} s window; check the system clock, or widen it with \
                 `.window(..)` for events that are resent by hand"
            );
            (WebhookErrorKind::Stale, text)
        } else if is_more(time.duration_since(now), self.furthest_ahead) {
            let limit = self.furthest_ahead.as_secs();
            let text = format!(
                "event timestamp {text} is more than {limit} s ahead; check the system clock, and respond with 429 so \
                 that HighLevel redelivers it"
            );
            (WebhookErrorKind::Future, text)
        } else {
            return Ok(());
        };
        Err(WebhookError::new(kind, text))
    }
}
