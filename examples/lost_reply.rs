//! A reply is lost on its way, and the program finds out what became of its message.
//!
//! Run it with `cargo run --example lost_reply`. Between the SDK and the sandbox stands a proxy that hands every request
//! on and then hangs up, so that the message is sent and its receipt never comes.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use highlevel::webhook::{Event, PublicKey, Receiver};
use highlevel::wire::types::OutboundMessage;
use highlevel::{Client, ContactId, Delivery, Email, Reconciliation, Sms};
use highlevel_sandbox::Sandbox;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Far longer than it takes: it only ends a run in which something is broken.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let sandbox = Sandbox::start().await?;
    let mut events = webhooks(&sandbox).await?;
    let contact = ContactId::from(sandbox.contact_id());
    let lossy = proxy_that_loses_replies(sandbox.base_url()).await?;
    let client = Client::builder().base_url(lossy).token(sandbox.token()).build()?;

    let result = client.messages().send(Sms::to(&contact).text("Your table is ready")).await;
    let Err(error) = result else { return Err("the reply came through".into()) };
    println!("{error}");
    println!("   known: {:?}, after {} attempt", error.delivery(), error.attempts());

    let mut seen: Vec<OutboundMessage> = Vec::new();
    seen.push(tokio::time::timeout(PATIENCE, events.recv()).await?.ok_or("the webhook server stopped")?);
    match error.fingerprint().map(|sent| sent.reconcile(&seen)) {
        Some(Reconciliation::Sent(id)) => println!("   it was sent: {id}"),
        Some(Reconciliation::NotFound) => println!("   no sign of it yet: look again later"),
        Some(Reconciliation::Ambiguous(ids)) => println!("   a person has to look: {ids:?}"),
        None => println!("   it was not even begun"),
    }

    let email = Email::to(&contact).subject("Order confirmed").html("<p>Thank you!</p>");
    match send_carefully(&client, email).await {
        Outcome::Sent => println!("sent"),
        Outcome::Again => println!("put it back into the queue"),
        Outcome::Look => println!("the email is unknown as well: a person, or its event, will tell"),
    }
    println!("\nThe sandbox has {} messages: nothing was sent twice.", sandbox.messages().len());
    Ok(())
}

/// What a queue of outgoing messages does next.
enum Outcome {
    Sent,
    Again,
    Look,
}

/// What a program that works through a queue does with each kind of failure.
#[allow(clippy::match_same_arms, reason = "one line for each kind, so that none is decided in passing")]
async fn send_carefully(client: &Client, email: Email) -> Outcome {
    match client.messages().send(email).await {
        Ok(_) => Outcome::Sent,
        Err(error) => match error.delivery() {
            Delivery::NotSent => Outcome::Again,
            Delivery::Rejected if error.status() == Some(429) => Outcome::Again,
            Delivery::Rejected => Outcome::Look,
            Delivery::Unknown => Outcome::Look,
            Delivery::Accepted => Outcome::Sent,
        },
    }
}

/// Receives verified events and hands on those of outbound messages.
async fn webhooks(sandbox: &Sandbox) -> Result<mpsc::UnboundedReceiver<OutboundMessage>, Box<dyn Error>> {
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
    let key = PublicKey::from_base64("sandbox", sandbox.webhook_public_key())?;
    let receiver = Receiver::builder().app_id(sandbox.app_id()).key(key).build();
    let (sender, events) = mpsc::unbounded_channel();
    let app = axum::Router::new().route("/", post(receive)).with_state((Arc::new(receiver), sender));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    sandbox.set_webhook_url(format!("http://{}/", listener.local_addr()?))?;
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(events)
}

/// Hands every request on, waits for the beginning of the answer, and hangs up.
async fn proxy_that_loses_replies(target: String) -> Result<String, Box<dyn Error>> {
    let target = target.strip_prefix("http://").ok_or("the sandbox speaks plain HTTP")?.to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let target = target.clone();
            tokio::spawn(async move {
                let mut server = TcpStream::connect(target).await?;
                let (mut request, mut answer) = ([0; 8192], [0; 1]);
                loop {
                    tokio::select! {
                        read = client.read(&mut request) => server.write_all(&request[..read?]).await?,
                        _ = server.read(&mut answer) => return client.shutdown().await,
                    }
                }
            });
        }
    });
    Ok(format!("http://{address}"))
}
