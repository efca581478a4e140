//! Enqueueing, order, scheduling, expiry, pauses and cancelling.

use std::time::{Duration, SystemTime};

use highlevel::LocationId;
use highlevel_postgres::outbox::MessageState;
use highlevel_postgres::{Database, ErrorKind, OutboxId, Outgoing};
use highlevel_sandbox::{Contact, Sandbox};

use crate::support::{TestDatabase, clients, generous_limits, sandbox, sms, until_async};

const HOUR: Duration = Duration::from_secs(3_600);

struct Setup {
    test: TestDatabase,
    database: Database,
    sandbox: Sandbox,
}

impl Setup {
    async fn new() -> Option<Self> {
        let (test, _) = TestDatabase::migrated().await?;
        let database = test.builder().limits(generous_limits()).connect().await.expect("a connection");
        Some(Self { test, database, sandbox: sandbox().await })
    }

    fn outgoing(&self, text: &str) -> Outgoing {
        Outgoing::new(self.sandbox.location_id(), sms(self.sandbox.contact_id(), text))
    }

    async fn enqueue(&self, outgoing: Outgoing) -> OutboxId {
        self.database.outbox().enqueue(outgoing).await.expect("enqueued").id
    }

    fn sender(&self) -> highlevel_postgres::outbox::Sender {
        let clients = clients(self.sandbox.base_url(), self.sandbox.token().to_owned(), &self.database);
        self.database.outbox().sender(clients).poll_interval(Duration::from_millis(10)).start()
    }

    async fn state(&self, id: OutboxId) -> MessageState {
        self.database.outbox().state(id).await.expect("a response").expect("a message")
    }

    async fn until_sent(&self, id: OutboxId) {
        until_async("the message is sent", async || {
            matches!(self.state(id).await, MessageState::Sent { .. })
        })
        .await;
    }

    fn texts(&self) -> Vec<String> {
        self.sandbox.messages().iter().filter_map(|message| message.text().map(str::to_owned)).collect()
    }
}

#[tokio::test]
async fn a_key_makes_a_message_unique_also_after_it_was_sent() {
    let Some(setup) = Setup::new().await else { return };
    let once = |text| setup.outgoing(text).once("booking-7");
    let first = setup.database.outbox().enqueue(once("Your table is ready")).await.expect("enqueued");
    let second = setup.database.outbox().enqueue(once("Your table is ready")).await.expect("enqueued");
    assert_eq!((first.is_new, second.is_new, first.id), (true, false, second.id));
    let sender = setup.sender();
    setup.until_sent(first.id).await;
    let third = setup.database.outbox().enqueue(once("another text")).await.expect("enqueued");
    assert_eq!((third.is_new, third.id), (false, first.id));
    assert!(sender.drain(Duration::from_secs(10)).await);
    assert_eq!(setup.texts(), ["Your table is ready"]);
}

#[tokio::test]
async fn a_key_of_a_transaction_that_was_rolled_back_is_free() {
    let Some(setup) = Setup::new().await else { return };
    let mut client = setup.database.pool().get().await.expect("a connection");
    let mut transaction = client.transaction().await.expect("a transaction");
    setup.outgoing("rolled back").once("key").enqueue(&mut transaction).await.expect("enqueued");
    transaction.rollback().await.expect("rolled back");
    let mut transaction = client.transaction().await.expect("a transaction");
    let mut savepoint = transaction.transaction().await.expect("a savepoint");
    setup.outgoing("rolled back").once("key").enqueue(&mut savepoint).await.expect("enqueued");
    savepoint.rollback().await.expect("rolled back");
    let enqueued = setup.outgoing("committed").once("key").enqueue(&mut transaction).await.expect("enqueued");
    transaction.commit().await.expect("committed");
    assert!(enqueued.is_new);
    assert_eq!(setup.test.number("SELECT count(*) FROM highlevel.outbox"), 1);
}

