//! Unknown outcomes without events: the messages of the contact are read back from the sandbox.

use std::time::Duration;

use highlevel_postgres::outbox::{DeskEntry, MessageState, SenderBuilder};
use highlevel_postgres::{Database, Limits, OutboxId, Outgoing};
use highlevel_sandbox::{
    BurstWindow, Contact, Fault, FaultRule, FaultSchedule, FaultStage, RateLimit, Sandbox,
};

use crate::support::{TestDatabase, accepted, clients, generous_limits, sandbox, sms, until_async};

const SEND: &str = "sendMessage";

/// A database, and a sandbox that resets the connection at this stage of these requests to send.
async fn set_up(stage: FaultStage, schedule: FaultSchedule) -> Option<(TestDatabase, Database, Sandbox)> {
    let (test, _) = TestDatabase::migrated().await?;
    let database = test.builder().limits(generous_limits()).connect().await.expect("a connection");
    let sandbox = sandbox().await;
    let rule = FaultRule::new(Fault::RESET).operation(SEND).stage(stage).schedule(schedule);
    sandbox.add_fault(rule).expect("a fault");
    Some((test, database, sandbox))
}

fn sender(database: &Database, sandbox: &Sandbox) -> SenderBuilder {
    database
        .outbox()
        .sender(clients(sandbox.base_url(), sandbox.token().to_owned(), database))
        .poll_interval(Duration::from_millis(10))
        .attempt_timeout(Duration::from_secs(5))
        .look_schedule([Duration::from_millis(100)])
        .read_back_pause(Duration::ZERO)
        .hold_after_unknown(Duration::ZERO)
}

async fn enqueue(database: &Database, sandbox: &Sandbox, text: &str) -> OutboxId {
    let outgoing = Outgoing::new(sandbox.location_id(), sms(sandbox.contact_id(), text)).unordered();
    database.outbox().enqueue(outgoing).await.expect("enqueued").id
}

async fn sent(database: &Database, id: OutboxId) -> Option<String> {
    match database.outbox().state(id).await.expect("a response") {
        Some(MessageState::Sent { message }) => Some(message.expect("an id").to_string()),
        _ => None,
    }
}

async fn until_sent(database: &Database, id: OutboxId) -> String {
    until_async("the message counts as sent", async || sent(database, id).await.is_some()).await;
    sent(database, id).await.expect("sent")
}

async fn until_on_desk(database: &Database, id: OutboxId) -> DeskEntry {
    let desk = database.outbox().desk();
    let inspect = async || desk.inspect(id).await.expect("a response");
    until_async("the message is on the desk", async || inspect().await.is_some()).await;
    inspect().await.expect("an entry")
}

#[tokio::test]
async fn a_message_that_is_read_back_was_sent() {
    let Some((_test, database, sandbox)) = set_up(FaultStage::After, FaultSchedule::First(1)).await else {
        return;
    };
    let id = enqueue(&database, &sandbox, "Your table is ready").await;
    let sender = sender(&database, &sandbox).start();
    assert_eq!(until_sent(&database, id).await, sandbox.messages()[0].id);
    assert_eq!(accepted(&sandbox, sandbox.contact_id(), "Your table is ready"), 1);
    assert!(sender.drain(Duration::from_secs(10)).await);
}

#[tokio::test]
async fn a_message_that_is_not_found_is_not_sent_again() {
    let Some((test, database, sandbox)) = set_up(FaultStage::Before, FaultSchedule::First(1)).await else {
        return;
    };
    let id = enqueue(&database, &sandbox, "Your table is ready").await;
    let sender = sender(&database, &sandbox).start();
    let evidence = until_on_desk(&database, id).await.problem.expect("a problem")["evidence"].clone();
    assert_eq!(evidence["result"], "not found", "{evidence}");
    // A person sees what was examined, and until when.
    assert_eq!(evidence["read"]["messages"], 0, "{evidence}");
    assert!(evidence["read"]["until"].is_string(), "{evidence}");
    assert_eq!(accepted(&sandbox, sandbox.contact_id(), "Your table is ready"), 0);
    assert_eq!(test.sql("SELECT state, attempt FROM highlevel.outbox"), "u|1");
    assert!(sender.drain(Duration::from_secs(10)).await);
}

