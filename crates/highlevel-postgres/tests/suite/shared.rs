//! Tokens and limits that several processes share.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use highlevel::Timestamp;
use highlevel::auth::TokenSet;
use highlevel::auth::store::{Key, Precondition, Resource, TokenStore};
use highlevel_postgres::{Limits, Outgoing};
use highlevel_sandbox::{BurstWindow, Contact, Location, RateLimit, Sandbox};
use serde_json::{Value, json};

use crate::support::child::Process;
use crate::support::{TestDatabase, sandbox, sms, until_zero};

const PROCESSES: usize = 4;

/// Hosts whose clocks differ by two minutes make 1,000 calls with tokens that have expired: there is one refresh.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_refresh_tokens_once() {
    let Some((test, database)) = TestDatabase::migrated().await else { return };
    let sandbox = sandbox().await;
    let location = highlevel_sandbox::TokenResource::location(sandbox.location_id());
    let issued = sandbox.issue_tokens(&location, ["conversations/message.write"]).expect("tokens");
    let text = |name: &str| issued[name].as_str().expect("a token").to_owned();
    let tokens = TokenSet::new(text("access_token"))
        .with_refresh_token(text("refresh_token"))
        .with_expiry(SystemTime::now() - Duration::from_secs(60))
        .with_location_id(sandbox.location_id());
    let key = Key::new(sandbox.client_id(), Resource::Location(sandbox.location_id().into()));
    database.tokens().put(&key, &tokens, Precondition::Nothing).await.expect("stored");
    let before = refreshes(&sandbox);

    let mut children: Vec<Process> = (0..PROCESSES)
        .map(|number| {
            Process::start(&json!({
                "role": "caller", "url": test.url(), "base_url": sandbox.base_url(), "calls": 250,
                "client_id": sandbox.client_id(), "client_secret": sandbox.client_secret(),
                "location": sandbox.location_id(), "contact": sandbox.contact_id(),
                "clock_offset_s": number * 40,
            }))
        })
        .collect();
    for child in &children {
        assert_eq!(child.line(), "ready");
    }
    for child in &mut children {
        child.tell("call");
    }
    for child in &children {
        assert_eq!(child.line(), "called 250 None");
    }
    assert_eq!(refreshes(&sandbox) - before, 1);
}

fn refreshes(sandbox: &Sandbox) -> u64 {
    sandbox
        .token_requests()
        .iter()
        .map(|requests| requests.rotated + requests.repeated + requests.refused)
        .sum()
}

/// Messages of several locations whose limits the sandbox enforces.
#[derive(Debug, Clone, Copy)]
struct Load {
    locations: usize,
    /// Messages of each location, as a multiple of the burst limit.
    bursts: u32,
    burst: u32,
    interval: Duration,
    margin: Duration,
}

impl Load {
    fn messages(self) -> usize {
        self.locations * usize::try_from(self.bursts * self.burst).expect("a small number")
    }

    async fn enqueue(self, test: &TestDatabase, sandbox: &Sandbox) -> Value {
        let limits = Limits::new(self.burst, self.interval, 200_000).margin(self.margin);
        let database = test.builder().limits(limits).connect().await.expect("a connection");
        let mut tokens = serde_json::Map::new();
        for number in 0..self.locations {
            let (location, contact) = (format!("location{number}"), format!("contactof{number}"));
            sandbox.put_location(Location::new(&location)).expect("a location");
            sandbox
                .put_contact(Contact::new(&contact).location(&location).phone("+15035550120"))
                .expect("a contact");
            tokens.insert(location.clone(), sandbox.issue_token(&location).expect("a token").into());
            for message in 0..self.bursts * self.burst {
                let message = sms(&contact, &format!("message {message} of {number}"));
                let outgoing = Outgoing::new(&*location, message).unordered();
                database.outbox().enqueue(outgoing).await.expect("enqueued");
            }
        }
        let ms = |time: Duration| u64::try_from(time.as_millis()).expect("a small number");
        json!({
            "role": "sender", "url": test.url(), "base_url": sandbox.base_url(), "token": Value::Object(tokens),
            "burst": self.burst, "interval_ms": ms(self.interval), "limit_margin_ms": ms(self.margin),
            // An attempt that takes longer on a busy machine would be unknown, and no evidence arrives.
            "in_flight": 16, "attempt_ms": 50_000,
        })
    }

    /// Sends from four processes. Returns the time between two bursts of a location over the interval, as the mean of all
    /// locations by the clock of the sandbox: 1 is the least that is possible.
    async fn run(self) -> Option<f64> {
        let (test, _) = TestDatabase::migrated().await?;
        let burst = usize::try_from(self.burst).expect("a small number");
        let enforced =
            RateLimit::documented().window(BurstWindow::Sliding).burst(burst).interval(self.interval);
        let sandbox = Sandbox::builder().rate_limit(enforced).start().await.expect("a sandbox");
        let role = self.enqueue(&test, &sandbox).await;
        let children: Vec<Process> = (0..PROCESSES).map(|_| Process::start(&role)).collect();
        for child in &children {
            assert_eq!(child.line(), "ready");
        }
        // Not `messages`, which copies all of them: the sandbox must respond in time.
        until_zero("all messages are sent", || test.number("SELECT count(*) FROM highlevel.outbox")).await;
        let mut times: HashMap<String, Vec<SystemTime>> = HashMap::new();
        for message in sandbox.messages() {
            let time: Timestamp = message.date_added.parse().expect("a time");
            times.entry(message.location_id).or_default().push(time.to_system_time().expect("a time"));
        }
        let ratio = |times: &mut Vec<SystemTime>| {
            times.sort();
            let took = times[times.len() - 1].duration_since(times[burst - 1]).expect("in order");
            took.as_secs_f64() / (self.interval * (self.bursts - 1)).as_secs_f64()
        };
        let ratios: Vec<f64> = times.values_mut().map(ratio).collect();
        let locations = u32::try_from(self.locations).expect("a small number");
        let mean = ratios.iter().sum::<f64>() / f64::from(locations);
        let slowest = ratios.iter().copied().fold(0.0, f64::max);
        println!("time between bursts, over the interval: {mean:.4}, slowest location {slowest:.4}");
        assert_eq!(sandbox.messages().len(), self.messages());
        assert_eq!(sandbox.rate_limited(), 0);
        // A statement that fails in a deadlock loses permits.
        let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
        assert_eq!(test.number(deadlocks), 0);
        assert_eq!(test.number("SELECT count(*) FROM highlevel.outbox WHERE attempt > 1"), 0);
        Some(mean)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn processes_share_limits_without_a_rejection() {
    let (interval, margin) = (Duration::from_secs(1), Duration::from_millis(50));
    let load = Load { locations: 10, bursts: 4, burst: 10, interval, margin };
    let Some(ratio) = load.run().await else { return };
    assert!(ratio >= 1.0, "{ratio}");
}

/// Set this to run the long form. Its ratio depends on the load of the machine.
const LONG: &str = "HIGHLEVEL_POSTGRES_LIMITS";

/// The documented interval and the default margin, which is 1 % of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_locations_take_little_longer_than_their_limits() {
    if std::env::var_os(LONG).is_none() {
        return;
    }
    let (interval, margin) = (Duration::from_secs(10), Limits::default().margin);
    let load = Load { locations: 50, bursts: 7, burst: 20, interval, margin };
    let Some(ratio) = load.run().await else { return };
    assert!(ratio <= 1.06, "{ratio}");
}
