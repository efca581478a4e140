//! A process for the tests in `suite/auth/processes.rs`, which start several of it, and kill it.
//!
//! It says on standard output what it is doing, line by line.

use std::io::BufRead;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use highlevel::auth::store::{FileStore, Key, Precondition, PutResult, Resource, StoreError, TokenStore};
use highlevel::auth::{App, AppBuilder, TokenSet};
use highlevel::{Client, SecretString, Sms};
use tokio::task::JoinSet;

type Result<T> = std::result::Result<T, StoreError>;

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["write", directory, client_id, location] => write(directory, client_id, location).await,
        ["send", directory, base_url, client_id, client_secret, location, contact] => {
            let app = App::builder().base_url(base_url).client_id(client_id).client_secret(client_secret);
            send(app, FileStore::open(directory)?, location, contact).await
        }
        _ => Err("the arguments are `write` or `send`, and what the source says".into()),
    }
}

/// Writes the numbers, one after the other, from the one that is stored: `has 4`, `writing 5`, `written 5`, …
async fn write(directory: &str, client_id: &str, location: &str) -> Result<()> {
    let store = FileStore::open(directory)?;
    let key = Key::new(client_id, Resource::Location(location.into()));
    let stored = store.get(&key).await?;
    let mut number = match &stored {
        Some(stored) => stored.tokens.scopes.first().ok_or("no number")?.parse()?,
        None => 0,
    };
    let mut expected = stored.map_or(Precondition::Nothing, |stored| Precondition::Version(stored.version));
    println!("has {number}");
    loop {
        number += 1;
        println!("writing {number}");
        match store.put(&key, &numbered(number)?, expected).await? {
            PutResult::Stored(version) => expected = Precondition::Version(version),
            _ => return Err("another process wrote".into()),
        }
        println!("written {number}");
    }
}

/// Tokens that say a number throughout. By turns they are long and short, so that a file that is half one and half the
/// other would show.
fn numbered(number: u64) -> Result<TokenSet> {
    let padding = "x".repeat(if number.is_multiple_of(2) { 20_000 } else { 10 });
    let json = format!(
        r#"{{"format":1,"access_token":"access-{number}-{padding}","refresh_token":"refresh-{number}-{padding}",
            "obtained_at_unix_ms":{number},"expires_at_unix_ms":{number},"scopes":["{number}"]}}"#
    );
    Ok(TokenSet::from_json(&SecretString::from(json))?)
}

/// Sends when it is told to. `1700000000000 8` on standard input means: by your clock it is that many milliseconds after
/// 1970, and send eight messages at once. It answers `sent 8`, or `failed` and why.
async fn send(app: AppBuilder, store: FileStore, location: &str, contact: &str) -> Result<()> {
    let milliseconds = Arc::new(AtomicU64::new(0));
    let clock = Arc::clone(&milliseconds);
    let now = move || SystemTime::UNIX_EPOCH + Duration::from_millis(clock.load(Ordering::SeqCst));
    let client = app.clock(now.clone()).store(store.with_clock(now)).build()?.location(location);
    println!("ready to send");
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (time, messages) = line.split_once(' ').ok_or("no time and number")?;
        milliseconds.store(time.parse()?, Ordering::SeqCst);
        println!("sending {messages}");
        match send_at_once(&client, contact, messages.parse()?).await {
            Ok(()) => println!("sent {messages}"),
            Err(error) => {
                println!("failed {error}: {:?}", std::error::Error::source(&error).map(ToString::to_string));
            }
        }
    }
    Ok(())
}

async fn send_at_once(client: &Client, contact: &str, messages: usize) -> highlevel::Result<()> {
    let mut calls = JoinSet::new();
    for number in 0..messages {
        let (client, message) = (client.clone(), Sms::to(contact).text(format!("message {number}")));
        calls.spawn(async move { client.messages().send(message).await });
    }
    calls.join_all().await.into_iter().try_for_each(|receipt| receipt.map(drop))
}
