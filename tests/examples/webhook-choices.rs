//! The choices that a receiver of webhooks offers, and how a program that receives events is tested: keys, locations, the
//! older signature, and deduplication across several machines. Nothing goes over the network.
//!
//! Run it with `cargo run --example webhook-choices`.

use std::collections::HashSet;
use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use axum::http::HeaderMap;
use highlevel::webhook::testing::{EventBuilder, SigningKey};
use highlevel::webhook::{
    Event, InMemory, PublicKey, Receiver, RsaPublicKey, WebhookError, WebhookErrorKind,
};

fn main() -> Result<(), Box<dyn Error>> {
    a_program_is_tested()?;
    let now = SystemTime::now();
    let key = SigningKey::from_seed([1; 32]);
    while_keys_change(&key, now)?;
    several_machines(&key, now)?;
    println!("{:?}", for_some_locations());
    println!("{:?}", for_a_delivery_url());
    println!("{:?}", with_the_older_signature());
    println!("{:?}", with_more_memory());
    println!("{:?}", for_resends_by_hand());
    Ok(())
}

fn a_program_is_tested() -> Result<(), Box<dyn Error>> {
    let key = SigningKey::from_seed([7; 32]);
    let receiver = Receiver::builder().app_id("my-app").key(key.public_key("test")).build();

    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_722_268_288);
    let body = EventBuilder::answered_call(120).app_id("my-app").at(now).body();
    let event = receiver.receive(&key.headers(&body), body.clone(), now)?;
    assert_eq!(event.name(), "OutboundMessage");
    event.commit();

    let again = receiver.receive(&key.headers(&body), body, now).expect_err("it was handled");
    assert_eq!((again.kind(), again.status()), (WebhookErrorKind::Duplicate, 200));
    Ok(())
}

fn while_keys_change(key: &SigningKey, now: SystemTime) -> Result<(), Box<dyn Error>> {
    let (new_key, day_of_the_change) = (key.public_key("new"), now);
    let receiver = Receiver::builder()
        .app_id("my-app")
        .key(PublicKey::published().until(day_of_the_change + Duration::from_secs(24 * 60 * 60)))
        .key(new_key)
        .build();
    let body = EventBuilder::install().app_id("my-app").at(now).body();
    let event = receiver.receive(&key.headers(&body), body, now)?;
    println!("verified by the key `{}`", event.key_id());
    Ok(())
}

fn for_some_locations() -> Receiver {
    Receiver::builder().app_id("my-app").locations(["l1C08ntBrFjLS0elLIYU"]).build()
}

fn for_a_delivery_url() -> Receiver {
    Receiver::builder().app_id_if_named("my-app").locations(["l1C08ntBrFjLS0elLIYU"]).build()
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
    let memory = InMemory::new().capacity(1_000_000).retention(Duration::from_secs(48 * 60 * 60));
    Receiver::builder().app_id("my-app").deduplicate(memory).build()
}

/// In place of a database: a table of ids with a unique index, and the table that the work goes to.
#[derive(Debug, Default)]
struct Database {
    tables: Mutex<(HashSet<String>, Vec<String>)>,
}

impl Database {
    /// One transaction: the id and the work, both or neither. Whether the id was new.
    fn insert_once(&self, id: &str, work: &str) -> bool {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = tables.0.insert(id.to_owned());
        if is_new {
            tables.1.push(work.to_owned());
        }
        is_new
    }
}

fn several_machines(key: &SigningKey, now: SystemTime) -> Result<(), Box<dyn Error>> {
    let receiver =
        Receiver::builder().app_id("my-app").key(key.public_key("test")).deduplicate_elsewhere().build();
    let database = Database::default();
    let body = EventBuilder::inbound_sms("We are on our way").app_id("my-app").at(now).body();
    for _machine in 0..3 {
        answer(&receiver, &database, &key.headers(&body), body.clone(), now)?;
    }
    let tables = database.tables.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(tables.1, ["We are on our way"], "handled once");
    Ok(())
}

/// What to answer is 200 for new events and for those that came before.
fn answer(
    receiver: &Receiver,
    database: &Database,
    headers: &HeaderMap,
    body: Bytes,
    now: SystemTime,
) -> Result<(), WebhookError> {
    let event = receiver.receive(headers, body, now)?;
    if let Event::InboundMessage(message) = event.event() {
        let is_new = database.insert_once(event.id().as_str(), message.body.as_deref().unwrap_or_default());
        println!("{} {}", event.id(), if is_new { "was handled" } else { "had been handled" });
    }
    event.commit();
    Ok(())
}
