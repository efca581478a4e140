//! Limits with requests that are on their way for any time, and while the database crashes and its clock is set.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use highlevel::limit::AcquireErrorKind;
use highlevel::{RateLimitHeaders, RateLimiter};
use highlevel_postgres::{Database, Limits, Outgoing, SharedRateLimiter};
use highlevel_sandbox::{BurstWindow, Contact, Location, RateLimit, Sandbox};
use serde_json::{Value, json};

use crate::support::child::Process;
use crate::support::cluster::{self, Cluster};
use crate::support::{TEST_TIMEOUT, TestDatabase, clients, sms, until};
use tokio::task::JoinSet;

const BURST: u32 = 10;
const INTERVAL: Duration = Duration::from_secs(2);
const MARGIN: Duration = Duration::from_millis(50);

async fn enforcing() -> Sandbox {
    let burst = usize::try_from(BURST).expect("a small number");
    let limits = RateLimit::documented().window(BurstWindow::Sliding).burst(burst).interval(INTERVAL);
    Sandbox::builder().rate_limit(limits).start().await.expect("a sandbox")
}

async fn connect(cluster: &Cluster, name: &str) -> Database {
    let limits = Limits::new(BURST, INTERVAL, 200_000).margin(MARGIN);
    let builder = Database::builder(cluster.url(name)).deployment("test").limits(limits);
    let database = builder.connect().await.expect("a connection");
    database.migrate().await.expect("migrations");
    database
}

/// The limiter's tables are empty after a crash: no permit is issued for one interval.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_of_the_database_causes_no_rejection() {
    const MESSAGES: usize = 35;
    let Some(cluster) = cluster::separate() else { return };
    let (name, sandbox) = (cluster.create_database(), enforcing().await);
    let database = connect(&cluster, &name).await;
    for number in 0..MESSAGES {
        let outgoing = Outgoing::new(sandbox.location_id(), sms(sandbox.contact_id(), &number.to_string()));
        database.outbox().enqueue(outgoing.unordered()).await.expect("enqueued");
    }
    let clients = clients(sandbox.base_url(), sandbox.token().to_owned(), &database);
    let sender = database.outbox().sender(clients).poll_interval(Duration::from_millis(10)).start();
    until("a burst is sent", || sandbox.messages().len() >= 10).await;
    cluster.crash();
    cluster.restart();
    until("all messages are sent", || sandbox.messages().len() == MESSAGES).await;
    assert!(sender.drain(Duration::from_secs(10)).await);
    assert_eq!(sandbox.rate_limited(), 0);
}

/// Four processes send while the clock of the database is set forward and back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jumps_of_the_clock_cause_no_rejection_and_no_long_pause() {
    const LOCATIONS: usize = 3;
    const MESSAGES: usize = 60;
    let Some(cluster) = cluster::with_clock() else { return };
    let (name, sandbox) = (cluster.create_database(), enforcing().await);
    let database = connect(&cluster, &name).await;
    let mut tokens = serde_json::Map::new();
    for number in 0..LOCATIONS {
        let (location, contact) = (format!("location{number}"), format!("contactof{number}"));
        sandbox.put_location(Location::new(&location)).expect("a location");
        sandbox
            .put_contact(Contact::new(&contact).location(&location).phone("+15035550120"))
            .expect("a contact");
        tokens.insert(location.clone(), sandbox.issue_token(&location).expect("a token").into());
        for message in 0..MESSAGES {
            let outgoing = Outgoing::new(&*location, sms(&contact, &format!("{message} of {number}")));
            database.outbox().enqueue(outgoing.unordered()).await.expect("enqueued");
        }
    }
    let role = json!({
        "role": "sender", "url": cluster.url(&name), "base_url": sandbox.base_url(), "token": Value::Object(tokens),
        "burst": BURST, "interval_ms": 2_000, "limit_margin_ms": 50, "in_flight": 16,
    });
    let children: Vec<Process> = (0..4).map(|_| Process::start(&role)).collect();
    for child in &children {
        assert_eq!(child.line(), "ready");
    }
    for (seconds, messages) in [(3_600.0, 30), (3_600.3, 60), (0.0, 90), (-3_600.0, 120), (-3_600.3, 130)] {
        until("messages are sent", || sandbox.messages().len() >= messages).await;
        cluster.set_clock(seconds);
    }
    until("all messages are sent", || sandbox.messages().len() == LOCATIONS * MESSAGES).await;
    assert_eq!(sandbox.rate_limited(), 0);
}

async fn limiter(test: &TestDatabase, limits: Limits) -> SharedRateLimiter {
    test.builder().limits(limits).connect().await.expect("a connection").limiter()
}

