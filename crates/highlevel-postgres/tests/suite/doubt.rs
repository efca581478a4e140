//! Unknown outcomes: evidence, the desk, and decisions.

use std::time::{Duration, SystemTime};

use highlevel::webhook::Receiver;
use highlevel::webhook::testing::{EventBuilder, SigningKey};
use highlevel_postgres::outbox::{DeskReason, MessageState, SenderBuilder};
use highlevel_postgres::{Database, ErrorKind, OutboxId, Outgoing};
use highlevel_sandbox::{Ending, Extent, Fault, FaultRule, FaultStage, Sandbox};

use crate::support::{TestDatabase, accepted, clients, generous_limits, sandbox, sms, until_async};

/// A sandbox that stores the next messages and loses the response.
async fn lossy(messages: u64) -> Sandbox {
    let sandbox = sandbox().await;
    let schedule = highlevel_sandbox::FaultSchedule::First(messages);
    sandbox
        .add_fault(FaultRule::new(Fault::RESET).stage(FaultStage::After).schedule(schedule))
        .expect("a fault");
    sandbox
}

async fn database(test: &TestDatabase) -> Database {
    test.builder().limits(generous_limits()).connect().await.expect("a connection")
}

fn sender(database: &Database, sandbox: &Sandbox) -> SenderBuilder {
    database
        .outbox()
        .sender(clients(sandbox.base_url(), sandbox.token().to_owned(), database))
        .poll_interval(Duration::from_millis(10))
        .attempt_timeout(Duration::from_secs(5))
        .without_reading_back()
}

async fn enqueue(database: &Database, sandbox: &Sandbox, text: &str) -> OutboxId {
    let outgoing = Outgoing::new(sandbox.location_id(), sms(sandbox.contact_id(), text));
    database.outbox().enqueue(outgoing).await.expect("enqueued").id
}

async fn state(database: &Database, id: OutboxId) -> MessageState {
    database.outbox().state(id).await.expect("a response").expect("a message")
}

async fn until_on_desk(database: &Database, id: OutboxId) {
    until_async("the message is on the desk", async || {
        database.outbox().desk().inspect(id).await.expect("a response").is_some()
    })
    .await;
}

/// The event of the message of a sandbox, verified as a webhook is.
async fn observe(database: &Database, sandbox: &Sandbox, text: &str) {
    let message =
        sandbox.messages().into_iter().find(|message| message.text() == Some(text)).expect("a message");
    let key = SigningKey::from_seed([1; 32]);
    let body = EventBuilder::outbound_sms(text)
        .location_id(sandbox.location_id())
        .field("contactId", sandbox.contact_id())
        .field("messageId", message.id.as_str())
        .field("conversationId", message.conversation_id.as_str())
        .field("dateAdded", highlevel::Timestamp::from(SystemTime::now()).to_string())
        .at(SystemTime::now())
        .body();
    let receiver = Receiver::builder().any_app().key(key.public_key("test")).build();
    let event = receiver.verify(&key.headers(&body), body, SystemTime::now()).expect("a genuine event");
    database.outbox().observe(&event).await.expect("stored");
}

#[tokio::test]
async fn an_event_proves_that_an_unknown_message_was_sent() {
    let Some((test, _)) = TestDatabase::migrated().await else { return };
    let (database, sandbox) = (database(&test).await, lossy(1).await);
    let id = enqueue(&database, &sandbox, "Your table is ready").await;
    let sender = sender(&database, &sandbox).start();
    until_async("the outcome is unknown", async || {
        state(&database, id).await == MessageState::Unknown { is_on_desk: false }
    })
    .await;
    observe(&database, &sandbox, "Your table is ready").await;
    until_async("the message counts as sent", async || {
        matches!(state(&database, id).await, MessageState::Sent { message: Some(_) })
    })
    .await;
    assert!(sender.drain(Duration::from_secs(10)).await);
    let MessageState::Sent { message: Some(message) } = state(&database, id).await else {
        panic!("it was sent")
    };
    assert_eq!(message.as_str(), sandbox.messages()[0].id);
    assert_eq!(accepted(&sandbox, sandbox.contact_id(), "Your table is ready"), 1);
    let what: Vec<String> =
        database.outbox().history(id).await.expect("a history").into_iter().map(|entry| entry.what).collect();
    assert_eq!(what, ["unknown", "sent"]);
}

