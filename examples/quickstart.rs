//! Sends an SMS and an email, adds an inbound message and an outbound call, and receives the signed webhooks of all four.
//!
//! `cargo run --example quickstart` starts a sandbox and needs nothing but this machine. With `HIGHLEVEL_TOKEN`,
//! `HIGHLEVEL_CONTACT_ID`, `HIGHLEVEL_CONVERSATION_ID`, `HIGHLEVEL_PROVIDER_ID`, `HIGHLEVEL_CALL_PROVIDER_ID` and the
//! number of the contact in `PHONE_NUMBER` it uses the live API, or the API at `HIGHLEVEL_BASE_URL`; with `HIGHLEVEL_APP_ID` and `HIGHLEVEL_LISTEN` it receives the app's webhooks there.

use std::error::Error;
use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use highlevel::webhook::{Event, ReceivedEvent, Receiver};
use highlevel::{CallStatus, Client, ContactId, Delivery, Email, Inbound, OutboundCall, Sms};
use highlevel_examples::Environment;
use tokio::sync::mpsc;

/// Webhooks arrive within milliseconds from a sandbox, and within seconds from HighLevel.
const TIMEOUT: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let environment = Environment::load().await?;
    let contact = ContactId::from(environment.get("HIGHLEVEL_CONTACT_ID")?);
    headline(if environment.sandbox().is_some() { "A sandbox on this machine" } else { "An API" });
    row("address", environment.base_url());
    row("contact", &contact);

    let mut events = None;
    if environment.find("HIGHLEVEL_APP_ID").is_some() {
        headline("A webhook server");
        let (url, received) = webhook_server(&environment).await?;
        environment.deliver_webhooks_to(&url)?;
        row("address", url);
        events = Some(received);
    }

    headline("Four requests");
    let client = Client::builder()
        .base_url(environment.base_url())
        .token(environment.get("HIGHLEVEL_TOKEN")?)
        .build()?;
    send_messages(&client, &contact).await?;
    add_messages(&client, &contact, &environment).await?;

    if let Some(events) = &mut events {
        headline("Four signed webhooks, verified");
        for _ in 0..4 {
            let event =
                tokio::time::timeout(TIMEOUT, events.recv()).await?.ok_or("the webhook server stopped")?;
            row(event.name(), describe(event.event()));
            // The event is handled. From now on, redeliveries are duplicates.
            event.commit().await?;
        }
    }

    headline("A failure, and what to do about it");
    let result = client.messages().send(Sms::to("no-such-contact").text("Hello?")).await;
    let Err(error) = result else { return Err("a contact that does not exist received a message".into()) };
    let advice = match error.delivery() {
        Delivery::NotSent => "send it again when the network is back",
        Delivery::Rejected => "fix it, then send it again",
        Delivery::Unknown => "look into the conversation before sending it again",
        Delivery::Accepted => "do not send it again, it is on its way",
    };
    println!("   {error}\n   What to do: {advice}.");

    if environment.sandbox().is_some() {
        println!("\nDone. Nothing left this machine.");
    }
    Ok(())
}

async fn send_messages(client: &Client, contact: &ContactId) -> highlevel::Result<()> {
    let sms = client.messages().send(Sms::to(contact).text("Your table is ready")).await?;
    row("SMS sent", sms.message_id());

    let email =
        Email::to(contact).subject("Order confirmed").html("<p>Thank you!</p>").cc(["ops@example.com"]);
    let email = client.messages().send(email).await?;
    row("email sent", email.message_id());
    Ok(())
}

/// Adds an SMS and a call that another system has handled, each through a conversation provider of its kind.
async fn add_messages(
    client: &Client,
    contact: &ContactId,
    environment: &Environment,
) -> Result<(), Box<dyn Error>> {
    let provider = environment.get("HIGHLEVEL_PROVIDER_ID")?;
    let inbound = Inbound::sms(provider).from_contact(contact).text("We are on our way");
    let inbound = client.messages().add_inbound(inbound).await?;
    row("inbound SMS added", inbound.message_id());

    // A call is with a number of the contact.
    let number = environment.find("PHONE_NUMBER").unwrap_or_else(|| "+15037081210".to_owned());
    let conversation = environment.get("HIGHLEVEL_CONVERSATION_ID")?;
    let call_provider = environment.get("HIGHLEVEL_CALL_PROVIDER_ID")?;
    let call = OutboundCall::in_conversation(conversation, call_provider)
        .from("+15035550100")
        .to(number)
        .status(CallStatus::Completed)
        .at(SystemTime::now());
    let call = client.calls().add_outbound(call).await?;
    row("outbound call added", call.message_id());
    Ok(())
}

/// Starts a server that verifies webhooks and forwards their events.
async fn webhook_server(
    environment: &Environment,
) -> Result<(String, mpsc::UnboundedReceiver<ReceivedEvent>), Box<dyn Error>> {
    let receiver = environment.receiver()?;
    let (sender, events) = mpsc::unbounded_channel();
    let app = axum::Router::new().route("/webhook", post(receive)).with_state((Arc::new(receiver), sender));
    let listener = tokio::net::TcpListener::bind(environment.listen()?).await?;
    let url = format!("http://{}/webhook", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok((url, events))
}

type Shared = (Arc<Receiver>, mpsc::UnboundedSender<ReceivedEvent>);

async fn receive(
    State((receiver, events)): State<Shared>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, (StatusCode, &'static str)> {
    match receiver.receive(&headers, body, SystemTime::now()).await {
        Ok(event) => match events.send(event) {
            Ok(()) => Ok(StatusCode::OK),
            Err(_) => Err((StatusCode::TOO_MANY_REQUESTS, "the program is shutting down")),
        },
        Err(error) => {
            let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
            eprintln!("a webhook was rejected: {error}");
            Err((status, error.kind().public_message()))
        }
    }
}

fn describe(event: &Event) -> String {
    match event {
        Event::OutboundMessage(message) => {
            let channel = message.message_type.as_ref().map_or("message", |channel| channel.as_str());
            match (&message.subject, &message.body, &message.call_status) {
                (Some(subject), ..) => format!("{channel} “{subject}”"),
                (_, Some(body), _) => format!("{channel} “{body}”"),
                (.., Some(status)) => format!("{channel} {status}"),
                _ => channel.to_owned(),
            }
        }
        Event::InboundMessage(message) => format!("“{}”", message.body.as_deref().unwrap_or_default()),
        other => other.name().to_owned(),
    }
}

fn headline(text: &str) {
    println!("\n{text}");
}

fn row(label: &str, value: impl Display) {
    println!("   {label:<20} {value}");
}
