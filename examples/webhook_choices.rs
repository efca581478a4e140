//! The choices that a receiver of webhooks offers, and how a program that receives events is tested: keys, locations, the
//! older signature, and deduplication in memory, in a shared store and in the caller's own transaction. Nothing goes over
//! the network.
//!
//! Run it with `cargo run --example webhook_choices`.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use axum::http::HeaderMap;
use highlevel::webhook::conformance::{self, Timing};
use highlevel::webhook::testing::{EventBuilder, SigningKey};
use highlevel::webhook::{
    Claim, ClaimToken, CommitResult, Deduplicator, DeduplicatorFuture, Event, EventId, InMemoryDeduplicator,
    OnFull, PublicKey, Receiver, RsaPublicKey, WebhookError, WebhookErrorKind,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    a_program_is_tested().await?;
    let now = SystemTime::now();
    let key = SigningKey::from_seed([1; 32]);
    while_keys_change(&key, now).await?;
    in_the_callers_transaction(&key, now)?;
    in_a_shared_store(&key, now).await?;
    println!("{:?}", for_some_locations());
    println!("{:?}", for_a_delivery_url());
    println!("{:?}", with_the_older_signature());
    println!("{:?}", with_more_memory());
    println!("{:?}", with_eviction());
    println!("{:?}", for_resends_by_hand());
    Ok(())
}

async fn a_program_is_tested() -> Result<(), Box<dyn Error>> {
    let key = SigningKey::from_seed([7; 32]);
    let receiver = Receiver::builder().app_id("my-app").key(key.public_key("test")).build();

    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_722_268_288);
    let body = EventBuilder::answered_call(120).app_id("my-app").at(now).body();
    let event = receiver.receive(&key.headers(&body), body.clone(), now).await?;
    assert_eq!(event.name(), "OutboundMessage");
    event.commit().await?;

    let error = receiver.receive(&key.headers(&body), body, now).await.expect_err("it was handled");
    assert_eq!((error.kind(), error.status()), (WebhookErrorKind::Duplicate, 200));
    Ok(())
}

async fn while_keys_change(key: &SigningKey, now: SystemTime) -> Result<(), Box<dyn Error>> {
    let (new_key, day_of_the_change) = (key.public_key("new"), now);
    let receiver = Receiver::builder()
        .app_id("my-app")
        .key(PublicKey::published().until(day_of_the_change + Duration::from_secs(24 * 60 * 60)))
        .key(new_key)
        .build();
    let body = EventBuilder::install().app_id("my-app").at(now).body();
    let event = receiver.receive(&key.headers(&body), body, now).await?;
    println!("verified by the key `{}`", event.key_id());
    Ok(())
}

fn for_some_locations() -> Receiver {
    Receiver::builder().app_id("my-app").locations(["l1C08ntBrFjLS0elLIYU"]).build()
}

fn for_a_delivery_url() -> Receiver {
    Receiver::builder().app_id_if_present("my-app").locations(["l1C08ntBrFjLS0elLIYU"]).build()
}

fn with_the_older_signature() -> Receiver {
    // 2026-09-01T00:00:00Z
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(1_788_220_800);
    Receiver::builder().app_id("my-app").accept_rsa_until(RsaPublicKey::published(), end).build()
}

fn for_resends_by_hand() -> Receiver {
    let (three_days, five_minutes) = (Duration::from_secs(3 * 24 * 60 * 60), Duration::from_secs(5 * 60));
    Receiver::builder().app_id("my-app").window(three_days, five_minutes).build()
}

fn with_more_memory() -> Receiver {
    let deduplicator =
        InMemoryDeduplicator::new().capacity(2_000_000).retention(Duration::from_secs(48 * 60 * 60));
    Receiver::builder().app_id("my-app").deduplicator(deduplicator).build()
}

fn with_eviction() -> Receiver {
    let deduplicator = InMemoryDeduplicator::new().on_full(OnFull::EvictOldest);
    Receiver::builder().app_id("my-app").deduplicator(deduplicator).build()
}

/// Stands for a database: a table of ids with a unique index, and the table that the work goes to.
#[derive(Debug, Default)]
struct Database {
    tables: Mutex<(HashSet<String>, Vec<String>)>,
}

impl Database {
    /// Inserts the id and the work in one transaction. Returns `true` if the id was new.
    fn insert_once(&self, id: &str, work: &str) -> bool {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = tables.0.insert(id.to_owned());
        if is_new {
            tables.1.push(work.to_owned());
        }
        is_new
    }
}