#[tokio::test]
async fn an_event_after_the_last_look_is_evidence_as_well() {
    let Some((test, _)) = TestDatabase::migrated().await else { return };
    let (database, sandbox) = (database(&test).await, lossy(1).await);
    let id = enqueue(&database, &sandbox, "late").await;
    let sender = sender(&database, &sandbox).look_schedule([]).start();
    until_on_desk(&database, id).await;
    observe(&database, &sandbox, "late").await;
    until_async("the message counts as sent", async || {
        matches!(state(&database, id).await, MessageState::Sent { .. })
    })
    .await;
    drop(sender);
}

#[tokio::test]
async fn nothing_unknown_is_sent_again_without_a_decision() {
    let Some((test, _)) = TestDatabase::migrated().await else { return };
    let (database, sandbox) = (database(&test).await, lossy(3).await);
    let desk = database.outbox().desk();
    let sent = enqueue(&database, &sandbox, "was sent").await;
    let running = sender(&database, &sandbox)
        .look_schedule([Duration::from_millis(100)])
        .hold_after_unknown(Duration::ZERO)
        .start();
    until_on_desk(&database, sent).await;
    let entry = desk.inspect(sent).await.expect("a response").expect("an entry");
    assert_eq!((entry.reason, entry.attempt), (DeskReason::Unknown, 1));
    assert_eq!(entry.problem.expect("a problem")["evidence"]["result"], "not found");
    desk.was_sent(sent, None, "Ann", "seen in the app").await.expect("decided");
    assert_eq!(state(&database, sent).await, MessageState::Sent { message: None });

    let not_sent = enqueue(&database, &sandbox, "was not sent").await;
    until_on_desk(&database, not_sent).await;
    desk.was_not_sent(not_sent, "Ann", "the contact was deleted").await.expect("decided");
    assert_eq!(state(&database, not_sent).await, MessageState::NotSent);

    let again = enqueue(&database, &sandbox, "again").await;
    until_on_desk(&database, again).await;
    // The sender may still be sending it.
    let error = desk.send_again(again, "Ann", "the contact has not got it").await.expect_err("still alive");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(desk.send_again(again, "", "").await.expect_err("no reason").kind(), ErrorKind::Invalid);
    assert!(running.drain(Duration::from_secs(10)).await);
    desk.send_again(again, "Ann", "the contact has not got it").await.expect("decided");
    let next = sender(&database, &sandbox).start();
    until_async("it is sent", async || matches!(state(&database, again).await, MessageState::Sent { .. }))
        .await;
    assert!(next.drain(Duration::from_secs(10)).await);
    let contact = sandbox.contact_id();
    let times = ["was sent", "was not sent", "again"].map(|text| accepted(&sandbox, contact, text));
    assert_eq!(times, [1, 1, 2]);
    let history = database.outbox().history(again).await.expect("a history");
    let decision = history.iter().find(|entry| entry.by.is_some()).expect("a decision");
    assert_eq!((decision.what.as_str(), decision.by.as_deref()), ("send again", Some("Ann")));
    assert_eq!(decision.detail.as_ref().expect("details")["reason"], "the contact has not got it");
    // Nothing is left to decide.
    assert!(desk.list(10).await.expect("a response").is_empty());
    assert_eq!(
        desk.was_sent(again, None, "Ann", "late").await.expect_err("completed").kind(),
        ErrorKind::Conflict
    );
}

#[tokio::test]
async fn rejected_messages_get_to_the_desk() {
    let Some((test, _)) = TestDatabase::migrated().await else { return };
    let (database, sandbox) = (database(&test).await, sandbox().await);
    let outgoing = Outgoing::new(sandbox.location_id(), sms("noSuchContact0000000", "Hello"));
    let id = database.outbox().enqueue(outgoing).await.expect("enqueued").id;
    let running = sender(&database, &sandbox).start();
    until_on_desk(&database, id).await;
    let entry = database.outbox().desk().inspect(id).await.expect("a response").expect("an entry");
    assert_eq!(entry.reason, DeskReason::Rejected);
    assert!(entry.problem.expect("a problem")["status"].is_u64());
    assert_eq!(database.stats().await.expect("numbers").desk, 1);
    drop(running);
}

