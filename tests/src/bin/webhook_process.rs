//! A process that receives webhooks and shares its deduplicator with other processes, by files in a directory. The tests
//! stop, continue and kill it.
//!
//! `webhook-process DIRECTORY` prints `ready`, and then reads commands: `receive SECONDS`, a delivery of the event that many
//! seconds after its first one, `commit`, `abort` and `conformance`. It prints the result of each.

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use highlevel::webhook::conformance::{self, Timing};
use highlevel::webhook::testing::{EventBuilder, SigningKey};
use highlevel::webhook::{
    Claim, ClaimToken, CommitResult, Deduplicator, DeduplicatorError, DeduplicatorFuture, EventId,
    ReceivedEvent, Receiver,
};

const CLAIM_TIMEOUT: Duration = Duration::from_secs(600);

/// A file of lines, one for each claim, which is locked while it is read and written.
#[derive(Clone)]
struct FileDeduplicator {
    path: PathBuf,
}

/// A line of the file: the state of an event.
#[derive(Clone)]
struct Row {
    token: u128,
    claimed_at: u64,
    state: String,
    id: String,
}

impl FileDeduplicator {
    /// Reads the rows, changes them, and writes them back. The lock ends with the process that holds it.
    fn with_rows<T>(&self, change: impl FnOnce(&mut Vec<Row>) -> T) -> Result<T, DeduplicatorError> {
        let mut file: File =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&self.path)?;
        file.lock()?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let mut rows = Vec::new();
        for line in text.lines() {
            let mut fields = line.splitn(4, ' ');
            let mut field = || fields.next().ok_or("a row is not complete");
            rows.push(Row {
                token: field()?.parse()?,
                claimed_at: field()?.parse()?,
                state: field()?.to_owned(),
                id: field()?.to_owned(),
            });
        }
        let result = change(&mut rows);
        let lines: Vec<String> = rows
            .iter()
            .map(|row| format!("{} {} {} {}\n", row.token, row.claimed_at, row.state, row.id))
            .collect();
        file.rewind()?;
        file.set_len(0)?;
        file.write_all(lines.concat().as_bytes())?;
        Ok(result)
    }
}

impl Deduplicator for FileDeduplicator {
    fn begin<'a>(&'a self, id: &'a EventId, now: SystemTime) -> DeduplicatorFuture<'a, Claim> {
        Box::pin(async move {
            let now = now.duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
            self.with_rows(|rows| {
                let token = rows.iter().map(|row| row.token).max().unwrap_or_default() + 1;
                let claimed =
                    Row { token, claimed_at: now, state: "claimed".to_owned(), id: id.as_str().to_owned() };
                let Some(row) = rows.iter_mut().find(|row| row.id == id.as_str()) else {
                    rows.push(claimed);
                    return Claim::Granted(ClaimToken::from_u128(token));
                };
                let is_current = now <= row.claimed_at.saturating_add(CLAIM_TIMEOUT.as_secs());
                match row.state.as_str() {
                    "handled" => Claim::Handled,
                    "claimed" if is_current => Claim::InProgress,
                    _ => {
                        *row = claimed;
                        Claim::Granted(ClaimToken::from_u128(token))
                    }
                }
            })
        })
    }

    fn commit<'a>(&'a self, id: &'a EventId, token: ClaimToken) -> DeduplicatorFuture<'a, CommitResult> {
        Box::pin(async move {
            self.with_rows(|rows| {
                let row = rows.iter_mut().find(|row| row.id == id.as_str() && row.token == token.as_u128());
                match row {
                    Some(row) if row.state != "aborted" => {
                        "handled".clone_into(&mut row.state);
                        CommitResult::Committed
                    }
                    _ => CommitResult::ClaimLost,
                }
            })
        })
    }

    fn abort<'a>(&'a self, id: &'a EventId, token: ClaimToken) -> DeduplicatorFuture<'a, ()> {
        Box::pin(async move {
            self.with_rows(|rows| {
                let row = rows.iter_mut().find(|row| row.id == id.as_str() && row.token == token.as_u128());
                if let Some(row) = row.filter(|row| row.state == "claimed") {
                    "aborted".clone_into(&mut row.state);
                }
            })
        })
    }

    /// Rows are never deleted.
    fn retain_at_least(&self, _: Duration) {}
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = PathBuf::from(std::env::args().nth(1).ok_or("usage: webhook-process DIRECTORY")?);
    std::fs::create_dir_all(&directory)?;
    let key = SigningKey::from_seed([1; 32]);
    let receiver = Receiver::builder()
        .any_app()
        .key(key.public_key("test"))
        .deduplicator(FileDeduplicator { path: directory.join("events") })
        .build();
    let first = SystemTime::UNIX_EPOCH + Duration::from_secs(1_722_268_288);
    let body = EventBuilder::inbound_sms("We are on our way")
        .webhook_id("w")
        .at(first)
        .field("messageId", "m")
        .body();
    println!("ready");

    let mut received: Option<ReceivedEvent> = None;
    for line in std::io::stdin().lines() {
        let line = line?;
        let (command, argument) = line.split_once(' ').unwrap_or((line.as_str(), ""));
        match command {
            "receive" => {
                let now = first + Duration::from_secs(argument.parse()?);
                match receiver.receive(&key.headers(&body), body.clone(), now).await {
                    Ok(event) => {
                        received = Some(event);
                        println!("granted");
                    }
                    Err(error) => println!("{:?} {}", error.kind(), error.status()),
                }
            }
            "commit" => match received.take().ok_or("nothing was received")?.commit().await {
                Ok(()) => println!("committed"),
                Err(error) => println!("{:?} {}", error.kind(), error.status()),
            },
            "abort" => {
                received.take().ok_or("nothing was received")?.abort().await;
                println!("aborted");
            }
            "conformance" => {
                let deduplicator = FileDeduplicator { path: directory.join("conformance") };
                let timing = Timing { claim_timeout: Some(CLAIM_TIMEOUT), ..Timing::default() };
                match conformance::run(async || Ok(deduplicator.clone()), timing, async |_| ()).await {
                    Ok(()) => println!("conforms"),
                    Err(failures) => println!("{}", failures.to_string().replace('\n', " ")),
                }
            }
            _ => return Err(format!("unexpected command: {line}").into()),
        }
    }
    Ok(())
}
