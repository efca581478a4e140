//! Measures a refresh storm: the tokens of many locations of an app have expired, and each location sends a message at once.
//!
//! The tokens are in a `FileStore`, and all settings of the app are the defaults. The sandbox is a separate process, which counts
//! the refreshes. `HIGHLEVEL_SANDBOX` names its program; `cargo xtask bench` builds and names it. A failed message is counted,
//! and a location that is not refreshed exactly once is an error.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use highlevel::Sms;
use highlevel::auth::store::{FileStore, Key, Precondition, PutResult, Resource, TokenStore};
use highlevel::auth::{App, TokenSet};
use highlevel_benchmarks::measure::cpu_time_of_process;
use highlevel_benchmarks::process::{Process, body_of, connect, exchange, request};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const LOCATIONS: usize = 3_000;
const LOCATIONS_QUICK: usize = 300;
const ROUNDS: usize = 5;
/// Longer than the lifetime of an access token.
const A_DAY: Duration = Duration::from_secs(86_400);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let Some(program) = std::env::var_os("HIGHLEVEL_SANDBOX").map(PathBuf::from) else {
        println!(
            "SKIPPED: the refresh storm; HIGHLEVEL_SANDBOX does not name the sandbox's program, `cargo xtask bench` does"
        );
        return;
    };
    let (locations, rounds) = if quick { (LOCATIONS_QUICK, 1) } else { (LOCATIONS, ROUNDS) };
    let storm = Storm::set_up(Process::start(&program, &[]), locations).await;
    println!(
        "{locations} locations refresh at once and send a message each, with a file store and default timeouts\n"
    );
    println!("| round | duration | CPU time of the client | sent | not sent |\n|---:|---:|---:|---:|---:|");
    for round in 1..=rounds {
        storm.advance(A_DAY).await;
        let result = storm.run().await;
        println!(
            "| {round} | {:.2} s | {} | {} | {} |",
            result.duration.as_secs_f64(),
            result.cpu.map_or("?".to_owned(), |cpu| format!("{:.2} s", cpu.as_secs_f64())),
            result.sent,
            locations - result.sent,
        );
        storm.check(round).await;
    }
    println!("\nEach location was refreshed once in each round.\n");
}

/// A sandbox with an app that is installed on many locations, and the directory of its tokens.
struct Storm {
    sandbox: Process,
    ids: Vec<String>,
    client_id: String,
    client_secret: String,
    directory: PathBuf,
}

struct Measured {
    duration: Duration,
    /// CPU time of this process, all threads. `None` if it cannot be read.
    cpu: Option<Duration>,
    sent: usize,
}

impl Storm {
    async fn set_up(sandbox: Process, locations: usize) -> Self {
        let mut stream = connect(&sandbox.address).await;
        let app = admin(&mut stream, "GET", "/_sandbox/oauth/apps", &json!(null)).await["apps"][0].take();
        let field = |name: &str| app[name].as_str().expect("a text").to_owned();
        let directory = std::env::temp_dir().join(format!("highlevel-storm-{}", std::process::id()));
        let (client_id, client_secret) = (field("clientId"), field("clientSecret"));
        let ids: Vec<String> = (0..locations).map(|number| format!("location-{number:04}")).collect();
        let contact =
            |id: &String| json!({ "id": format!("{id}-contact"), "locationId": id, "phone": "+15037081213" });
        let seed = json!({
            "locations": ids.iter().map(|id| json!({ "id": id })).collect::<Vec<_>>(),
            "contacts": ids.iter().map(contact).collect::<Vec<_>>(),
        });
        admin(&mut stream, "PUT", "/_sandbox/seed", &seed).await;
        // A refresh that is repeated is counted, however late it is.
        admin(&mut stream, "PATCH", "/_sandbox/clock", &json!({ "speed": 0 })).await;
        let storm = Self { sandbox, ids, client_id, client_secret, directory };
        let store = storm.store();
        let mut puts = JoinSet::new();
        for id in &storm.ids {
            let body = json!({ "locationId": id, "scopes": ["conversations/message.write"] });
            let tokens = admin(&mut stream, "POST", "/_sandbox/oauth/tokens", &body).await;
            let tokens = json!({
                "format": 1,
                "access_token": tokens["access_token"],
                "refresh_token": tokens["refresh_token"],
                "obtained_at_unix_ms": 0,
                "expires_at_unix_ms": 1,
                "scopes": [],
            });
            let tokens = TokenSet::from_json(&tokens.to_string().into()).expect("tokens");
            let (store, key) = (store.clone(), storm.key(id));
            puts.spawn(async move { store.put(&key, &tokens, Precondition::Nothing).await });
        }
        for put in puts.join_all().await {
            assert!(matches!(put, Ok(PutResult::Stored(_))), "{put:?}");
        }
        storm
    }

