//! A process for the tests in `processes/send.rs`: it sends messages when it reads a command, and prints the results.
//!
//! Its arguments are the flavour of the runtime (`current` or `multi`), the base URL, the time of one attempt in
//! milliseconds, and `token` or `app`: a client with a token that never expires, or one of an app whose token has expired
//! and whose refresh token is `refresh-1`. Its commands, one a line on standard input:
//!
//! - `send 8` sends eight messages at once and prints `results` with one word for each, like `Ok` or `Unknown`.
//! - `block 500` keeps the thread of the commands busy for so many milliseconds: on a `current` runtime, nothing drives
//!   the sockets and timers meanwhile.
//! - `overlap 1 500` sends one message and keeps the thread busy as soon as its request was written.

use std::io::BufRead;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use highlevel::auth::store::{Key, MemoryStore, Precondition, Resource, TokenStore};
use highlevel::auth::{App, TokenSet};
use highlevel::{Client, LocalRateLimiter, RetryPolicy, SecretString, Sms};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const LOCATION: &str = "ve9EPM428h8vShlRW1KT";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [flavour, base_url, attempt, kind] = arguments.as_slice() else {
        return Err("the arguments are a flavour, a base URL, a time and a kind".into());
    };
    let (commands, received) = unbounded_channel();
    thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(std::io::Result::ok) {
            if commands.send(line).is_err() {
                break;
            }
        }
    });
    let runtime = match flavour.as_str() {
        "current" => tokio::runtime::Builder::new_current_thread().enable_all().build()?,
        "multi" => tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?,
        other => return Err(format!("unknown flavour {other}").into()),
    };
    let attempt = Duration::from_millis(attempt.parse()?);
    let client = match kind.as_str() {
        "token" => client(base_url, attempt)?,
        "app" => runtime.block_on(client_of_app(base_url, attempt))?,
        other => return Err(format!("unknown kind {other}").into()),
    };
    println!("ready");
    runtime.block_on(follow(client, received))
}

fn limiter() -> LocalRateLimiter {
    LocalRateLimiter::with_limits(10_000, Duration::from_millis(1), 1_000_000)
}

fn client(base_url: &str, attempt: Duration) -> highlevel::Result<Client> {
    Client::builder()
        .token("pit-12345678")
        .location(LOCATION)
        .base_url(base_url)
        .rate_limiter(limiter())
        .retry_policy(RetryPolicy::none())
        .attempt_timeout(attempt)
        .build()
}

async fn client_of_app(base_url: &str, attempt: Duration) -> Result<Client> {
    let store = Arc::new(MemoryStore::new());
    let key = Key::new("6650-app", Resource::Location(LOCATION.into()));
    let json = r#"{"format":1,"access_token":"access-1","refresh_token":"refresh-1","obtained_at_unix_ms":1,
                   "expires_at_unix_ms":1,"scopes":[]}"#;
    let tokens = TokenSet::from_json(&SecretString::from(json))?;
    store.put(&key, &tokens, Precondition::Nothing).await.map_err(|error| error.to_string())?;
    let app = App::builder()
        .client_id("6650-app")
        .client_secret("client-secret")
        .base_url(base_url)
        .store(store)
        .rate_limiter(limiter())
        .attempt_timeout(attempt)
        .build()?;
    Ok(app.location(LOCATION))
}

async fn follow(client: Client, mut commands: UnboundedReceiver<String>) -> Result<()> {
    while let Some(command) = commands.recv().await {
        match command.split_once(' ') {
            Some(("send", messages)) => {
                println!("sending");
                println!("results {}", send(&client, messages.parse()?).await.join(" "));
            }
            Some(("block", milliseconds)) => {
                println!("blocking");
                thread::sleep(Duration::from_millis(milliseconds.parse()?));
            }
            Some(("overlap", rest)) => {
                let (messages, milliseconds) = rest.split_once(' ').ok_or("a number and a time")?;
                let pause = Duration::from_millis(milliseconds.parse()?);
                let (client, messages) = (client.clone(), messages.parse()?);
                let results = tokio::spawn(async move { send(&client, messages).await });
                // Long enough for the request to be written, and too short for its response.
                tokio::time::sleep(Duration::from_millis(20)).await;
                thread::sleep(pause);
                println!("results {}", results.await?.join(" "));
            }
            _ => return Err(format!("unknown command {command}").into()),
        }
    }
    Ok(())
}

async fn send(client: &Client, messages: usize) -> Vec<String> {
    let mut calls = JoinSet::new();
    for number in 0..messages {
        let (client, message) = (client.clone(), Sms::to("abc123def456").text(format!("message {number}")));
        calls.spawn(async move { client.messages().send(message).await });
    }
    let results = calls.join_all().await;
    results
        .iter()
        .map(|result| {
            result.as_ref().map_or_else(|error| format!("{:?}", error.delivery()), |_| "Ok".to_owned())
        })
        .collect()
}
