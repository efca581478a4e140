//! The times after which completed things are deleted.

use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The times after which completed things are deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    /// Completed messages, in whole days. Defaults to 7 days.
    pub completed: Duration,
    /// Keys of [`once`](crate::Outgoing::once). Defaults to 90 days.
    pub once: Duration,
    /// The history of completed messages. Defaults to 30 days.
    pub history: Duration,
    /// Handled events. Defaults to 24 hours, and is at least the window of the receivers.
    pub events: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self { completed: 7 * DAY, once: 90 * DAY, history: 30 * DAY, events: DAY }
    }
}
