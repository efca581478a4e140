//! The duties of every sender beside sending: leases that ended, claims that were lost, and the sign that it is alive.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_postgres::types::Type;

use super::reading::Readings;
use super::sending::Shared;
use crate::error::Result;
use crate::limiter_state::ClockCheck;
use crate::time::{as_float, jitter};

const INTERVAL: Duration = Duration::from_secs(1);
/// After a round that has left messages to be looked at.
const INTERVAL_IF_MORE: Duration = Duration::from_millis(50);
const MAINTENANCE: Duration = Duration::from_secs(60);
/// Lost claims are looked for during this time after a claim failed: the statement may still be running.
const LOST_CLAIMS: Duration = Duration::from_secs(120);

/// Runs until the sender is stopped and has completed its attempts.
pub(super) async fn run(shared: Arc<Shared>, mut stopping: watch::Receiver<bool>) {
    let mut maintained: Option<Instant> = None;
    let mut readings = Readings::default();
    loop {
        if maintained.is_none_or(|at| at.elapsed() > MAINTENANCE) {
            maintained = Some(Instant::now());
            if let Err(error) = shared.database.maintain().await {
                tracing::debug!(%error, "maintenance failed; it is repeated");
            }
        }
        let pause = match round(&shared, &mut readings).await {
            Ok(DutyProgress::Complete) => INTERVAL,
            Ok(DutyProgress::More) => INTERVAL_IF_MORE,
            Err(error) => {
                tracing::debug!(%error, "a duty of the sender failed; it is repeated");
                INTERVAL
            }
        };
        // When the sender is dropped, the duties end with it.
        let mut pause = pin!(tokio::time::sleep(jitter(pause)));
        loop {
            tokio::select! {
                () = &mut pause => break,
                changed = stopping.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return,
                },
                // Waiting for the next round would limit how many messages are read back in a second.
                () = readings.ended() => if let Err(error) = readings.start(&shared).await {
                    tracing::debug!(%error, "reading back the next messages failed; it is repeated");
                },
            }
        }
    }
}

/// The state after a round of duties.
enum DutyProgress {
    Complete,
    /// More messages are to be looked at than in one round.
    More,
}

async fn round(shared: &Arc<Shared>, readings: &mut Readings) -> Result<DutyProgress> {
    let database = &shared.database;
    let asked = Instant::now();
    let now_ms = database.worker_seen(shared.claims.sender, shared.begun.take_longest_claim()).await?;
    if database.check_clock(now_ms, asked, Instant::now()).await? == ClockCheck::Back {
        tracing::warn!("the clock of the database was set back");
        let lease = as_float(shared.claims.lease);
        let sql = "SELECT highlevel.clock_set_back_v1($1 * interval '1 ms')";
        database.query(sql, &[(&lease, Type::FLOAT8)]).await?;
    }
    let lost = shared.begun.claims_lost_within(LOST_CLAIMS, Instant::now());
    if !lost.is_empty() {
        let count = database.give_back_lost_claims(shared.claims.sender, &lost).await?;
        if count > 0 {
            tracing::info!(count, "messages of a claim whose response was lost are pending again");
        }
    }
    let hold = as_float(shared.unknown.hold_key);
    let ended = database
        .query("SELECT * FROM highlevel.end_leases_v1($1 * interval '1 ms')", &[(&hold, Type::FLOAT8)])
        .await?;
    if !ended.is_empty() {
        tracing::warn!(
            messages = ended.len(),
            "the outcome of messages is unknown: their process did not report it"
        );
    }
    let is_more = database.compare_new_evidence().await? | database.look_for_evidence(&shared.looks).await?;
    readings.start(shared).await?;
    Ok(if is_more { DutyProgress::More } else { DutyProgress::Complete })
}