/// Requests need up to three intervals to the server, and some get no response. The arrivals are counted here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_window_has_more_arrivals_than_the_limit_whatever_the_delays() {
    const PROCESSES: usize = 4;
    const REQUESTS: u64 = 40;
    const BURST: usize = 5;
    const INTERVAL: Duration = Duration::from_millis(500);
    let Some((test, _)) = TestDatabase::migrated().await else { return };
    let limits = Limits::new(5, INTERVAL, 200_000).margin(Duration::from_millis(20));
    let mut limiters = Vec::new();
    for _ in 0..PROCESSES {
        limiters.push(limiter(&test, limits).await);
    }
    let arrivals = Arc::new(Mutex::new(Vec::new()));
    let mut requests = JoinSet::new();
    for (number, limiter) in (0..REQUESTS).zip(limiters.iter().cycle()) {
        let (limiter, arrivals) = (limiter.clone(), Arc::clone(&arrivals));
        requests.spawn(async move {
            let mut random = fastrand::Rng::with_seed(number);
            let permit = loop {
                let permit = limiter.acquire("location", TEST_TIMEOUT).await.expect("a permit");
                if permit.begin() {
                    break permit;
                }
            };
            let longest = random.choice([0, 0, 200, 1_500]).expect("a choice");
            tokio::time::sleep(Duration::from_millis(random.u64(0..=longest))).await;
            arrivals.lock().expect("the arrivals").push(Instant::now());
            tokio::time::sleep(Duration::from_millis(random.u64(0..100))).await;
            if random.u8(0..8) > 0 {
                permit.observe(&RateLimitHeaders::default(), None);
            }
        });
    }
    requests.join_all().await;
    let mut arrivals = std::mem::take(&mut *arrivals.lock().expect("the arrivals"));
    arrivals.sort();
    assert_eq!(arrivals.len() as u64, REQUESTS);
    for (first, later) in arrivals.iter().zip(&arrivals[BURST..]) {
        let apart = *later - *first;
        assert!(apart >= INTERVAL, "{} requests arrived within {apart:?}", BURST + 1);
    }
}

#[tokio::test]
async fn permits_that_are_not_used_are_given_back_at_once() {
    let Some((test, _)) = TestDatabase::migrated().await else { return };
    let limits = Limits::new(3, Duration::from_secs(3_600), 100).return_timeout(Duration::from_secs(3_600));
    // No pause of an hour.
    test.sql("INSERT INTO highlevel.limiter_birth VALUES (true, 0)");
    let (first, second) = (limiter(&test, limits).await, limiter(&test, limits).await);
    for limiter in [&first, &second, &first] {
        let mut permits = Vec::new();
        for _ in 0..3 {
            permits.push(limiter.acquire("location", TEST_TIMEOUT).await.expect("a permit"));
        }
        drop(permits);
        limiter.flush().await;
    }
    assert_eq!(test.sql("SELECT left_today, cardinality(open_n) FROM highlevel.limiter"), "100|0");
}

/// A claim locks the locations in the order in which they are due. The process that returns permits of the same locations does
/// not wait for it: one of the two transactions would fail, and its permits would count until their timeout.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn permits_are_returned_while_a_claim_locks_their_locations() {
    let Some((test, database)) = TestDatabase::migrated().await else { return };
    let limits = Limits::new(3, Duration::from_secs(3_600), 100).return_timeout(Duration::from_secs(3_600));
    test.sql("INSERT INTO highlevel.limiter_birth VALUES (true, 0)");
    let limiter = limiter(&test, limits).await;
    let mut permits = Vec::new();
    for location in ["a", "b"] {
        permits.push(limiter.acquire(location, TEST_TIMEOUT).await.expect("a permit"));
    }
    // The claim has locked `b`, and will lock `a`.
    let mut client = database.pool().get().await.expect("a connection");
    let claim = client.transaction().await.expect("a transaction");
    let lock = async |location: &str| {
        let lock = format!("SELECT FROM highlevel.limiter WHERE location = '{location}' FOR UPDATE");
        claim.batch_execute(&lock).await
    };
    lock("b").await.expect("locked");
    drop(permits);
    let open =
        "SELECT string_agg(location, ',' ORDER BY location) FROM highlevel.limiter WHERE open_n <> '{}'";
    until("the permit of `a` is returned", || test.sql(open) == "b").await;
    lock("a").await.expect("no deadlock");
    claim.commit().await.expect("committed");
    limiter.flush().await;
    assert_eq!(test.sql(open), "");
}

/// After a crash of the database, the limiter has no rows. Requests that were started before count nevertheless.
#[tokio::test]
async fn permits_are_returned_to_empty_tables() {
    let Some((test, _)) = TestDatabase::migrated().await else { return };
    let limits = Limits::new(3, Duration::from_secs(3_600), 100).return_timeout(Duration::from_secs(3_600));
    test.sql("INSERT INTO highlevel.limiter_birth VALUES (true, 0)");
    let limiter = limiter(&test, limits).await;
    let mut permits = Vec::new();
    for location in ["a", "b", "c"] {
        permits.push(limiter.acquire(location, TEST_TIMEOUT).await.expect("a permit"));
        assert!(permits.last().expect("a permit").begin());
    }
    test.sql("TRUNCATE highlevel.limiter");
    drop(permits);
    limiter.flush().await;
    let counted =
        "SELECT string_agg(location || completed::text, ',' ORDER BY location) FROM highlevel.limiter";
    assert_eq!(test.sql(counted), "a{1},b{1},c{1}");
}

#[tokio::test]
async fn permits_of_a_process_that_has_ended_count_until_their_timeout() {
    let Some((test, _)) = TestDatabase::migrated().await else { return };
    let limits = Limits::new(2, Duration::from_millis(10), 100).margin(Duration::ZERO);
    let limits = limits.return_timeout(Duration::from_secs(4));
    let (ended, other) = (limiter(&test, limits).await, limiter(&test, limits).await);
    let asked = Instant::now();
    for _ in 0..2 {
        let permit = ended.acquire("location", TEST_TIMEOUT).await.expect("a permit");
        assert!(permit.begin());
        // It is never returned, as if the process had been killed.
        std::mem::forget(permit);
    }
    let error = other.acquire("location", Duration::ZERO).await.expect_err("both are in use");
    assert_eq!(error.kind(), AcquireErrorKind::Burst);
    other.acquire("location", TEST_TIMEOUT).await.expect("a permit");
    assert!(asked.elapsed() >= Duration::from_secs(4), "{:?}", asked.elapsed());
}
