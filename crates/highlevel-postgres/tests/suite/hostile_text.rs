//! Text that PostgreSQL cannot store: U+0000 in responses, events and messages.

use std::time::{Duration, SystemTime};

use highlevel::webhook::testing::{EventBuilder, SigningKey};
use highlevel_postgres::inbox::Accepted;
use highlevel_postgres::{ErrorKind, Outgoing};
use highlevel_sandbox::{Fault, FaultRule, FaultSchedule, FaultStage};

use crate::support::roles::{KEY_SEED, receiver};
use crate::support::{TestDatabase, clients, generous_limits, sandbox, sms, until};

/// A response whose JSON is as given.
fn response(status: &str, json: &str) -> Fault {
    let length = json.len();
    Fault::raw(format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{json}"
    ))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn responses_that_cannot_be_stored_block_no_other_results() {
    let Some((test, _)) = TestDatabase::migrated().await else { return };
    let database = test.builder().limits(generous_limits()).connect().await.expect("a connection");
    let sandbox = sandbox().await;
    let faults = [
        response(
            "400 Bad Request",
            r#"{"statusCode":400,"message":"bad \u0000 text","canonicalCode":"A\u0000B"}"#,
        ),
        response("401 Unauthorized", r#"{"statusCode":401,"message":"bad \u0000 token"}"#),
        response("201 Created", r#"{"conversationId":"c\u0000d","messageId":"m\u0000n"}"#),
    ];
    for (fault, nth) in faults.into_iter().zip(1..) {
        let rule = FaultRule::new(fault).stage(FaultStage::Before).schedule(FaultSchedule::Nth(nth));
        sandbox.add_fault(rule).expect("a fault");
    }
    for number in 0..6 {
        let outgoing = Outgoing::new(sandbox.location_id(), sms(sandbox.contact_id(), &number.to_string()));
        database.outbox().enqueue(outgoing.unordered()).await.expect("enqueued");
    }
    let clients = clients(sandbox.base_url(), sandbox.token().to_owned(), &database);
    let sender = database.outbox().sender(clients).in_flight(1).start();
    until("the location is held because of its token", || {
        test.sql("SELECT count(*) FROM highlevel.lane WHERE held IS NOT NULL") == "1"
    })
    .await;
    database.outbox().resume(&sandbox.location_id().into(), "Ann").await.expect("resumed");
    until("one message is on the desk, and the others are sent", || {
        test.sql("SELECT count(*) FROM highlevel.outbox_done WHERE outcome = 's'") == "5"
            && test.sql("SELECT count(*) FROM highlevel.outbox WHERE state = 'r'") == "1"
    })
    .await;
    assert!(sender.drain(Duration::from_secs(10)).await);
    let id = test.sql("SELECT message_id FROM highlevel.outbox_done WHERE conversation_id LIKE 'c%d'");
    assert_eq!(id, "m\u{fffd}n");
}

#[tokio::test]
async fn messages_that_cannot_be_stored_leave_the_transaction_usable() {
    let Some((test, database)) = TestDatabase::migrated().await else { return };
    let mut client = database.pool().get().await.expect("a connection");
    let mut transaction = client.transaction().await.expect("a transaction");
    let message = || Outgoing::new("location", sms("contact", "Hello"));
    for outgoing in [
        Outgoing::new("location", sms("contact", "a\0b")),
        Outgoing::new("location", sms("contact\0", "Hello")),
        message().once("a\0b"),
        message().trace("a\0b"),
    ] {
        let error = outgoing.enqueue(&mut transaction).await.expect_err("it cannot be stored");
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
    message().enqueue(&mut transaction).await.expect("enqueued");
    transaction.commit().await.expect("committed");
    assert_eq!(test.number("SELECT count(*) FROM highlevel.outbox"), 1);
}

#[tokio::test]
async fn events_with_any_text_are_accepted_and_handled() {
    let Some((test, database)) = TestDatabase::migrated().await else { return };
    let long = "x".repeat(5_000);
    let events = [
        ("U+0000 in the text", "contact", "a\0b", "webhook1"),
        ("U+0000 in an id", "con\0tact", "text", "webhook2"),
        ("a long contact id", &*long, "text", "webhook3"),
        ("a long event id", "contact", "text", &*long),
        ("U+0000 in the event id", "contact", "text", "web\0hook"),
    ];
    let inbox = database.inbox(receiver());
    let accept = async |name: &str, contact: &str, text: &str, id: &str| {
        let body = EventBuilder::inbound_sms(text)
            .location_id("location")
            .field("contactId", contact)
            .field("messageId", format!("m{}", contact.len()))
            .webhook_id(id)
            .at(SystemTime::now())
            .body();
        let headers = SigningKey::from_seed(KEY_SEED).headers(&body);
        inbox.accept(&headers, body).await.unwrap_or_else(|error| panic!("{name}: {error:?}"))
    };
    for (name, contact, text, id) in events {
        assert_eq!(accept(name, contact, text, id).await, Accepted::New, "{name}");
        assert_eq!(accept(name, contact, text, id).await, Accepted::Duplicate, "{name}");
    }
    let reader = inbox
        .reader(|event, _| {
            let has_nul = String::from_utf8_lossy(event.body()).contains("a\\u0000b");
            Box::pin(async move { if has_nul { Err("a problem with \0".into()) } else { Ok(()) } })
        })
        .attempts(1)
        .poll_interval(Duration::from_millis(10))
        .start();
    until("one event is on the desk, and the others are handled", || {
        test.sql("SELECT count(*), min(problem) FROM highlevel.inbox") == "1|a problem with \u{fffd}"
    })
    .await;
    assert!(reader.drain(Duration::from_secs(10)).await);
}