/// Of two equal messages, one was not accepted and is unknown, and the other is being sent. The event is that of the second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_event_of_an_attempt_in_progress_is_no_evidence_for_an_equal_message() {
    let Some((test, _)) = TestDatabase::migrated().await else { return };
    let (database, sandbox) = (database(&test).await, sandbox().await);
    let slow = Fault::RESET.ending(Ending::Normal).sending(Extent::Everything).after(Duration::from_secs(3));
    for (fault, stage, nth) in [(Fault::RESET, FaultStage::Before, 1), (slow, FaultStage::After, 2)] {
        let schedule = highlevel_sandbox::FaultSchedule::Nth(nth);
        sandbox.add_fault(FaultRule::new(fault).stage(stage).schedule(schedule)).expect("a fault");
    }
    let mut ids = Vec::new();
    for _ in 0..2 {
        let outgoing = Outgoing::new(sandbox.location_id(), sms(sandbox.contact_id(), "Hello")).unordered();
        ids.push(database.outbox().enqueue(outgoing).await.expect("enqueued").id);
    }
    let sender = sender(&database, &sandbox).look_schedule([Duration::from_millis(200)]).start();
    until_async("one is unknown, and the other one accepted", async || {
        !sandbox.messages().is_empty() && database.stats().await.expect("numbers").unknown == 1
    })
    .await;
    observe(&database, &sandbox, "Hello").await;
    until_async("one is on the desk, and the other one sent", async || {
        let stats = database.stats().await.expect("numbers");
        (stats.desk, stats.sending) == (1, 0)
    })
    .await;
    assert!(sender.drain(Duration::from_secs(10)).await);
    let mut sent = 0;
    for id in ids {
        match state(&database, id).await {
            MessageState::Sent { message } => {
                sent += 1;
                assert_eq!(message.expect("an id").as_str(), sandbox.messages()[0].id);
            }
            state => assert_eq!(state, MessageState::Unknown { is_on_desk: true }),
        }
    }
    assert_eq!(sent, 1);
}

/// A message was accepted without a receipt that can be read. Its event may not prove that an equal one was sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_may_belong_to_a_message_without_receipt_decides_nothing() {
    let Some((test, _)) = TestDatabase::migrated().await else { return };
    let (database, sandbox) = (database(&test).await, sandbox().await);
    let empty = Fault::raw("HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n");
    for (fault, stage, nth) in [(empty, FaultStage::After, 1), (Fault::RESET, FaultStage::Before, 2)] {
        let schedule = highlevel_sandbox::FaultSchedule::Nth(nth);
        sandbox.add_fault(FaultRule::new(fault).stage(stage).schedule(schedule)).expect("a fault");
    }
    let accepted = enqueue(&database, &sandbox, "Hello").await;
    let unknown = enqueue(&database, &sandbox, "Hello").await;
    let sender = sender(&database, &sandbox).look_schedule([Duration::from_secs(2)]).start();
    until_async("one is unknown", async || database.stats().await.expect("numbers").unknown == 1).await;
    assert_eq!(state(&database, accepted).await, MessageState::Accepted);
    observe(&database, &sandbox, "Hello").await;
    until_on_desk(&database, unknown).await;
    assert!(sender.drain(Duration::from_secs(10)).await);
    let entry = database.outbox().desk().inspect(unknown).await.expect("a response").expect("an entry");
    assert_eq!(entry.problem.expect("a problem")["evidence"]["result"], "ambiguous");
}

/// A location has sent and received events for many messages since the attempt: a look costs about as much as with few.
#[tokio::test]
async fn an_unknown_message_of_a_busy_location_is_resolved() {
    const MESSAGES: usize = 20_000;
    let Some((test, _)) = TestDatabase::migrated().await else { return };
    let (database, sandbox) = (database(&test).await, lossy(1).await);
    let id = enqueue(&database, &sandbox, "Your table is ready").await;
    let first = sender(&database, &sandbox).start();
    until_async("the outcome is unknown", async || {
        state(&database, id).await == MessageState::Unknown { is_on_desk: false }
    })
    .await;
    assert!(first.drain(Duration::from_secs(10)).await);
    let (location, contact) = (sandbox.location_id(), sandbox.contact_id());
    // Half of them are of the same contact.
    test.sql(&format!(
        "INSERT INTO highlevel.evidence (location, message_id, body)
             SELECT '{location}', 'message' || n, jsonb_build_object('messageId', 'message' || n, 'contactId',
                 CASE n % 2 WHEN 0 THEN '{contact}' ELSE 'contact' || n END)
             FROM generate_series(1, {MESSAGES}) n;
         INSERT INTO highlevel.outbox_done (id, location, outcome, attempt, operation, message_id, enqueued_at, begun_at)
             SELECT -n, '{location}', 's', 1, 'messages', 'message' || n, clock_timestamp(), clock_timestamp()
             FROM generate_series(1, {MESSAGES}) n"
    ));
    observe(&database, &sandbox, "Your table is ready").await;
    let second = sender(&database, &sandbox).start();
    // With a cost that is quadratic, each look would exceed the timeout of a statement.
    until_async("the message counts as sent", async || {
        matches!(state(&database, id).await, MessageState::Sent { message: Some(_) })
    })
    .await;
    assert!(second.drain(Duration::from_secs(10)).await);
}
