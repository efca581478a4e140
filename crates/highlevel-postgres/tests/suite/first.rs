//! The main path: enqueued in a transaction, sent by another process, and once only.

use highlevel_postgres::Outgoing;
use serde_json::json;

use crate::support::child::Process;
use crate::support::{TestDatabase, accepted, sandbox, sms, until};

const MESSAGES: usize = 200;

/// A sender is killed in the middle again and again; the ledger has no message twice, and every message is sent or
/// reported as unknown.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_committed_transactions_are_sent_once_by_senders_that_are_killed() {
    let Some((test, database)) = TestDatabase::migrated().await else { return };
    let sandbox = sandbox().await;
    let (location, contact) = (sandbox.location_id(), sandbox.contact_id());
    test.sql("CREATE TABLE booking (id int PRIMARY KEY)");

    let mut client = database.pool().get().await.expect("a connection");
    for number in 0..MESSAGES {
        let mut transaction = client.transaction().await.expect("a transaction");
        let id = i32::try_from(number).expect("a small number");
        transaction.execute("INSERT INTO booking VALUES ($1)", &[&id]).await.expect("a booking");
        Outgoing::new(location, sms(contact, &format!("message {number}")))
            .unordered()
            .enqueue(&mut transaction)
            .await
            .expect("enqueued");
        if number % 10 == 9 {
            transaction.rollback().await.expect("rolled back");
        } else {
            transaction.commit().await.expect("committed");
        }
    }
    let committed = |number: usize| number % 10 != 9;

    let role = json!({
        "role": "sender", "url": test.url(), "base_url": sandbox.base_url(), "token": sandbox.token(),
        "in_flight": 4, "attempt_ms": 1_000, "margin_ms": 500,
    });
    for round in 0..4 {
        let child = Process::start(&role);
        assert_eq!(child.line(), "ready");
        let enough = (round + 1) * MESSAGES / 8;
        until("messages are sent", || sandbox.messages().len() >= enough).await;
        child.kill();
    }
    let mut last = Process::start(&role);
    until("every message is sent or unknown", || {
        test.number("SELECT count(*) FROM highlevel.outbox WHERE state <> 'u'") == 0
    })
    .await;
    last.tell("drain");
    last.wait();

    let times: Vec<u64> =
        (0..MESSAGES).map(|number| accepted(&sandbox, contact, &format!("message {number}"))).collect();
    for (number, times) in times.iter().enumerate() {
        let most = u64::from(committed(number));
        assert!(*times <= most, "message {number} was sent {times} times");
    }
    let sent = test.number("SELECT count(*) FROM highlevel.outbox_done WHERE outcome = 's'");
    let unknown = test.number("SELECT count(*) FROM highlevel.outbox WHERE state = 'u'");
    assert_eq!(sent + unknown, i64::try_from(MESSAGES * 9 / 10).expect("a small number"));
    // At most the messages in flight of each killed sender.
    assert!(unknown <= 16, "{unknown} messages are unknown");
    let total: u64 = times.iter().sum();
    assert!(i64::try_from(total).expect("a small number") >= sent, "a message that counts as sent was not");
}
