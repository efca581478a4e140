//! Two processes and a database: one enqueues messages in its own transactions, the other sends them.
//!
//! It needs a PostgreSQL database, for example from `createdb highlevel`:
//!
//! ```text
//! export HIGHLEVEL_DATABASE_URL='host=/var/run/postgresql dbname=highlevel'
//! cargo run --example outbox -- send            # sends to a sandbox until Ctrl-C, and then completes what it has started
//! cargo run --example outbox -- enqueue 7       # in another terminal: confirms booking 7
//! cargo run --example outbox -- desk            # lists the messages that a person has to decide about
//! ```
//!
//! With `HIGHLEVEL_TOKEN`, `HIGHLEVEL_LOCATION_ID` and `HIGHLEVEL_CONTACT_ID` it uses the live API. Without them the contact is
//! that of the sandbox, which is the same in each run.

use std::error::Error;
use std::time::Duration;

use highlevel::{Client, LocationId, Sms};
use highlevel_examples::Environment;
use highlevel_postgres::{Database, Outgoing};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let url = std::env::var("HIGHLEVEL_DATABASE_URL")
        .map_err(|_| "set HIGHLEVEL_DATABASE_URL to a PostgreSQL database, such as `dbname=highlevel`")?;
    let database = Database::builder(url).deployment("example").connect().await?;
    database.migrate().await?;
    let environment = Environment::load().await?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["enqueue", booking] => enqueue(&database, &environment, booking).await,
        ["send"] => send(&database, &environment).await,
        ["desk"] => desk(&database).await,
        _ => Err("the arguments are `enqueue BOOKING`, `send` or `desk`".into()),
    }
}

fn location(environment: &Environment) -> Result<LocationId, Box<dyn Error>> {
    let id = match environment.sandbox() {
        Some(sandbox) => sandbox.location_id().to_owned(),
        None => std::env::var("HIGHLEVEL_LOCATION_ID")?,
    };
    Ok(id.into())
}

/// Confirms a booking and enqueues its message, in one transaction. Repeated, it enqueues nothing.
async fn enqueue(
    database: &Database,
    environment: &Environment,
    booking: &str,
) -> Result<(), Box<dyn Error>> {
    let mut client = database.pool().get().await?;
    client.batch_execute("CREATE TABLE IF NOT EXISTS booking (id text PRIMARY KEY)").await?;
    let mut transaction = client.transaction().await?;
    transaction.execute("INSERT INTO booking VALUES ($1) ON CONFLICT DO NOTHING", &[&booking]).await?;
    let contact = environment.get("HIGHLEVEL_CONTACT_ID")?;
    let enqueued = Outgoing::new(
        location(environment)?,
        Sms::to(contact).text(format!("Booking {booking} is confirmed")),
    )
    .once(format!("booking-{booking}"))
    .enqueue(&mut transaction)
    .await?;
    transaction.commit().await?;
    println!("message {} is {}", enqueued.id, if enqueued.is_new { "enqueued" } else { "there already" });
    Ok(())
}

/// Sends until Ctrl-C.
async fn send(database: &Database, environment: &Environment) -> Result<(), Box<dyn Error>> {
    let client = Client::builder()
        .base_url(environment.base_url())
        .token(environment.get("HIGHLEVEL_TOKEN")?)
        .location(location(environment)?)
        .rate_limiter(database.limiter())
        .build()?;
    let sender = database.outbox().sender(move |_: &LocationId| client.clone()).start();
    println!("sending; stop it with Ctrl-C");
    tokio::signal::ctrl_c().await?;
    let is_completed = sender.drain(Duration::from_secs(25)).await;
    println!(
        "{}",
        if is_completed { "everything that was started is completed" } else { "not everything is completed" }
    );
    Ok(())
}

async fn desk(database: &Database) -> Result<(), Box<dyn Error>> {
    for entry in database.outbox().desk().list(100).await? {
        println!("{} {:?} {:?}", entry.id, entry.reason, entry.problem);
    }
    println!("{:#?}", database.stats().await?);
    Ok(())
}
