//! Sends scheduled messages, and reports those that were not delivered, when the sandbox's clock reaches their time.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};

use super::state::Engine;
use crate::api;
use crate::model::{Record, SCHEDULED, StatusUpdate, TEXT_REQUIRED};

/// The maximum number of messages that are sent under one lock.
const AT_ONCE: usize = 64;

/// The time of the next scheduled message.
enum Next {
    /// It is due.
    Due,
    At(DateTime<Utc>),
    /// No message is scheduled, or the clock never reaches the time of the next one.
    Never,
}

/// Sends scheduled messages until the runtime stops.
pub(crate) async fn run(engine: Arc<Engine>) {
    loop {
        let next = engine.send_scheduled();
        let due = async {
            match next {
                Next::Due => tokio::task::yield_now().await,
                Next::At(time) => engine.clock.sleep_until(time).await,
                Next::Never => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => {}
            () = engine.schedule_changed.notified() => {}
        }
    }
}

impl Engine {
    /// Sends the next scheduled messages that are due, and reports the next failures.
    fn send_scheduled(&self) -> Next {
        let mut model = self.model();
        for _ in 0..AT_ONCE {
            let now = self.clock.now();
            let Some((time, message)) = model.first_scheduled() else { return Next::Never };
            if time > now.timestamp() {
                return DateTime::from_timestamp(time, 0).map_or(Next::Never, Next::At);
            }
            let text = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Millis, true);
            let due = DateTime::from_timestamp(time, 0).unwrap_or(now);
            let message = message.parsed();
            let is_sent_now = message.status == SCHEDULED;
            let changed = if is_sent_now {
                let status =
                    api::initial_status(message.direction, &message.channel, &message.request).to_owned();
                Ok(message.sent(status, text(due), text(now)))
            } else {
                message.with_status(StatusUpdate::new("failed").error(TEXT_REQUIRED), text(now))
            };
            let stored = changed.and_then(|message| {
                let put = self.put(&mut model, [Record::from(message.to_stored())]);
                put.map(|()| message).map_err(|conflict| conflict.to_string())
            });
            let message = match stored {
                Ok(message) => message,
                Err(conflict) => {
                    // Only the status changes, so this cannot happen.
                    tracing::error!(%conflict, "a message was not changed when it was due");
                    return Next::Never;
                }
            };
            // Under the lock, so that events are sent in the order in which messages were stored.
            if is_sent_now {
                self.publish(&model, &message, now);
            } else {
                self.publish_to_app(&model, &message, now);
            }
        }
        Next::Due
    }
}
