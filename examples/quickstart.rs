//! Everything once, on this machine alone: a sandbox is started, an SMS and an email are sent, an inbound message and
//! an outbound call are added, and the signed webhooks of all four are received and verified.
//!
//! Run it with `cargo run --example quickstart`.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use highlevel::webhook::{Event, PublicKey, ReceivedEvent, Receiver};
use highlevel::{CallStatus, Client, ContactId, ConversationId, Delivery, Email, Inbound, OutboundCall, Sms};
use highlevel_sandbox::Sandbox;
use tokio::sync::mpsc;

/// Far longer than it takes: it only ends a run in which something is broken.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    headline("A sandbox starts");
    let sandbox = Sandbox::start().await?;
    let contact = ContactId::from(sandbox.contact_id());
    let conversation = ConversationId::from(sandbox.conversation_id());
    let provider = sandbox.conversation_provider_id();
    row("address", &sandbox.base_url());
    row("contact", &contact);

    headline("A webhook server starts");
    let (webhook_url, mut events) = webhook_server(&sandbox).await?;
    sandbox.set_webhook_url(&webhook_url)?;
    row("address", &webhook_url);

    headline("Four requests");
    let client = Client::builder().base_url(sandbox.base_url()).token(sandbox.token()).build()?;

    let sms = client.messages().send(Sms::to(&contact).text("Your table is ready")).await?;
    row("SMS sent", sms.message_id());

    let email =
        Email::to(&contact).subject("Order confirmed").html("<p>Thank you!</p>").cc(["ops@example.com"]);
    let email = client.messages().send(email).await?;
    row("email sent", email.message_id());

    let inbound = Inbound::sms(provider).from_contact(&contact).text("We are on our way");
    let inbound = client.messages().add_inbound(inbound).await?;
    row("inbound SMS added", inbound.message_id());

    let call = OutboundCall::in_conversation(&conversation, provider)
        .from("+15037081210")
        .to("+15035550100")
        .status(CallStatus::Completed)
        .at(SystemTime::now());
    let call = client.calls().add_outbound(call).await?;
    row("outbound call added", call.message_id());

    headline("Four signed webhooks, verified");
    for _ in 0..4 {
        let event =
            tokio::time::timeout(PATIENCE, events.recv()).await?.ok_or("the webhook server stopped")?;
        row(event.name(), &describe(event.event()));
        // It was handled: if HighLevel delivers it again, it is a duplicate.
        event.commit().await?;
    }

    headline("And what fails says what is known");
    let result = client.messages().send(Sms::to("nobody-knows-this-contact").text("Hello?")).await;
    let Err(error) = result else { return Err("a stranger was sent a message".into()) };
    let advice = match error.delivery() {
        Delivery::NotSent => "send it again when the network is back",
        Delivery::Rejected => "fix it, then send it again",
        Delivery::Unknown => "look into the conversation before sending it again",
        Delivery::Accepted => "do not send it again, it is on its way",
    };
    println!("   {error}\n   What to do: {advice}.");

    println!("\nDone. Nothing left this machine.");
    Ok(())
}

/// Starts a server that verifies what it receives, and hands on the events.
async fn webhook_server(
    sandbox: &Sandbox,
) -> Result<(String, mpsc::UnboundedReceiver<ReceivedEvent>), Box<dyn Error>> {
    // Against the live API the line with the key is left out: HighLevel's published key is built in.
    let receiver = Receiver::builder()
        .app_id(sandbox.app_id())
        .key(PublicKey::from_base64("sandbox", sandbox.webhook_public_key())?)
        .build();
    let (sender, events) = mpsc::unbounded_channel();
    let app = axum::Router::new().route("/webhook", post(receive)).with_state((Arc::new(receiver), sender));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
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

fn row(label: &str, value: &dyn std::fmt::Display) {
    println!("   {label:<20} {value}");
}
