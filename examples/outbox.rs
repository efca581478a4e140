//! Two processes and a database: one enqueues messages in its own transactions, the other sends them.
//!
//! It needs a PostgreSQL database, for example from `createdb highlevel`:
//!
//! ```text
//! export HIGHLEVEL_DATABASE_URL='postgres:///highlevel?host=/var/run/postgresql'
//! cargo run --example outbox                    # kills a sender, and shows that no message was sent twice
//! cargo run --example outbox -- send            # sends to a sandbox until SIGTERM or Ctrl-C
//! cargo run --example outbox -- enqueue 7       # in another terminal: confirms booking 7
//! cargo run --example outbox -- desk            # lists the messages that a person has to decide about
//! ```
//!
//! With `HIGHLEVEL_TOKEN`, `HIGHLEVEL_LOCATION_ID` and `HIGHLEVEL_CONTACT_ID` it uses the live API. Without them the contact is
//! that of the sandbox, which is the same in each run.

use std::error::Error;
use std::process::{Child, Command};
use std::time::Duration;

use highlevel::{Client, LocationId, Sms};
use highlevel_examples::Environment;
use highlevel_postgres::outbox::MessageState;
use highlevel_postgres::{Database, Enqueued, Outgoing};
use highlevel_sandbox::{Operation, Sandbox};
use sqlx::PgPool;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

const BOOKINGS: u32 = 60;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Ok(url) = std::env::var("HIGHLEVEL_DATABASE_URL") else {
        return Err("set HIGHLEVEL_DATABASE_URL to a PostgreSQL database, such as \
                    `postgres:///highlevel?host=/var/run/postgresql`"
            .into());
    };
    let database = Database::builder(&url).deployment("example").connect().await?;
    database.migrate().await?;
    let environment = Environment::load().await?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => demonstrate(&database, &environment, &connect(&url).await?).await,
        ["enqueue", booking] => {
            let enqueued = enqueue(&connect(&url).await?, &environment, booking).await?;
            let result = if enqueued.is_new { "enqueued" } else { "there already" };
            println!("message {} is {result}", enqueued.id);
            Ok(())
        }
        ["send"] => send(&database, &environment).await,
        ["desk"] => desk(&database).await,
        _ => Err("the arguments are `enqueue BOOKING`, `send`, `desk`, or none".into()),
    }
}

/// Connects as the program's own code does, here with sqlx.
async fn connect(url: &str) -> Result<PgPool> {
    let pool = PgPool::connect(url).await?;
    sqlx::query("CREATE TABLE IF NOT EXISTS booking (id text PRIMARY KEY)").execute(&pool).await?;
    Ok(pool)
}

fn location(environment: &Environment) -> Result<LocationId> {
    let id = match environment.sandbox() {
        Some(sandbox) => sandbox.location_id().to_owned(),
        None => std::env::var("HIGHLEVEL_LOCATION_ID")?,
    };
    Ok(id.into())
}

fn text(booking: &str) -> String {
    format!("Booking {booking} is confirmed")
}

/// Confirms a booking and enqueues its message, in one transaction. Repeated, it enqueues nothing.
async fn enqueue(pool: &PgPool, environment: &Environment, booking: &str) -> Result<Enqueued> {
    let contact = environment.get("HIGHLEVEL_CONTACT_ID")?;
    let mut transaction = pool.begin().await?;
    sqlx::query("INSERT INTO booking VALUES ($1) ON CONFLICT DO NOTHING")
        .bind(booking)
        .execute(&mut *transaction)
        .await?;
    let enqueued = Outgoing::new(location(environment)?, Sms::to(contact).text(text(booking)))
        .once(format!("booking-{booking}"))
        // The bookings of this example are of one contact, and may be confirmed in any order.
        .unordered()
        .enqueue(&mut transaction)
        .await?;
    transaction.commit().await?;
    Ok(enqueued)
}

