//! A process with a file store, for the tests in `tests/processes`, which start several of it, stop and kill it.
//!
//! It reports its progress on standard output, line by line.

use std::io::BufRead;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use highlevel::auth::store::{
    FileStore, Key, LeaseResult, Precondition, PutResult, Resource, StoreError, StoredTokens, TokenStore,
};
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
        ["count", directory, client_id, location, times] => {
            count(directory, client_id, location, times.parse()?).await
        }
        ["store", directory, client_id, location] => store(directory, client_id, location).await,
        _ => Err("the arguments are `write`, `count`, `store` or `send`, and those in the source".into()),
    }
}

/// Writes the numbers, one after the other, from the one that is stored: `has 4`, `writing 5`, `written 5`, …
async fn write(directory: &str, client_id: &str, location: &str) -> Result<()> {
    let store = FileStore::open(directory)?;
    let key = Key::new(client_id, Resource::Location(location.into()));
    let stored = store.get(&key).await?;
    let mut number = match &stored {
        Some(stored) => number(stored)?,
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

/// Adds one to the stored number, that many times, and prints `counted`.
async fn count(directory: &str, client_id: &str, location: &str, times: u64) -> Result<()> {
    let store = FileStore::open(directory)?;
    let key = Key::new(client_id, Resource::Location(location.into()));
    let mut counted = 0;
    while counted < times {
        let (number, precondition) = match store.get(&key).await? {
            None => (0, Precondition::Nothing),
            Some(stored) => (number(&stored)?, Precondition::Version(stored.version)),
        };
        if let PutResult::Stored(_) = store.put(&key, &numbered(number + 1)?, precondition).await? {
            counted += 1;
        }
    }
    println!("counted {counted}");
    Ok(())
}

fn number(stored: &StoredTokens) -> Result<u64> {
    Ok(stored.tokens.scopes.first().ok_or("no number")?.parse()?)
}

/// Runs the commands on standard input, such as `put 3`, and prints a line for each. Errors are printed as
/// `failed StorageFull: …`, with the kind of the I/O error in their sources.
async fn store(directory: &str, client_id: &str, location: &str) -> Result<()> {
    let store = FileStore::open(directory)?;
    let key = Key::new(client_id, Resource::Location(location.into()));
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (command, argument) = line.split_once(' ').unwrap_or((&line, ""));
        let response = match command {
            "run" => run(directory, argument).map(|()| "ran".to_owned()),
            "names" => names(directory, &store.path_of(&key)),
            "open" => FileStore::open(directory).map(|_| "opened".to_owned()).map_err(Into::into),
            _ => operate(&store, &key, command, argument).await,
        };
        match response {
            Ok(response) => println!("{response}"),
            Err(error) => println!("failed {}", describe(&*error)),
        }
    }
    Ok(())
}

async fn operate(store: &FileStore, key: &Key, command: &str, argument: &str) -> Result<String> {
    Ok(match command {
        "put" => match store.put(key, &numbered(argument.parse()?)?, Precondition::Anything).await? {
            PutResult::Stored(_) => format!("stored {argument}"),
            result => format!("{result:?}"),
        },
        "get" => match store.get(key).await? {
            Some(stored) => format!("has {}", number(&stored)?),
            None => "has nothing".to_owned(),
        },
        "remove" => format!("removed {}", store.remove(key, Precondition::Anything).await?),
        "lease" => match store.lease(key, argument, Duration::from_secs(15)).await? {
            LeaseResult::Granted => "granted".to_owned(),
            result => format!("{result:?}"),
        },
        "release" => store.release(key, argument).await.map(|()| "released".to_owned())?,
        _ => return Err(format!("unknown command {command:?}").into()),
    })
}

/// Runs a shell command and ignores its exit status.
fn run(directory: &str, script: &str) -> Result<()> {
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script]).env("DIRECTORY", directory).stderr(std::process::Stdio::null()).status()?;
    Ok(())
}

/// Returns the names of the files in the directory, with `entry` for that of the key.
fn names(directory: &str, entry: &std::path::Path) -> Result<String> {
    let mut names = Vec::new();
    for file in std::fs::read_dir(directory)? {
        let file = file?;
        let is_entry = file.path().file_name() == entry.file_name();
        names.push(if is_entry { "~entry".into() } else { file.file_name().to_string_lossy().into_owned() });
    }
    names.sort();
    Ok(format!("names {}", names.join(" ").replace('~', "")))
}

/// Returns the kind of the I/O error in the sources of an error, and the text of the error.
fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    let sources = std::iter::successors(Some(error), |error| error.source());
    let kinds = sources.filter_map(|error| error.downcast_ref::<std::io::Error>());
    let kind = kinds.map(std::io::Error::kind).next();
    kind.map_or_else(|| error.to_string(), |kind| format!("{kind:?}: {error}"))
}

/// Returns tokens with a number in each field. Those with even numbers are long and the others short, so that a mixture of two
/// is detected.
fn numbered(number: u64) -> Result<TokenSet> {
    let padding = "x".repeat(if number.is_multiple_of(2) { 20_000 } else { 10 });
    let json = format!(
        r#"{{"format":1,"access_token":"access-{number}-{padding}","refresh_token":"refresh-{number}-{padding}",
            "obtained_at_unix_ms":{number},"expires_at_unix_ms":{number},"scopes":["{number}"]}}"#
    );
    Ok(TokenSet::from_json(&SecretString::from(json))?)
}

/// Runs the commands on standard input: `1700000000000 8` sets the clock to that many milliseconds after 1970, and sends
/// eight messages at once. Prints `sent 8`, or `failed` with the error.
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
