//! The inbox: events are committed before they are acknowledged, and handled in a transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use highlevel::Sms;
use highlevel::webhook::testing::{EventBuilder, SigningKey};
use highlevel_postgres::inbox::{AcceptError, Accepted};
use highlevel_postgres::{Database, ErrorKind, Outgoing};
use http::HeaderMap;
use serde_json::json;

use crate::crash::crashes;
use crate::support::child::Process;
use crate::support::roles::{KEY_SEED, receiver};
use crate::support::{TestDatabase, until, until_async};

fn event(contact: &str, text: &str) -> (HeaderMap, Bytes) {
    let body = EventBuilder::inbound_sms(text)
        .location_id("location")
        .field("contactId", contact)
        .field("messageId", format!("id of {text}"))
        .webhook_id(&format!("webhook of {text}"))
        .at(SystemTime::now())
        .body();
    (SigningKey::from_seed(KEY_SEED).headers(&body), body)
}

async fn accept(database: &Database, contact: &str, text: &str) -> Accepted {
    let (headers, body) = event(contact, text);
    database.inbox(receiver()).accept(&headers, body).await.expect("accepted")
}

#[tokio::test]
async fn an_event_is_accepted_once_and_only_if_it_is_genuine() {
    let Some((test, database)) = TestDatabase::migrated().await else { return };
    assert_eq!(accept(&database, "contact", "Hello").await, Accepted::New);
    assert_eq!(accept(&database, "contact", "Hello").await, Accepted::Duplicate);
    let (headers, _) = event("contact", "Hello");
    let (_, other) = event("contact", "Goodbye");
    let error = database.inbox(receiver()).accept(&headers, other).await.expect_err("another body");
    assert!(matches!(error, AcceptError::Rejected(_)), "{error}");
    assert_eq!(test.number("SELECT count(*) FROM highlevel.inbox"), 1);
    // The event is evidence as well.
    assert_eq!(test.number("SELECT count(*) FROM highlevel.evidence"), 1);
}

#[tokio::test]
async fn the_writes_of_a_handler_commit_with_its_event() {
    let Some((test, database)) = TestDatabase::migrated().await else { return };
    test.sql("CREATE TABLE handled (text text)");
    accept(&database, "contact", "Hello").await;
    let attempts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&attempts);
    let reader = database
        .inbox(receiver())
        .reader(move |event, transaction| {
            let attempt = counted.fetch_add(1, Ordering::SeqCst);
            Box::pin(async move {
                transaction.execute("INSERT INTO handled VALUES ($1)", &[&event.event().name()]).await?;
                Outgoing::new("location", Sms::to("contact").text("reply")).enqueue(transaction).await?;
                match attempt {
                    0 => Err("the first attempt fails".into()),
                    1 => panic!("the second attempt panics"),
                    _ => Ok(()),
                }
            })
        })
        .first_pause(Duration::from_millis(10))
        .poll_interval(Duration::from_millis(10))
        .start();
    until("the event is handled", || test.number("SELECT count(*) FROM highlevel.inbox") == 0).await;
    assert!(reader.drain(Duration::from_secs(10)).await);
    assert_eq!(attempts.load(Ordering::SeqCst), 3);
    assert_eq!(test.sql("SELECT * FROM handled"), "InboundMessage");
    assert_eq!(test.number("SELECT count(*) FROM highlevel.outbox"), 1);
    // A redelivery is a duplicate, also after the event was handled.
    assert_eq!(accept(&database, "contact", "Hello").await, Accepted::Duplicate);
}

