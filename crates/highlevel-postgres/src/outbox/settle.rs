//! Writes the results of attempts, in batches. A result is offered until the database has it.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::begun::Begun;
use super::outcome::{Consequence, Decision, NextState, SendResult};
use crate::database::Database;
use crate::error::ErrorKind;
use crate::text;
use crate::time::{as_float, milliseconds};

/// Results are gathered for this long.
const GATHER: Duration = Duration::from_millis(2);
/// Results in one statement.
const BATCH: usize = 256;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The result of an attempt, to be written.
#[derive(Debug)]
pub(crate) struct Settlement {
    pub(crate) id: i64,
    pub(crate) attempt: i32,
    pub(crate) location: String,
    pub(crate) result: SendResult,
    pub(crate) decision: Decision,
    /// Held until the result is written.
    pub(crate) slot: Option<OwnedSemaphorePermit>,
}

/// The time for which others of a key wait for an unknown outcome, and the time until evidence is looked for first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UnknownPolicy {
    pub(crate) hold_key: Duration,
    pub(crate) first_look: Duration,
}

impl Settlement {
    fn to_json(&self, policy: UnknownPolicy) -> Value {
        let accepted = match &self.result {
            SendResult::Accepted(accepted) => Some(accepted),
            _ => None,
        };
        text::storable_json(json!({
            "id": self.id,
            "attempt": self.attempt,
            "state": self.decision.next.code(),
            "message_id": accepted.map(|accepted| accepted.message_id.as_str()),
            "conversation_id": accepted.map(|accepted| accepted.conversation_id.as_str()),
            "problem": self.result.problem(),
            "hold_ms": milliseconds(policy.hold_key),
            "look_ms": milliseconds(policy.first_look),
        }))
    }

    /// Returns the result without the details that came from elsewhere.
    fn to_short_json(&self, policy: UnknownPolicy) -> Value {
        let problem = json!({ "kind": "Details", "text": "the details of the result could not be stored" });
        let mut json = self.to_json(policy);
        json["problem"] = problem;
        (json["message_id"], json["conversation_id"]) = (Value::Null, Value::Null);
        json
    }
}

/// Writes results until all senders of the channel are dropped.
pub(super) async fn write_results(
    database: Database,
    mut results: mpsc::UnboundedReceiver<Settlement>,
    sender: Uuid,
    policy: UnknownPolicy,
    begun: Begun,
) {
    let mut batch = Vec::new();
    while results.recv_many(&mut batch, BATCH).await > 0 {
        if batch.len() < BATCH {
            tokio::time::sleep(GATHER).await;
            while batch.len() < BATCH
                && let Ok(result) = results.try_recv()
            {
                batch.push(result);
            }
        }
        write_until_done(&database, sender, &batch, policy).await;
        for settlement in batch.drain(..) {
            begun.settled(settlement.id, settlement.attempt, settlement.to_json(policy));
            drop(settlement.slot);
        }
    }
}

/// Writes a batch. If the database cannot store one of its results, the others are not kept waiting for it.
async fn write_until_done(database: &Database, sender: Uuid, batch: &[Settlement], policy: UnknownPolicy) {
    let results = batch.iter().map(|settlement| settlement.to_json(policy)).collect();
    if offer(database, sender, batch, results).await {
        return;
    }
    for settlement in batch {
        let one = std::slice::from_ref(settlement);
        if !offer(database, sender, one, vec![settlement.to_json(policy)]).await {
            tracing::error!(id = settlement.id, "the details of a result could not be stored");
            offer(database, sender, one, vec![settlement.to_short_json(policy)]).await;
        }
    }
}

/// Offers results until the database has them. Returns `false` if it cannot store them.
async fn offer(database: &Database, sender: Uuid, batch: &[Settlement], results: Vec<Value>) -> bool {
    let results = Value::Array(results);
    let mut pause = FIRST_PAUSE;
    loop {
        tracing::trace!(point = "settling", results = batch.len());
        match write(database, sender, batch, &results).await {
            Ok(changed) => {
                tracing::trace!(point = "settled", changed);
                return true;
            }
            Err(error) if error.kind() == ErrorKind::Invalid => {
                tracing::error!(%error, results = batch.len(), "results of attempts cannot be stored");
                return false;
            }
            // Written twice, a result changes nothing the second time.
            Err(error) => {
                tracing::warn!(%error, results = batch.len(), "results of attempts could not be written");
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn write(
    database: &Database,
    sender: Uuid,
    batch: &[Settlement],
    results: &Value,
) -> crate::Result<usize> {
    // First, so that the messages are not claimed in between.
    let mut holds: HashMap<&str, (Duration, String)> = HashMap::new();
    for settlement in batch {
        if let Consequence::HoldLocation(time) = settlement.decision.consequence {
            let reason = settlement.result.problem();
            let reason = reason.as_ref().and_then(|problem| problem["text"].as_str()).unwrap_or("no token");
            holds.insert(&settlement.location, (time, text::storable(reason).into_owned()));
        }
    }
    for (location, (time, reason)) in holds {
        database
            .query(
                "SELECT highlevel.hold_v1($1, $2, NULL, $3 * interval '1 ms')",
                &[(&location, Type::TEXT), (&reason, Type::TEXT), (&as_float(time), Type::FLOAT8)],
            )
            .await?;
    }
    let changed = database
        .query("SELECT * FROM highlevel.settle_v1($1, $2)", &[(&results, Type::JSONB), (&sender, Type::UUID)])
        .await?;
    for settlement in batch.iter().filter(|settlement| settlement.decision.next == NextState::Unknown) {
        tracing::warn!(
            id = settlement.id,
            attempt = settlement.attempt,
            "the outcome of a message is unknown"
        );
    }
    Ok(changed.len())
}
