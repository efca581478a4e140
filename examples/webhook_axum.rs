//! A webhook server on axum: it verifies and deduplicates the events of HighLevel, and prints them.
//!
//! - `cargo run --example webhook_axum` runs it against a sandbox: events are delivered, one of them is delivered twice,
//!   the handler fails once, and a forged event is rejected.
//! - With `HIGHLEVEL_APP_ID` and `HIGHLEVEL_LISTEN=0.0.0.0:8080` it receives the events of that app until it is stopped.
//!   The app's webhook URL is `https://…/webhook` of the proxy in front of it, which terminates TLS.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use highlevel::webhook::axum::{Webhook, WebhookLayer};
use highlevel::webhook::{CallOutcome, Content, Event, Receiver};
use highlevel::{CallStatus, Client, Email, Inbound, OutboundCall, Sms};
use highlevel_examples::Environment;
use highlevel_sandbox::{ProviderKind, Sandbox, WebhookDelivery};
use tokio::net::TcpListener;

/// Webhooks arrive within milliseconds.
const TIMEOUT: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let environment = Environment::load().await?;
    let desk = Arc::new(Desk::default());
    let router = router(environment.receiver()?, Arc::clone(&desk));
    let listener = TcpListener::bind(environment.listen()?).await?;
    let url = format!("http://{}/webhook", listener.local_addr()?);
    println!("{url} receives the events of the app {}", environment.get("HIGHLEVEL_APP_ID")?);
    environment.deliver_webhooks_to(&url)?;
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    match environment.sandbox() {
        Some(sandbox) => demonstrate(sandbox, &desk, url).await,
        None => Ok(server.await??),
    }
}

fn router(receiver: Receiver, desk: Arc<Desk>) -> Router {
    Router::new().route("/webhook", post(handle).layer(WebhookLayer::new(receiver))).with_state(desk)
}

/// Stands for the database of a real program.
#[derive(Debug, Default)]
struct Desk {
    is_unavailable: AtomicBool,
    /// The number of times that each event was stored.
    written: Mutex<BTreeMap<String, usize>>,
}

impl Desk {
    fn write(&self, id: &str) -> Result<(), &'static str> {
        if self.is_unavailable.load(Ordering::Relaxed) {
            return Err("the desk is unavailable");
        }
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        *written.entry(id.to_owned()).or_default() += 1;
        Ok(())
    }
}

/// Handles an event that HighLevel signed for this app. Each event is handled once. A response other than 2xx becomes
/// 429, so that HighLevel redelivers the event.
async fn handle(
    State(desk): State<Arc<Desk>>,
    Webhook(event): Webhook<Event>,
) -> Result<(), (StatusCode, &'static str)> {
    desk.write(event.id().as_str()).map_err(|why| (StatusCode::SERVICE_UNAVAILABLE, why))?;
    println!("      {:<24} {}", event.name(), describe(event.event()));
    Ok(())
}

fn describe(event: &Event) -> String {
    match event.content() {
        Some(Content::Text(text)) => format!("“{}”", text.text.unwrap_or_default()),
        Some(Content::Email(email)) => {
            format!("“{}” to {}", email.subject.unwrap_or_default(), email.to.join(", "))
        }
        Some(Content::Call(call)) => match (call.outcome, call.duration) {
            (CallOutcome::Answered, Some(length)) => {
                format!("answered by a person, {} seconds", length.as_secs())
            }
            (CallOutcome::Answered, None) => "answered by a person".to_owned(),
            (CallOutcome::Voicemail, _) => "voicemail".to_owned(),
            (outcome, _) => format!("{outcome:?}"),
        },
        Some(Content::Voicemail(voicemail)) => format!("{} recordings", voicemail.recordings.len()),
        Some(Content::InternalComment(_)) => "for other users, not for the contact".to_owned(),
        Some(Content::PublicComment(comment)) => format!("“{}” in public", comment.text.unwrap_or_default()),
        _ => String::new(),
    }
}