#[tokio::test]
async fn messages_of_a_contact_are_sent_in_order_and_one_at_a_time() {
    let Some(setup) = Setup::new().await else { return };
    setup.sandbox.put_contact(Contact::new("second").phone("+15035550121")).expect("a contact");
    let mut ids = Vec::new();
    for number in 0..20 {
        ids.push(setup.enqueue(setup.outgoing(&format!("{number}"))).await);
        let other = Outgoing::new(setup.sandbox.location_id(), sms("second", &format!("other {number}")));
        ids.push(setup.enqueue(other).await);
    }
    let (sender, second) = (setup.sender(), setup.sender());
    for id in ids {
        setup.until_sent(id).await;
    }
    assert!(sender.drain(Duration::from_secs(10)).await && second.drain(Duration::from_secs(10)).await);
    let texts = setup.texts();
    for prefix in ["", "other "] {
        let of_contact: Vec<_> =
            texts.iter().filter(|text| text.starts_with("other") != prefix.is_empty()).collect();
        let expected: Vec<String> = (0..20).map(|number| format!("{prefix}{number}")).collect();
        assert_eq!(of_contact, expected.iter().collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn scheduled_messages_wait_and_late_ones_expire() {
    let Some(setup) = Setup::new().await else { return };
    let now = SystemTime::now();
    let scheduled = setup.enqueue(setup.outgoing("tomorrow").at(now + 24 * HOUR)).await;
    let expired = setup.enqueue(setup.outgoing("too late").expires(now - HOUR)).await;
    let soon = setup
        .enqueue(setup.outgoing("soon").at(now + Duration::from_millis(1_500)).expires(now + HOUR))
        .await;
    let sender = setup.sender();
    setup.until_sent(soon).await;
    assert!(SystemTime::now() >= now + Duration::from_millis(1_500));
    assert!(matches!(setup.state(scheduled).await, MessageState::Pending { .. }));
    assert_eq!(setup.state(expired).await, MessageState::Expired);
    assert!(setup.database.outbox().cancel(scheduled, "Ann", "called off").await.expect("a response"));
    assert_eq!(setup.state(scheduled).await, MessageState::Cancelled);
    assert!(!setup.database.outbox().cancel(soon, "Ann", "too late").await.expect("a response"));
    assert!(sender.drain(Duration::from_secs(10)).await);
    assert_eq!(setup.texts(), ["soon"]);
}

#[tokio::test]
async fn nothing_of_a_paused_location_is_sent_until_it_is_resumed() {
    let Some(setup) = Setup::new().await else { return };
    let (outbox, location) = (setup.database.outbox(), LocationId::from(setup.sandbox.location_id()));
    outbox.pause(&location, None, "Ann", "wrong texts").await.expect("paused");
    let id = setup.enqueue(setup.outgoing("Hello")).await;
    let sender = setup.sender();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(setup.sandbox.requests().is_empty());
    let held = setup.database.stats().await.expect("numbers").held_locations;
    assert_eq!(held.get("wrong texts"), Some(&1));
    assert!(outbox.resume(&location, "Ann").await.expect("a response"));
    setup.until_sent(id).await;
    assert!(!outbox.resume(&location, "Ann").await.expect("a response"));
    drop(sender);
}

#[tokio::test]
async fn a_location_without_a_valid_token_is_held() {
    let Some(setup) = Setup::new().await else { return };
    let id = setup.enqueue(setup.outgoing("Hello")).await;
    let clients = clients(setup.sandbox.base_url(), "pit-wrong-token".to_owned(), &setup.database);
    let wrong = setup.database.outbox().sender(clients).poll_interval(Duration::from_millis(10)).start();
    until_async("the location is held", async || {
        !setup.database.stats().await.expect("numbers").held_locations.is_empty()
    })
    .await;
    assert!(wrong.drain(Duration::from_secs(10)).await);
    assert!(matches!(setup.state(id).await, MessageState::Pending { .. }));
    let location = LocationId::from(setup.sandbox.location_id());
    assert!(setup.database.outbox().resume(&location, "Ann").await.expect("a response"));
    let sender = setup.sender();
    setup.until_sent(id).await;
    drop(sender);
}

#[tokio::test]
async fn an_unreachable_host_costs_no_message() {
    let Some(setup) = Setup::new().await else { return };
    let id = setup.enqueue(setup.outgoing("Hello")).await;
    // A port that nothing listens on.
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port");
    let clients = clients(format!("http://{free}"), setup.sandbox.token().to_owned(), &setup.database);
    let unreachable =
        setup.database.outbox().sender(clients).poll_interval(Duration::from_millis(10)).start();
    until_async("two attempts are made", async || {
        setup.database.outbox().history(id).await.expect("a history").len() >= 2
    })
    .await;
    assert!(unreachable.drain(Duration::from_secs(30)).await);
    let sender = setup.sender();
    setup.until_sent(id).await;
    drop(sender);
}

#[tokio::test]
async fn the_database_rejects_a_return_to_pending_without_proof() {
    let Some(setup) = Setup::new().await else { return };
    setup.enqueue(setup.outgoing("Hello")).await;
    setup.test.sql(
        "UPDATE highlevel.outbox SET state = 'u', attempt = 1, begun_at = now();
         DO $$ BEGIN
             UPDATE highlevel.outbox SET state = 'p';
             RAISE 'accepted' USING ERRCODE = 'HL999';
         EXCEPTION WHEN raise_exception THEN NULL; END $$",
    );
    assert_eq!(setup.test.sql("SELECT state FROM highlevel.outbox"), "u");
}

#[tokio::test]
async fn invalid_messages_are_not_enqueued() {
    let Some(setup) = Setup::new().await else { return };
    for outgoing in [
        setup.outgoing("Hello").once(""),
        setup.outgoing("Hello").once("x".repeat(2_000)),
        Outgoing::new("", sms("contact", "Hello")),
    ] {
        let error = setup.database.outbox().enqueue(outgoing).await.expect_err("invalid");
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
}

/// As another driver does: the statement and its parameter are text.
#[tokio::test]
async fn any_driver_enqueues_with_one_statement() {
    let Some(setup) = Setup::new().await else { return };
    let (sql, json) = setup.outgoing("Hello").once("booking-7").into_statement().expect("a statement");
    assert_eq!(sql, "SELECT id, is_new FROM highlevel.enqueue_v1($1::jsonb)");
    let url = setup.test.url();
    let (mut client, connection) =
        tokio_postgres::connect(&url, tokio_postgres::NoTls).await.expect("a connection");
    tokio::spawn(connection);
    let mut ids = Vec::new();
    for (is_committed, is_new) in [(false, true), (true, true), (true, false)] {
        let transaction = client.transaction().await.expect("a transaction");
        let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), _); 1] =
            [(&json, tokio_postgres::types::Type::TEXT)];
        let rows = transaction.query_typed(sql, &parameters).await.expect("a row");
        assert_eq!(rows[0].get::<_, bool>("is_new"), is_new);
        ids.push(rows[0].get::<_, i64>("id"));
        if is_committed {
            transaction.commit().await.expect("committed");
        } else {
            transaction.rollback().await.expect("rolled back");
        }
    }
    assert_eq!(ids[1], ids[2]);
    assert_eq!(
        setup.test.sql("SELECT id, request ->> 'message' FROM highlevel.outbox"),
        format!("{}|Hello", ids[1])
    );
}
