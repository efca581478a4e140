//! Claims whose responses are lost or late.

use std::time::Duration;

use highlevel_postgres::{Database, Outgoing};

use crate::support::database_proxy::{Action, DatabaseProxy};
use crate::support::{TestDatabase, accepted, clients, generous_limits, sandbox, sms, until};

/// The response to one claim is lost, and that to the next one is late. The messages of the lost one are given back and sent
/// by another process; those of the late one are not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_messages_of_lost_claims_are_given_back() {
    let Some((test, direct)) = TestDatabase::migrated().await else { return };
    let sandbox = sandbox().await;
    let proxy = DatabaseProxy::start(test.cluster.socket(), 3).await;
    let connect = async |url: String| {
        let builder = Database::builder(url).deployment("test").limits(generous_limits());
        builder.connect().await.expect("a connection")
    };
    let start = |database: &Database| {
        let clients = clients(sandbox.base_url(), sandbox.token().to_owned(), database);
        // Without permits, a claim can be used for half of its lease.
        let sender = database.outbox().sender(clients).without_limits();
        sender.poll_interval(Duration::from_millis(10)).start()
    };
    let enqueue = async |text: &str| {
        let outgoing = Outgoing::new(sandbox.location_id(), sms(sandbox.contact_id(), text));
        direct.outbox().enqueue(outgoing.unordered()).await.expect("enqueued");
    };
    let proxied = connect(proxy.url(&test.name)).await;
    proxy.on_response("the first message", Action::Cut);
    proxy.on_response("the second message", Action::Delay(Duration::from_secs(4)));
    enqueue("the first message").await;
    let sender = start(&proxied);
    until("the first claim is lost", || {
        test.sql("SELECT count(*) FROM highlevel.outbox WHERE attempt > 0") == "1"
    })
    .await;
    enqueue("the second message").await;
    until("the second claim is committed", || proxy.has_applied_all()).await;
    let other = start(&connect(test.url()).await);
    until("both messages are sent", || test.sql("SELECT count(*) FROM highlevel.outbox") == "0").await;
    assert!(sender.drain(Duration::from_secs(20)).await && other.drain(Duration::from_secs(10)).await);
    for text in ["the first message", "the second message"] {
        assert_eq!(accepted(&sandbox, sandbox.contact_id(), text), 1, "{text}");
    }
    assert_eq!(test.sql("SELECT count(*) FROM highlevel.history WHERE what = 'not done'"), "1");
}
