//! Finds out whether a message was sent whose receipt was lost.
//!
//! `cargo run --example lost_reply` runs it against a sandbox. A proxy between the SDK and the sandbox forwards every
//! request and closes the connection before the response, so that the message is sent and its receipt is lost.
//!
//! With `HIGHLEVEL_TOKEN`, `HIGHLEVEL_LOCATION_ID`, `HIGHLEVEL_CONTACT_ID`, `HIGHLEVEL_APP_ID` and `HIGHLEVEL_LISTEN` it sends
//! through the live API and receives the app's webhooks. No reply is lost on purpose then. With `HIGHLEVEL_BASE_URL` it uses
//! that API.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use highlevel::webhook::{Event, Receiver};
use highlevel::wire::types::OutboundMessage;
use highlevel::{Client, ContactId, Delivery, Email, Finding, Reconciliation, Sms};
use highlevel_examples::Environment;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Webhooks arrive within milliseconds from a sandbox, and within seconds from HighLevel.
const TIMEOUT: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let environment = Environment::load().await?;
    let mut events = webhooks(&environment).await?;
    let contact = ContactId::from(environment.get("HIGHLEVEL_CONTACT_ID")?);
    let base_url = match environment.sandbox() {
        Some(sandbox) => proxy_that_loses_responses(sandbox.base_url()).await?,
        None => environment.base_url(),
    };
    let client = Client::builder().base_url(base_url).token(environment.get("HIGHLEVEL_TOKEN")?).build()?;

    let error = match client.messages().send(Sms::to(&contact).text("Your table is ready")).await {
        Ok(sent) => {
            println!("sent {}, and its receipt has arrived", sent.message_id());
            return Ok(());
        }
        Err(error) => error,
    };
    println!("{error}");
    println!("   delivery: {:?}, attempts: {}", error.delivery(), error.attempts());

    // Reads the conversation back. The proxy would lose these responses as well.
    let location = match environment.sandbox() {
        Some(sandbox) => sandbox.location_id().to_owned(),
        None => environment.get("HIGHLEVEL_LOCATION_ID")?,
    };
    let reader =
        Client::builder().base_url(environment.base_url()).token(environment.get("HIGHLEVEL_TOKEN")?);
    let reader = reader.location(location).build()?;
    match error.find(&reader).await? {
        Finding::Sent(id) => println!("   read back: it was sent: {id}"),
        Finding::NotFound(examined) => println!("   read back: not among {} messages", examined.messages),
        Finding::Ambiguous(ids) => println!("   read back: a person has to look: {ids:?}"),
    }

    // The event of the message proves the same, without a request.
    let mut seen: Vec<OutboundMessage> = Vec::new();
    seen.push(tokio::time::timeout(TIMEOUT, events.recv()).await?.ok_or("the webhook server stopped")?);
    match error.fingerprint().map(|sent| sent.reconcile(&seen)) {
        Some(Reconciliation::Sent(id)) => println!("   it was sent: {id}"),
        Some(Reconciliation::NotFound) => println!("   no sign of it yet: look again later"),
        Some(Reconciliation::Ambiguous(ids)) => println!("   a person has to look: {ids:?}"),
        None => println!("   no request was started"),
    }

    let email = Email::to(&contact).subject("Order confirmed").html("<p>Thank you!</p>");
    match send_carefully(&client, email).await {
        Outcome::Sent => println!("sent"),
        Outcome::SendAgain => println!("send it again later"),
        Outcome::Inspect => {
            println!("it is unknown whether the email was sent: wait for its event, or ask a person");
        }
    }
    if let Some(sandbox) = environment.sandbox() {
        println!("\nThe sandbox has {} messages: nothing was sent twice.", sandbox.messages().len());
    }
    Ok(())
}

/// The next step of a queue of outgoing messages.
enum Outcome {
    Sent,
    SendAgain,
    Inspect,
}

/// Sends a message of a queue and decides about the next step.
#[allow(
    clippy::match_same_arms,
    reason = "one line for each kind of failure, so that each is decided on purpose"
)]
async fn send_carefully(client: &Client, email: Email) -> Outcome {
    match client.messages().send(email).await {
        Ok(_) => Outcome::Sent,
        Err(error) => match error.delivery() {
            Delivery::NotSent => Outcome::SendAgain,
            Delivery::Rejected if error.status() == Some(429) => Outcome::SendAgain,
            Delivery::Rejected => Outcome::Inspect,
            Delivery::Unknown => Outcome::Inspect,
            Delivery::Accepted => Outcome::Sent,
        },
    }
}

/// Receives verified events and forwards those of outbound messages.
async fn webhooks(
    environment: &Environment,
) -> Result<mpsc::UnboundedReceiver<OutboundMessage>, Box<dyn Error>> {
    type Shared = (Arc<Receiver>, mpsc::UnboundedSender<OutboundMessage>);
    async fn receive(
        State((receiver, sender)): State<Shared>,
        headers: HeaderMap,
        body: Bytes,
    ) -> StatusCode {
        let event = match receiver.receive(&headers, body, SystemTime::now()).await {
            Ok(event) => event,
            Err(error) => return StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST),
        };
        if let Event::OutboundMessage(message) = event.event()
            && sender.send((**message).clone()).is_err()
        {
            // Not committed, so it is accepted when HighLevel redelivers it.
            return StatusCode::TOO_MANY_REQUESTS;
        }
        match event.commit().await {
            Ok(()) => StatusCode::OK,
            Err(error) => StatusCode::from_u16(error.status()).unwrap_or(StatusCode::TOO_MANY_REQUESTS),
        }
    }
    let receiver = environment.receiver()?;
    let (sender, events) = mpsc::unbounded_channel();
    let app = axum::Router::new().route("/", post(receive)).with_state((Arc::new(receiver), sender));
    let listener = TcpListener::bind(environment.listen()?).await?;
    environment.deliver_webhooks_to(&format!("http://{}/", listener.local_addr()?))?;
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(events)
}

/// Forwards every request, waits for the first byte of the response, and closes the connection.
async fn proxy_that_loses_responses(target: String) -> Result<String, Box<dyn Error>> {
    let target = target.strip_prefix("http://").ok_or("the sandbox uses plain HTTP")?.to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let target = target.clone();
            tokio::spawn(async move {
                let mut server = TcpStream::connect(target).await?;
                let (mut request, mut response) = ([0; 8192], [0; 1]);
                loop {
                    tokio::select! {
                        read = client.read(&mut request) => server.write_all(&request[..read?]).await?,
                        _ = server.read(&mut response) => return client.shutdown().await,
                    }
                }
            });
        }
    });
    Ok(format!("http://{address}"))
}
