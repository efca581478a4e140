//! The roles of child processes.

use std::time::{Duration, SystemTime};

use highlevel::auth::App;
use highlevel::webhook::Receiver;
use highlevel::webhook::testing::SigningKey;
use highlevel::{Client, LocationId, Sms};
use highlevel_postgres::{Database, Limits, Outgoing};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_postgres::types::Type;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

use super::TEST_TIMEOUT;
use super::child::say;

/// The arguments of a role.
pub(super) struct Arguments(pub(super) Value);

impl Arguments {
    fn text(&self, name: &str) -> String {
        self.0[name].as_str().unwrap_or_else(|| panic!("no argument {name}")).to_owned()
    }

    fn number(&self, name: &str, default: u64) -> u64 {
        self.0[name].as_u64().unwrap_or(default)
    }

    fn time(&self, name: &str, default_ms: u64) -> Duration {
        Duration::from_millis(self.number(name, default_ms))
    }

    fn limits(&self) -> Limits {
        if self.0["burst"].is_null() {
            return super::generous_limits();
        }
        let burst = u32::try_from(self.number("burst", 100)).expect("a small number");
        let daily = u32::try_from(self.number("daily", 200_000)).expect("a small number");
        let limits = Limits::new(burst, self.time("interval_ms", 10_000), daily);
        limits.margin(self.time("limit_margin_ms", 100)).return_timeout(self.time("return_ms", 60_000))
    }

    async fn database(&self) -> Database {
        let builder = Database::builder(self.text("url")).deployment("test").limits(self.limits());
        builder.connect().await.expect("a connection")
    }

    /// Clients with the token of each location, or one token for all of them.
    fn clients(&self, database: &Database) -> impl Fn(&LocationId) -> Client + Send + Sync + 'static {
        let (base_url, tokens, limiter) =
            (self.text("base_url"), self.0["token"].clone(), database.limiter());
        move |location| {
            let token = tokens.as_str().or_else(|| tokens[location.as_str()].as_str()).expect("a token");
            Client::builder()
                .base_url(&base_url)
                .token(token)
                .location(location.clone())
                .rate_limiter(limiter.clone())
                .build()
                .expect("a client")
        }
    }
}

/// Waits for a line on standard input or its end, or for SIGTERM.
async fn told() {
    let (line, read) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_line(&mut String::new());
        line.send(())
    });
    let mut terminate =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).expect("a signal handler");
    tokio::select! {
        _ = read => {}
        _ = terminate.recv() => {}
    }
}

/// Sends until it has to drain.
pub(super) async fn send(arguments: &Arguments) {
    let database = arguments.database().await;
    let mut sender = database
        .outbox()
        .sender(arguments.clients(&database))
        .in_flight(usize::try_from(arguments.number("in_flight", 16)).expect("a small number"))
        .attempt_timeout(arguments.time("attempt_ms", 5_000))
        .lease_margin(arguments.time("margin_ms", 2_000))
        .look_schedule([Duration::from_millis(500), arguments.time("last_look_ms", 60_000)])
        .hold_after_unknown(Duration::ZERO)
        .read_back_pause(Duration::ZERO)
        .poll_interval(Duration::from_millis(10));
    if !arguments.0["reads_back"].as_bool().unwrap_or(false) {
        sender = sender.without_reading_back();
    }
    let sender = sender.start();
    let told = told();
    say("ready");
    told.await;
    say(if sender.drain(TEST_TIMEOUT).await { "drained" } else { "timed out" });
}

/// The seed of the key that signs the events of tests.
pub(crate) const KEY_SEED: [u8; 32] = [1; 32];

pub(crate) fn receiver() -> Receiver {
    Receiver::builder().any_app().key(SigningKey::from_seed(KEY_SEED).public_key("test")).build()
}

/// Executes the operations of a token store.
pub(super) async fn store(arguments: &Arguments) {
    super::remote_store::serve(arguments.database().await.tokens()).await;
}

/// Issues the permits of a limiter.
pub(super) async fn limiter(arguments: &Arguments) {
    super::remote_limiter::serve(arguments.database().await.limiter()).await;
}

/// Executes the operations of a deduplicator.
pub(super) async fn deduplicator(arguments: &Arguments) {
    super::remote_deduplicator::serve(arguments.database().await.deduplicator()).await;
}

/// Handles events until it has to drain: each is counted in a table, and its reply is enqueued.
pub(super) async fn read(arguments: &Arguments) {
    let database = arguments.database().await;
    let reader = database
        .inbox(receiver())
        .reader(|event, transaction| {
            Box::pin(async move {
                let json: Value = serde_json::from_slice(event.body())?;
                let text = json["body"].as_str().ok_or("no text")?;
                transaction.query_typed("INSERT INTO handled VALUES ($1)", &[(&text, Type::TEXT)]).await?;
                let (location, contact) = (json["locationId"].as_str(), json["contactId"].as_str());
                let reply = Sms::to(contact.ok_or("no contact")?).text(format!("reply to {text}"));
                Outgoing::new(location.ok_or("no location")?, reply).enqueue(transaction).await?;
                Ok(())
            })
        })
        .lease(arguments.time("lease_ms", 1_000))
        .attempts(u16::try_from(arguments.number("attempts", 8)).expect("a small number"))
        .poll_interval(Duration::from_millis(10))
        .start();
    say("ready");
    told().await;
    say(if reader.drain(TEST_TIMEOUT).await { "drained" } else { "timed out" });
}

/// Makes many calls at once with tokens from the database, by a clock that is wrong by some seconds.
pub(super) async fn call(arguments: &Arguments) {
    let database = arguments.database().await;
    let offset = arguments.number("clock_offset_s", 0);
    let app = App::builder()
        .base_url(arguments.text("base_url"))
        .client_id(arguments.text("client_id"))
        .client_secret(arguments.text("client_secret"))
        .store(database.tokens())
        .rate_limiter(database.limiter())
        .clock(move || SystemTime::now() + Duration::from_secs(offset))
        .build()
        .expect("an app");
    let client = app.location(arguments.text("location"));
    say("ready");
    told().await;
    let mut calls = JoinSet::new();
    for number in 0..arguments.number("calls", 10) {
        let message = Sms::to(arguments.text("contact")).text(format!("message {number}"));
        let client = client.clone();
        calls.spawn(async move { client.messages().send(message).await.map(drop) });
    }
    let results = calls.join_all().await;
    let failed: Vec<String> =
        results.iter().filter_map(|result| result.as_ref().err().map(ToString::to_string)).collect();
    app.flush().await;
    say(&format!("called {} {:?}", results.len() - failed.len(), failed.first()));
}

/// Aborts the process at the nth event with a point of this name.
pub(super) struct AbortAt {
    pub(super) point: String,
    pub(super) countdown: std::sync::atomic::AtomicI64,
}

impl Subscriber for AbortAt {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("highlevel_postgres") && metadata.fields().field("point").is_some()
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut point = Point { expected: &self.point, found: false };
        event.record(&mut point);
        if point.found && self.countdown.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) == 1 {
            // No destructor runs, and no buffer is written: as with SIGKILL.
            std::process::abort();
        }
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Point<'a> {
    expected: &'a str,
    found: bool,
}

impl Visit for Point<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.found |= field.name() == "point" && value == self.expected;
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}
