//! Helpers of the tests.

pub(crate) mod child;
pub(crate) mod cluster;
pub(crate) mod database_proxy;
pub(crate) mod remote;
pub(crate) mod remote_deduplicator;
pub(crate) mod remote_limiter;
pub(crate) mod remote_store;
pub(crate) mod roles;
pub(crate) mod webhooks;

use std::time::{Duration, Instant};

use highlevel::wire::types::SendMessageRequest;
use highlevel::{Client, LocationId, Sms};
use highlevel_postgres::{Database, DatabaseBuilder, Limits};
use highlevel_sandbox::{Operation, RateLimit, Sandbox};

use self::cluster::Cluster;
pub(crate) use self::cluster::TEST_TIMEOUT;

/// An empty database in a cluster.
pub(crate) struct TestDatabase {
    pub(crate) cluster: &'static Cluster,
    pub(crate) name: String,
}

impl TestDatabase {
    /// Creates a database with the schema, or returns `None` if PostgreSQL is not installed.
    pub(crate) async fn migrated() -> Option<(Self, Database)> {
        let test = Self::empty()?;
        let database = test.builder().connect().await.expect("a connection");
        database.migrate().await.expect("migrations");
        Some((test, database))
    }

    pub(crate) fn empty() -> Option<Self> {
        let cluster = cluster::shared()?;
        Some(Self { cluster, name: cluster.create_database() })
    }

    pub(crate) fn url(&self) -> String {
        self.cluster.pooled_url(&self.name)
    }

    pub(crate) fn builder(&self) -> DatabaseBuilder {
        Database::builder(self.url()).deployment("test")
    }

    /// Executes SQL and returns the output of `psql`.
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.cluster.sql(&self.name, sql)
    }

    pub(crate) fn number(&self, sql: &str) -> i64 {
        self.sql(sql).parse().expect("a number")
    }
}

/// Limits with which no test has to wait.
pub(crate) fn generous_limits() -> Limits {
    Limits::new(100_000, Duration::from_millis(1), 10_000_000).margin(Duration::from_secs(2))
}

/// A sandbox whose limits are as generous.
pub(crate) async fn sandbox() -> Sandbox {
    let limits = RateLimit::documented().burst(100_000).interval(Duration::from_millis(1)).daily(10_000_000);
    Sandbox::builder().rate_limit(limits).start().await.expect("a sandbox")
}

/// The text message of a test.
pub(crate) fn sms(contact: &str, text: &str) -> SendMessageRequest {
    Sms::to(contact).text(text).into()
}

/// Returns the number of times that the sandbox accepted the message.
pub(crate) fn accepted(sandbox: &Sandbox, contact: &str, text: &str) -> u64 {
    let body = serde_json::to_value(sms(contact, text)).expect("JSON");
    sandbox.accepted_times(Operation::SendMessage, &body)
}

/// Returns the clients that send to an address with the limiter of the database.
pub(crate) fn clients(
    base_url: String,
    token: String,
    database: &Database,
) -> impl Fn(&LocationId) -> Client + Send + Sync + 'static {
    let limiter = database.limiter();
    move |location| {
        Client::builder()
            .base_url(&base_url)
            .token(token.clone())
            .location(location.clone())
            .rate_limiter(limiter.clone())
            .build()
            .expect("a client")
    }
}

/// Waits until a condition holds.
pub(crate) async fn until(condition: &str, mut holds: impl FnMut() -> bool) {
    until_async(condition, async || holds()).await;
}

/// Waits until a condition that is asked for holds.
pub(crate) async fn until_async(condition: &str, holds: impl AsyncFnMut() -> bool) {
    highlevel_test_support::until(condition, TEST_TIMEOUT, Duration::from_millis(20), holds).await;
}

/// Waits until a number is zero, for as long as it falls.
pub(crate) async fn until_zero(what: &str, mut count: impl FnMut() -> i64) {
    let (mut least, mut end) = (i64::MAX, Instant::now() + TEST_TIMEOUT);
    while least > 0 {
        let now = count();
        if now < least {
            (least, end) = (now, Instant::now() + TEST_TIMEOUT);
        }
        assert!(Instant::now() < end, "no progress within {TEST_TIMEOUT:?}, {least} are left: {what}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
