//! Sends scheduled messages when the sandbox's clock reaches their time.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};

use super::state::Engine;
use crate::api;
use crate::model::Record;

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
    /// Sends the next scheduled messages that are due.
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
            let status =
                api::initial_status(message.direction, &message.channel, &message.request).to_owned();
            let message = message.sent(status, text(due), text(now));
            if let Err(conflict) = self.put(&mut model, [Record::from(message.to_stored())]) {
                // A scheduled message only changes its status, so this cannot happen.
                tracing::error!(%conflict, id = message.id, "a scheduled message was not sent");
                return Next::Never;
            }
            // Under the lock, so that events are sent in the order in which messages were stored.
            self.publish(&model, &message, now);
        }
        Next::Due
    }
}