    fn store(&self) -> FileStore {
        FileStore::open(&self.directory).expect("a store")
    }

    fn key(&self, id: &str) -> Key {
        Key::new(self.client_id.clone(), Resource::Location(id.to_owned().into()))
    }

    async fn advance(&self, by: Duration) {
        let mut stream = connect(&self.sandbox.address).await;
        let by = u64::try_from(by.as_millis()).expect("a short time");
        admin(&mut stream, "PATCH", "/_sandbox/clock", &json!({ "advanceMs": by })).await;
    }

    /// Sends a message of each location with an app that was just started, whose clock is that of the sandbox.
    async fn run(&self) -> Measured {
        let mut stream = connect(&self.sandbox.address).await;
        let clock = admin(&mut stream, "GET", "/_sandbox/clock", &json!(null)).await;
        let now = clock["now"].as_str().expect("a time").parse::<highlevel::Timestamp>().expect("a time");
        let now = now.to_system_time().expect("a time");
        let app = App::builder()
            .client_id(&self.client_id)
            .client_secret(self.client_secret.clone())
            .base_url(format!("http://{}", self.sandbox.address))
            .clock(move || now)
            .store(self.store())
            .build()
            .expect("an app");
        let (started, cpu) = (Instant::now(), cpu_time_of_process());
        let mut calls = JoinSet::new();
        for id in &self.ids {
            let client = app.location(id.as_str());
            let message = Sms::to(format!("{id}-contact")).text("Your table is ready.");
            calls.spawn(async move { client.messages().send(message).await });
        }
        let mut sent = 0;
        while let Some(result) = calls.join_next().await {
            match result.expect("no panic") {
                Ok(_) => sent += 1,
                Err(error) => eprintln!("{error}"),
            }
        }
        let duration = started.elapsed();
        let cpu = cpu_time_of_process().zip(cpu).map(|(after, before)| after.saturating_sub(before));
        app.flush().await;
        Measured { duration, cpu, sent }
    }

    /// Checks that each location was refreshed once per round.
    async fn check(&self, rounds: usize) {
        let mut stream = connect(&self.sandbox.address).await;
        let counts = admin(&mut stream, "GET", "/_sandbox/oauth/requests", &json!(null)).await;
        let counts = counts["requests"].as_array().expect("a list").iter();
        let count = |of: &Value, name: &str| of[name].as_u64().expect("a number");
        // A request that was given up may arrive after its retry, and gets the same response.
        let found: BTreeMap<_, _> = counts
            .filter_map(|of| {
                Some((of["resource"]["locationId"].as_str()?, (count(of, "rotated"), count(of, "refused"))))
            })
            .collect();
        for id in &self.ids {
            assert_eq!(found.get(id.as_str()), Some(&(rounds as u64, 0)), "refreshes of {id}");
        }
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Sends a request of the admin API, and returns the body of its response, or null if it is empty.
async fn admin(stream: &mut TcpStream, method: &str, path: &str, body: &Value) -> Value {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let mut response = Vec::new();
    let status = exchange(stream, &request(method, path, &text), &mut response).await;
    assert!((200..300).contains(&status), "{method} {path}: {}", String::from_utf8_lossy(&response));
    let body = body_of(&response);
    if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).expect("JSON") }
}
