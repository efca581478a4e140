//! The code of `docs/scale.md`, which a test of the workspace compares with this file. It is compiled and not run; what it
//! shows is run by the other tests.

#![allow(dead_code, reason = "the code of the guide is only compiled")]

use axum::http::HeaderMap;
use highlevel::auth::App;
use highlevel::webhook::{Event, Receiver};
use highlevel::{ContactId, LocationId, MessageId, Sms};
use highlevel_postgres::outbox::{OutboxId, Sender};
use highlevel_postgres::{Database, Outgoing};

type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

struct Settings {
    database_url: String,
    client_id: String,
    client_secret: String,
}

async fn set_up(settings: Settings) -> Result<(Database, Sender)> {
    let database = Database::builder(&settings.database_url).deployment("production").connect().await?;
    database.migrate().await?;

    let app = App::builder()
        .client_id(&settings.client_id)
        .client_secret(settings.client_secret)
        .store(database.tokens())
        .rate_limiter(database.limiter())
        .build()?;

    let sender = database.outbox().sender(app).start();
    Ok((database, sender))
}

async fn send_from_a_transaction(
    mut client: tokio_postgres::Client,
    location: LocationId,
    contact: ContactId,
    id: i64,
) -> Result<()> {
    let mut transaction = client.transaction().await?;
    transaction.execute("UPDATE booking SET confirmed = true WHERE id = $1", &[&id]).await?;
    Outgoing::new(&location, Sms::to(&contact).text("Your table is ready"))
        .once(format!("booking-{id}-ready"))
        .enqueue(&mut transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}

async fn handle_events(database: Database, headers: HeaderMap, body: Vec<u8>) -> Result<()> {
    let inbox = database.inbox(Receiver::builder().app_id("665c6bb13d4e5364bdec0e2f").build());

    // In the handler of the HTTP server: 200 after the commit, otherwise error.status().
    inbox.accept(&headers, body).await?;

    let reader = inbox
        .reader(|event, transaction| {
            Box::pin(async move {
                if let Event::InboundMessage(message) = event.event()
                    && let (Some(location), Some(contact)) = (&message.location_id, &message.contact_id)
                {
                    Outgoing::new(location, Sms::to(contact).text("Thank you")).enqueue(transaction).await?;
                }
                Ok(())
            })
        })
        .start();
    drop(reader);
    Ok(())
}

async fn decide(database: Database, id: OutboxId, message_id: MessageId) -> Result<()> {
    let desk = database.outbox().desk();
    for entry in desk.list(100).await? {
        println!("{} {:?} {:?}", entry.id, entry.reason, entry.problem);
    }
    desk.was_sent(id, Some(message_id), "Ann", "seen in the app").await?;
    desk.was_not_sent(id, "Ann", "the contact was deleted").await?;
    desk.send_again(id, "Ann", "the contact has not received it").await?;
    Ok(())
}