/// The first of two equal messages has a receipt. The second one was not accepted.
#[tokio::test]
async fn the_message_of_another_receipt_is_no_proof() {
    let Some((_test, database, sandbox)) = set_up(FaultStage::Before, FaultSchedule::Nth(2)).await else {
        return;
    };
    let sender = sender(&database, &sandbox).start();
    let first = enqueue(&database, &sandbox, "Hello").await;
    until_sent(&database, first).await;
    let second = enqueue(&database, &sandbox, "Hello").await;
    let entry = until_on_desk(&database, second).await;
    let evidence = &entry.problem.as_ref().expect("a problem")["evidence"];
    assert_eq!(evidence["result"], "not found", "{evidence}");
    assert_eq!(evidence["read"]["messages"], 1, "{evidence}");
    assert_eq!(accepted(&sandbox, sandbox.contact_id(), "Hello"), 1);
    assert!(sender.drain(Duration::from_secs(10)).await);
}

#[tokio::test]
async fn ambiguous_messages_get_to_the_desk_before_the_last_look() {
    let Some((_test, database, sandbox)) = set_up(FaultStage::After, FaultSchedule::First(2)).await else {
        return;
    };
    let ids = [enqueue(&database, &sandbox, "Hello").await, enqueue(&database, &sandbox, "Hello").await];
    let looks = [Duration::from_millis(500), Duration::from_secs(3_600)];
    let sender = sender(&database, &sandbox).look_schedule(looks).start();
    for id in ids {
        let entry = until_on_desk(&database, id).await;
        let evidence = &entry.problem.as_ref().expect("a problem")["evidence"];
        assert_eq!(evidence["result"], "ambiguous", "{evidence}");
        assert_eq!(evidence["messages"].as_array().expect("ids").len(), 2, "{evidence}");
    }
    assert_eq!(accepted(&sandbox, sandbox.contact_id(), "Hello"), 2);
    assert!(sender.drain(Duration::from_secs(10)).await);
}

#[tokio::test]
async fn a_failed_reading_is_repeated_and_shown_on_the_desk() {
    let Some((_test, database, sandbox)) = set_up(FaultStage::After, FaultSchedule::First(1)).await else {
        return;
    };
    let unavailable = sandbox
        .add_fault(FaultRule::new(Fault::status(503)).method("GET").stage(FaultStage::Before))
        .expect("a fault");
    let id = enqueue(&database, &sandbox, "Your table is ready").await;
    let first = sender(&database, &sandbox).start();
    let entry = until_on_desk(&database, id).await;
    let evidence = &entry.problem.as_ref().expect("a problem")["evidence"];
    let text = evidence["read"]["failed"].as_str().expect("a text");
    assert!(text.contains("503"), "{text}");
    assert!(first.drain(Duration::from_secs(10)).await);

    sandbox.remove_fault(unavailable);
    let id = enqueue(&database, &sandbox, "Your table is free").await;
    sandbox
        .add_fault(FaultRule::new(Fault::RESET).operation(SEND).stage(FaultStage::After))
        .expect("a fault");
    let second = sender(&database, &sandbox).start();
    until_sent(&database, id).await;
    assert!(second.drain(Duration::from_secs(10)).await);
}

/// Many messages are read back while others are sent. The sandbox enforces the limits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_back_counts_against_the_limits() {
    const BURST: u32 = 10;
    const INTERVAL: Duration = Duration::from_secs(1);
    let Some((test, _)) = TestDatabase::migrated().await else { return };
    let limits = Limits::new(BURST, INTERVAL, 200_000).margin(Duration::from_millis(600));
    let database = test.builder().limits(limits).connect().await.expect("a connection");
    let burst = usize::try_from(BURST).expect("a small number");
    let enforced = RateLimit::documented().window(BurstWindow::Sliding).burst(burst).interval(INTERVAL);
    let sandbox = Sandbox::builder().rate_limit(enforced).start().await.expect("a sandbox");
    let rule = FaultRule::new(Fault::RESET).operation(SEND).stage(FaultStage::After);
    sandbox.add_fault(rule.schedule(FaultSchedule::First(6))).expect("a fault");
    let mut ids = Vec::new();
    for number in 0..12 {
        let contact = format!("contact{number}");
        sandbox.put_contact(Contact::new(&contact).phone("+15035550120")).expect("a contact");
        let outgoing = Outgoing::new(sandbox.location_id(), sms(&contact, "Hello"));
        ids.push(database.outbox().enqueue(outgoing).await.expect("enqueued").id);
    }
    let sender = sender(&database, &sandbox).attempt_timeout(Duration::from_secs(30)).start();
    for id in ids {
        until_sent(&database, id).await;
    }
    assert_eq!(sandbox.rate_limited(), 0);
    assert!(sender.drain(Duration::from_secs(10)).await);
}
