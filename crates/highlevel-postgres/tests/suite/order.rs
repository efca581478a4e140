//! The order of the messages of a contact, and fairness among locations.

use std::sync::Arc;
use std::time::Duration;

use highlevel_postgres::{Database, Outgoing};
use highlevel_sandbox::{Contact, Location};

use crate::support::{TestDatabase, generous_limits, sandbox, sms, until};

async fn enqueue(database: &Database, contact: &str, text: &str) {
    let outgoing = Outgoing::new("location", sms(contact, text));
    database.outbox().enqueue(outgoing).await.expect("enqueued");
}

/// Claims as a sender does. Returns the texts of the claimed messages.
fn claim(test: &TestDatabase) -> String {
    test.sql(
        "SELECT string_agg(request ->> 'message', ' ' ORDER BY id) FROM highlevel.claim_v1(
             'test', '00000000-0000-0000-0000-000000000001', 1, 10, 10, 10, interval '1 minute', NULL)",
    )
}

/// Makes the next claim look at the location at once.
fn wake(test: &TestDatabase) {
    test.sql("UPDATE highlevel.lane SET next_at = now() WHERE next_at < 'infinity'");
}

/// Messages that became pending before the cursor of their location, and that no sender has staged.
#[tokio::test]
async fn a_message_behind_the_cursor_is_sent_before_later_ones_of_its_contact() {
    let Some((test, database)) = TestDatabase::migrated().await else { return };
    let mut client = database.pool().get().await.expect("a connection");
    let mut transaction = client.transaction().await.expect("a transaction");
    let slow = Outgoing::new("location", sms("slow", "slow1"));
    slow.enqueue(&mut transaction).await.expect("enqueued");
    for text in ["other1", "other2"] {
        enqueue(&database, "other", text).await;
    }
    test.sql("SELECT highlevel.stage_v1(100)");
    assert_eq!(claim(&test), "other1");
    // The cursor is at the second message. The transaction commits, with one message before and one behind it.
    let slow = Outgoing::new("location", sms("slow", "slow2"));
    slow.enqueue(&mut transaction).await.expect("enqueued");
    transaction.commit().await.expect("committed");
    wake(&test);
    assert_eq!(claim(&test), "slow1");
    wake(&test);
    assert_eq!(claim(&test), "");
}

/// An attempt that was not done returns its message to pending, before the cursor.
#[tokio::test]
async fn a_message_that_was_not_sent_is_sent_before_later_ones_of_its_contact() {
    let Some((test, database)) = TestDatabase::migrated().await else { return };
    for text in ["first", "second"] {
        enqueue(&database, "contact", text).await;
    }
    test.sql("SELECT highlevel.stage_v1(100)");
    assert_eq!(claim(&test), "first");
    test.sql(
        "SELECT highlevel.settle_v1(jsonb_agg(jsonb_build_object('id', id, 'attempt', 1, 'state', 'p')), NULL)
             FROM highlevel.outbox WHERE state = 's'",
    );
    wake(&test);
    assert_eq!(claim(&test), "first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_cancelled_or_held_during_a_claim_is_not_sent() {
    let Some((test, database)) = TestDatabase::migrated().await else { return };
    let test = Arc::new(test);
    for change in ["DELETE FROM highlevel.outbox", "UPDATE highlevel.outbox SET state = 'r', desk_at = now()"]
    {
        enqueue(&database, "contact", "message").await;
        test.sql("SELECT highlevel.stage_v1(100)");
        wake(&test);
        // The claim waits for the row that another transaction changes.
        let mut client = database.pool().get().await.expect("a connection");
        let transaction = client.transaction().await.expect("a transaction");
        transaction.batch_execute(change).await.expect("changed");
        let claiming = tokio::task::spawn_blocking({
            let test = Arc::clone(&test);
            move || claim(&test)
        });
        until("the claim waits", || {
            test.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") != "0"
                || claiming.is_finished()
        })
        .await;
        transaction.commit().await.expect("committed");
        assert_eq!(claiming.await.expect("a claim"), "", "{change}");
        test.sql("DELETE FROM highlevel.outbox");
    }
}

/// One location has far more messages than the others, which are not kept waiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locations_with_few_messages_do_not_wait_for_one_with_many() {
    const MANY: usize = 600;
    const FEW: usize = 10;
    let Some((test, _)) = TestDatabase::migrated().await else { return };
    let database = test.builder().limits(generous_limits()).connect().await.expect("a connection");
    let sandbox = sandbox().await;
    let mut tokens = std::collections::HashMap::new();
    for number in 0..10 {
        let (location, contact) = (format!("location{number}"), format!("contactof{number}"));
        sandbox.put_location(Location::new(&location)).expect("a location");
        sandbox
            .put_contact(Contact::new(&contact).location(&location).phone("+15035550120"))
            .expect("a contact");
        tokens.insert(location.clone(), sandbox.issue_token(&location).expect("a token"));
        for message in 0..if number == 0 { MANY } else { FEW } {
            let outgoing = Outgoing::new(&*location, sms(&contact, &format!("{number} {message}")));
            database.outbox().enqueue(outgoing.unordered()).await.expect("enqueued");
        }
    }
    let (base_url, limiter) = (sandbox.base_url(), database.limiter());
    let clients = move |location: &highlevel::LocationId| {
        let builder =
            highlevel::Client::builder().base_url(&base_url).token(tokens[location.as_str()].clone());
        builder.location(location.clone()).rate_limiter(limiter.clone()).build().expect("a client")
    };
    let sender = database.outbox().sender(clients).in_flight(16).per_location(10).start();
    until("all messages are sent", || sandbox.messages().len() == MANY + 9 * FEW).await;
    assert!(sender.drain(Duration::from_secs(10)).await);
    let last = sandbox.messages().iter().rposition(|message| !message.text().unwrap_or("").starts_with("0 "));
    let last = last.expect("messages of the other locations");
    // All of theirs, and as many rounds of the large one.
    assert!(last < 9 * FEW + MANY / 3, "the last of the small locations was message {last}");
}
