//! Reads back the messages of contacts whose outcomes are unknown, as evidence.

use std::sync::Arc;
use std::time::Duration;

use highlevel::LocationId;
use tokio::task::JoinSet;
use tokio_postgres::types::Type;

use super::evidence::Doubt;
use super::look::Reading;
use super::sending::Shared;
use crate::error::Result;
use crate::text;
use crate::time::as_float;

/// Messages that a process reads back at the same time.
const AT_ONCE: usize = 4;
/// The longest time for one message, in timeouts of an attempt. It takes three requests in most cases, and 40 at most.
const TIMEOUTS: u32 = 2;
/// The default time until another message of the location is read back: with three requests, a small part of its limits.
pub(super) const PAUSE: Duration = Duration::from_secs(2);

/// The messages that a process reads back. They are aborted when it is dropped; others read them back then.
#[derive(Default)]
pub(super) struct Readings {
    tasks: JoinSet<()>,
}

impl Readings {
    /// Starts to read back messages that are due, as far as there is capacity.
    pub(super) async fn start(&mut self, shared: &Arc<Shared>) -> Result<()> {
        while self.tasks.try_join_next().is_some() {}
        let Some(looks) = shared.looks.reads_from() else { return Ok(()) };
        let free = AT_ONCE.saturating_sub(self.tasks.len());
        if free == 0 {
            return Ok(());
        }
        let free = i32::try_from(free).unwrap_or(i32::MAX);
        let (reader, lease) = (shared.claims.sender, as_float(timeout(shared) + shared.lease_margin));
        let rows = shared
            .database
            .query(
                "SELECT * FROM highlevel.claim_readings_v1($1, $2, $3 * interval '1 ms', $4)",
                &[(&reader, Type::UUID), (&free, Type::INT4), (&lease, Type::FLOAT8), (&looks, Type::INT4)],
            )
            .await?;
        let ids: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        if ids.is_empty() {
            return Ok(());
        }
        for doubt in shared.database.doubts_by_id(&ids).await? {
            let shared = Arc::clone(shared);
            self.tasks.spawn(async move {
                if let Err(error) = read_back(&shared, &doubt).await {
                    tracing::warn!(%error, id = doubt.id, "the result of reading back could not be stored; it is repeated");
                }
            });
        }
        Ok(())
    }

    /// Waits until a message has been read back. Without any, it does not return.
    pub(super) async fn ended(&mut self) {
        if self.tasks.join_next().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

/// Returns the longest time for reading back one message. Its claim has the lease margin in addition.
fn timeout(shared: &Shared) -> Duration {
    shared.attempt_timeout * TIMEOUTS
}

/// Reads back the messages of a contact, stores them as evidence, and looks at the message.
async fn read_back(shared: &Shared, doubt: &Doubt) -> Result<()> {
    tracing::trace!(point = "reading", id = doubt.id);
    let timeout = timeout(shared);
    let reading = match doubt.fingerprint() {
        Some(fingerprint) => {
            let client = shared
                .clients
                .client(&LocationId::from(doubt.location.as_str()))
                .with_attempt_timeout(shared.attempt_timeout)
                .with_call_timeout(timeout);
            match tokio::time::timeout(timeout, client.read_back(&fingerprint)).await {
                Ok(Ok(read)) => {
                    for message in read.messages {
                        shared.database.add_evidence(&doubt.location, &text::storable_json(message)).await?;
                    }
                    Some(Reading::Read { examined: read.examined, is_complete: read.is_complete })
                }
                Ok(Err(error)) => Some(Reading::Failed(text::storable(&error.to_string()).into_owned())),
                Err(_) => Some(Reading::Failed(format!("not completed within {} s", timeout.as_secs_f32()))),
            }
        }
        None => None,
    };
    tracing::trace!(point = "read", id = doubt.id);
    shared.database.look(doubt, &shared.looks, reading.as_ref()).await?;
    shared
        .database
        .query(
            "SELECT highlevel.end_reading_v1($1, $2, $3 * interval '1 ms')",
            &[
                (&doubt.location, Type::TEXT),
                (&shared.claims.sender, Type::UUID),
                (&as_float(shared.read_pause), Type::FLOAT8),
            ],
        )
        .await
        .map(drop)
}