/// Sends until SIGTERM or Ctrl-C, and then completes the attempts that it has started.
async fn send(database: &Database, environment: &Environment) -> Result<()> {
    let client = Client::builder()
        .base_url(environment.base_url())
        .token(environment.get("HIGHLEVEL_TOKEN")?)
        .location(location(environment)?)
        .rate_limiter(database.limiter())
        .build()?;
    let sender = database
        .outbox()
        .sender(move |_: &LocationId| client.clone())
        .in_flight(8)
        .attempt_timeout(Duration::from_secs(5))
        .lease_margin(Duration::from_secs(2))
        .start();
    println!("sending; stop it with SIGTERM or Ctrl-C");
    stop_signal().await?;
    let is_completed = sender.drain(Duration::from_secs(25)).await;
    println!(
        "{}",
        if is_completed { "all attempts are completed" } else { "not all attempts are completed" }
    );
    Ok(())
}

#[cfg(unix)]
async fn stop_signal() -> std::io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn stop_signal() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}

async fn desk(database: &Database) -> Result<()> {
    for entry in database.outbox().desk().list(100).await? {
        println!("{} {:?} {:?}", entry.id, entry.reason, entry.problem);
    }
    println!("{:#?}", database.stats().await?);
    Ok(())
}

/// Enqueues messages, kills the process that sends them in the middle, and starts it again. Then the ledger of the sandbox
/// shows how often each message was accepted.
async fn demonstrate(database: &Database, environment: &Environment, pool: &PgPool) -> Result<()> {
    let sandbox = environment.sandbox().ok_or("this needs the sandbox: unset HIGHLEVEL_TOKEN")?;
    let run = highlevel::Timestamp::from(std::time::SystemTime::now()).to_string();
    let bookings: Vec<String> = (0..BOOKINGS).map(|number| format!("{number} of {run}")).collect();
    let mut messages = Vec::new();
    for booking in &bookings {
        messages.push(enqueue(pool, environment, booking).await?.id);
    }
    println!("{BOOKINGS} bookings are confirmed, each with its message, in a transaction of sqlx");

    let mut sender = start_sender(sandbox)?;
    while sandbox.messages().len() < 20 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    sender.kill()?;
    sender.wait()?;
    println!("the sender was killed after {} messages", sandbox.messages().len());
    let mut sender = start_sender(sandbox)?;
    let (mut sent, mut unknown) = (0, 0);
    while sent + unknown < messages.len() {
        tokio::time::sleep(Duration::from_millis(200)).await;
        (sent, unknown) = (0, 0);
        for id in &messages {
            match database.outbox().state(*id).await? {
                Some(MessageState::Sent { .. }) => sent += 1,
                Some(MessageState::Unknown { .. }) => unknown += 1,
                _ => {}
            }
        }
    }
    sender.kill()?;
    sender.wait()?;

    let contact = environment.get("HIGHLEVEL_CONTACT_ID")?;
    let accepted = |booking: &String| {
        let request = Sms::to(&contact).text(text(booking));
        let request = highlevel::wire::types::SendMessageRequest::from(request);
        Ok(sandbox.accepted_times(Operation::SendMessage, &serde_json::to_value(request)?))
    };
    let times: Vec<u64> = bookings.iter().map(accepted).collect::<Result<_>>()?;
    let count = |of: fn(u64) -> bool| times.iter().filter(|times| of(**times)).count();
    let (once, never, twice) = (count(|it| it == 1), count(|it| it == 0), count(|it| it > 1));
    println!("the ledger: {once} accepted once, {never} not accepted, {twice} more than once");
    println!(
        "the outbox: {sent} sent, {unknown} unknown because of the crash; events or a person decide about these"
    );
    if twice > 0 || never > unknown {
        return Err("a message was sent twice or lost".into());
    }
    Ok(())
}

/// Starts this program as a sender.
fn start_sender(sandbox: &Sandbox) -> Result<Child> {
    let sender = Command::new(std::env::current_exe()?)
        .arg("send")
        .env("HIGHLEVEL_BASE_URL", sandbox.base_url())
        .env("HIGHLEVEL_TOKEN", sandbox.token())
        .env("HIGHLEVEL_LOCATION_ID", sandbox.location_id())
        .spawn()?;
    Ok(sender)
}