fn in_the_callers_transaction(key: &SigningKey, now: SystemTime) -> Result<(), Box<dyn Error>> {
    let receiver = Receiver::builder().app_id("my-app").key(key.public_key("test")).build();
    let database = Database::default();
    let body = EventBuilder::inbound_sms("We are on our way").app_id("my-app").at(now).body();
    for _machine in 0..3 {
        respond(&receiver, &database, &key.headers(&body), body.clone(), now)?;
    }
    let tables = database.tables.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(tables.1, ["We are on our way"], "handled once");
    Ok(())
}

/// Respond with 200 to new events and to those that were handled before.
fn respond(
    receiver: &Receiver,
    database: &Database,
    headers: &HeaderMap,
    body: Bytes,
    now: SystemTime,
) -> Result<(), WebhookError> {
    let event = receiver.verify(headers, body, now)?;
    if let Event::InboundMessage(message) = event.event() {
        let is_new = database.insert_once(event.id().as_str(), message.body.as_deref().unwrap_or_default());
        println!("{} {}", event.id(), if is_new { "was handled" } else { "had been handled" });
    }
    Ok(())
}

/// Three machines share a deduplicator. The conformance suite of the crate tests it.
async fn in_a_shared_store(key: &SigningKey, now: SystemTime) -> Result<(), Box<dyn Error>> {
    let store = Arc::new(SharedStore::default());
    let timing = Timing { claim_timeout: Some(CLAIM_TIMEOUT), ..Timing::default() };
    conformance::run(async || Ok(Arc::clone(&store)), timing, async |_| ()).await?;

    let store = Arc::new(SharedStore::default());
    let body = EventBuilder::inbound_sms("We are on our way").app_id("my-app").at(now).body();
    let mut handled = 0;
    for _machine in 0..3 {
        let receiver = Receiver::builder()
            .app_id("my-app")
            .key(key.public_key("test"))
            .deduplicator(Arc::clone(&store))
            .build();
        match receiver.receive(&key.headers(&body), body.clone(), now).await {
            Ok(event) => {
                handled += 1;
                event.commit().await?;
            }
            Err(error) => assert_eq!(error.kind(), WebhookErrorKind::Duplicate),
        }
    }
    assert_eq!(handled, 1, "handled once");
    Ok(())
}

/// Stands for a table that all machines share: a claim has a token, and ends after ten minutes.
#[derive(Default)]
struct SharedStore {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    rows: HashMap<String, Row>,
    /// The last number of a sequence. In a database, a token can be a random UUID as well.
    last_token: u128,
}

struct Row {
    token: ClaimToken,
    claimed_at: SystemTime,
    is_handled: bool,
}

const CLAIM_TIMEOUT: Duration = Duration::from_secs(10 * 60);

impl SharedStore {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deduplicator for SharedStore {
    fn begin<'a>(&'a self, id: &'a EventId, now: SystemTime) -> DeduplicatorFuture<'a, Claim> {
        Box::pin(async move {
            let mut table = self.table();
            if let Some(row) = table.rows.get(id.as_str()) {
                let has_ended = now.duration_since(row.claimed_at).is_ok_and(|age| age > CLAIM_TIMEOUT);
                if row.is_handled {
                    return Ok(Claim::Handled);
                }
                if !has_ended {
                    return Ok(Claim::InProgress);
                }
            }
            table.last_token += 1;
            let token = ClaimToken::from_u128(table.last_token);
            table.rows.insert(id.as_str().to_owned(), Row { token, claimed_at: now, is_handled: false });
            Ok(Claim::Granted(token))
        })
    }

    fn commit<'a>(&'a self, id: &'a EventId, token: ClaimToken) -> DeduplicatorFuture<'a, CommitResult> {
        Box::pin(async move {
            Ok(match self.table().rows.get_mut(id.as_str()) {
                Some(row) if row.token == token => {
                    row.is_handled = true;
                    CommitResult::Committed
                }
                _ => CommitResult::ClaimLost,
            })
        })
    }

    fn abort<'a>(&'a self, id: &'a EventId, token: ClaimToken) -> DeduplicatorFuture<'a, ()> {
        Box::pin(async move {
            let mut table = self.table();
            if table.rows.get(id.as_str()).is_some_and(|row| row.token == token && !row.is_handled) {
                table.rows.remove(id.as_str());
            }
            Ok(())
        })
    }

    /// Rows are never deleted.
    fn retain_at_least(&self, _: Duration) {}
}