/// Lets the sandbox deliver events, and checks that each of them is handled once.
async fn demonstrate(sandbox: &Sandbox, desk: &Desk, url: String) -> Result<(), Box<dyn Error>> {
    println!("\nFour events, each handled once");
    send_four_messages(sandbox).await?;
    for delivery in sandbox.wait_for_deliveries(4, TIMEOUT).await? {
        show("delivered", delivery.status());
    }

    println!("\nOne of them is redelivered: it is a duplicate, and the handler is not called");
    let first = sandbox.deliveries().swap_remove(0);
    let sender = Resender::new(url)?;
    show("redelivered", Some(sender.deliver(&first, &first.body).await?));

    println!("\nThe handler fails: the event is handled when it is redelivered");
    desk.is_unavailable.store(true, Ordering::Relaxed);
    let client = Client::builder().base_url(sandbox.base_url()).token(sandbox.token()).build()?;
    client.messages().send(Sms::to(sandbox.contact_id()).text("Are you coming?")).await?;
    let last = sandbox.wait_for_deliveries(5, TIMEOUT).await?.swap_remove(4);
    show("delivered", last.status());
    desk.is_unavailable.store(false, Ordering::Relaxed);
    show("redelivered", Some(sender.deliver(&last, &last.body).await?));

    println!("\nOne word is changed: the signature is invalid, and the event is rejected");
    let forged = str::from_utf8(&last.body)?.replace("coming", "paying");
    show("forged", Some(sender.deliver(&last, forged.as_bytes()).await?));

    let written = desk.written.lock().unwrap_or_else(PoisonError::into_inner);
    let each_once = written.values().all(|times| *times == 1);
    if written.len() != 5 || !each_once {
        return Err(format!("five events have to be handled once each, found {written:?}").into());
    }
    println!("\nDone: {} events, each handled once. Nothing left this machine.", written.len());
    Ok(())
}

async fn send_four_messages(sandbox: &Sandbox) -> Result<(), Box<dyn Error>> {
    let client = Client::builder().base_url(sandbox.base_url()).token(sandbox.token()).build()?;
    let (contact, provider) = (sandbox.contact_id(), sandbox.conversation_provider_id());
    client.messages().send(Sms::to(contact).text("Your table is ready")).await?;
    let email = Email::to(contact).subject("Order confirmed").html("<p>Thank you!</p>");
    client.messages().send(email).await?;
    let inbound = Inbound::sms(provider).from_contact(contact).text("We are on our way");
    client.messages().add_inbound(inbound).await?;
    let calls = sandbox.provider_id(ProviderKind::Call);
    let call = OutboundCall::in_conversation(sandbox.conversation_id(), calls)
        .from("+15035550100")
        .to("+15037081210")
        .status(CallStatus::Completed)
        .at(SystemTime::now());
    client.calls().add_outbound(call).await?;
    Ok(())
}

/// Redelivers a webhook of the sandbox with the same signature.
struct Resender {
    http: reqwest::Client,
    url: String,
}

impl Resender {
    fn new(url: String) -> Result<Self, Box<dyn Error>> {
        // The URL is plain HTTP, but reqwest requires a TLS provider.
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        Ok(Self { http: reqwest::Client::builder().no_proxy().build()?, url })
    }

    async fn deliver(&self, delivery: &WebhookDelivery, body: &[u8]) -> Result<u16, reqwest::Error> {
        let mut request = self.http.post(&self.url).body(body.to_vec());
        for (name, value) in delivery.attempts.first().iter().flat_map(|attempt| &attempt.headers) {
            if ["content-type", "x-ghl-signature"].contains(&name.as_str()) {
                request = request.header(name, value);
            }
        }
        Ok(request.send().await?.status().as_u16())
    }
}

fn show(delivery: &str, status: Option<u16>) {
    println!("   {delivery:<24} {}", status.map_or("no response".to_owned(), |status| status.to_string()));
}