#[tokio::test]
async fn events_that_cannot_be_handled_get_to_the_desk() {
    let Some((_test, database)) = TestDatabase::migrated().await else { return };
    accept(&database, "contact", "poison").await;
    accept(&database, "contact", "next of the contact").await;
    let inbox = database.inbox(receiver());
    let reader = inbox
        .reader(|event, _| {
            let is_poison = String::from_utf8_lossy(event.body()).contains("poison");
            Box::pin(async move { if is_poison { Err("it cannot be handled".into()) } else { Ok(()) } })
        })
        .attempts(2)
        .first_pause(Duration::from_millis(10))
        .poll_interval(Duration::from_millis(10))
        .start();
    until_async("one event is on the desk, and the other one handled", async || {
        let stats = database.stats().await.expect("numbers");
        (stats.inbox_desk, stats.inbox_pending) == (1, 0)
    })
    .await;
    assert!(reader.drain(Duration::from_secs(10)).await);
    let entries = inbox.desk().list(10).await.expect("entries");
    let [entry] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!((entry.attempts, entry.problem.as_deref()), (2, Some("it cannot be handled")));

    inbox.desk().handle_again(entry.id, "Ann", "the handler was fixed").await.expect("decided");
    let reader =
        inbox.reader(|_, _| Box::pin(async { Ok(()) })).poll_interval(Duration::from_millis(10)).start();
    until_async("it is handled", async || database.stats().await.expect("numbers").inbox_pending == 0).await;
    assert!(reader.drain(Duration::from_secs(10)).await);
    let error = inbox.desk().discard(entry.id, "Ann", "late").await.expect_err("handled");
    assert_eq!(error.kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn events_of_a_contact_are_handled_in_order() {
    let Some((test, database)) = TestDatabase::migrated().await else { return };
    test.sql("CREATE TABLE handled (number serial, text text)");
    for number in 0..20 {
        accept(&database, "contact", &format!("{number:02}")).await;
    }
    let reader = || {
        database
            .inbox(receiver())
            .reader(|event, transaction| {
                let json: serde_json::Value = serde_json::from_slice(event.body()).expect("JSON");
                Box::pin(async move {
                    let text = json["body"].as_str().ok_or("no text")?;
                    transaction.execute("INSERT INTO handled (text) VALUES ($1)", &[&text]).await?;
                    Ok(())
                })
            })
            .poll_interval(Duration::from_millis(5))
            .start()
    };
    let readers = [reader(), reader()];
    until("all are handled", || test.number("SELECT count(*) FROM handled") == 20).await;
    let texts = test.sql("SELECT string_agg(text, ' ' ORDER BY number) FROM handled");
    let expected: Vec<String> = (0..20).map(|number| format!("{number:02}")).collect();
    assert_eq!(texts, expected.join(" "));
    drop(readers);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_are_killed_at_any_point_handle_each_event_once() {
    const POINTS: [&str; 4] = ["claimed events", "handling", "handled", "committed"];
    let Some((test, database)) = TestDatabase::migrated().await else { return };
    test.sql("CREATE TABLE handled (text text)");
    let crashes = crashes(2 * POINTS.len());
    let events = 8 * crashes;
    for number in 0..events {
        accept(&database, &format!("contact {}", number % 7), &format!("event {number}")).await;
    }
    let mut random = fastrand::Rng::with_seed(5);
    let mut killed = 0;
    for number in 0..crashes {
        let mut child = Process::start(&json!({
            "role": "reader", "url": test.url(), "lease_ms": 300, "attempts": 1_000,
            "abort_at": POINTS[number % POINTS.len()], "countdown": random.u64(1..6),
        }));
        until("the reader is killed, or nothing is left", || {
            child.has_ended() || test.sql("SELECT count(*) FROM highlevel.inbox") == "0"
        })
        .await;
        killed += usize::from(child.has_ended());
    }
    assert!(killed * 2 > crashes, "only {killed} of {crashes} readers were killed");
    let _last = Process::start(&json!({ "role": "reader", "url": test.url(), "attempts": 1_000 }));
    until("all events are handled", || test.number("SELECT count(*) FROM highlevel.inbox") == 0).await;
    let handled = test.sql("SELECT count(*), count(DISTINCT text) FROM handled");
    assert_eq!(handled, format!("{events}|{events}"));
    // The reply of each event was enqueued with it.
    let replies = test.number("SELECT count(DISTINCT request ->> 'message') FROM highlevel.outbox");
    assert_eq!(usize::try_from(replies), Ok(events));
    assert_eq!(test.number("SELECT count(*) FROM highlevel.outbox"), replies);
}
