//! A webhook server: it receives, deduplicates, answers and prints the events of HighLevel.
//!
//! - `cargo run --example webhook_axum` shows it on this machine alone: a sandbox delivers events, delivers one again,
//!   meets a handler that fails, and somebody forges one.
//! - `cargo run --example webhook_axum -- 0.0.0.0:8080 APP_ID` listens for the events of a real app, until it is
//!   stopped. The app's webhook URL is then `https://…/webhook`, of the proxy that speaks TLS in front of it.

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
use highlevel::webhook::{CallOutcome, Content, Event, PublicKey, Receiver};
use highlevel::{CallStatus, Client, Email, Inbound, OutboundCall, Sms};
use highlevel_sandbox::{Sandbox, WebhookDelivery};
use tokio::net::TcpListener;

/// Far longer than it takes: it only ends a run in which something is broken.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => demonstrate().await,
        [address, app_id] => serve(address, app_id).await,
        _ => Err("usage: webhook_axum [ADDRESS APP_ID]".into()),
    }
}

/// Listens for the events of a real app.
async fn serve(address: &str, app_id: &str) -> Result<(), Box<dyn Error>> {
    let receiver = Receiver::builder().app_id(app_id).build();
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}/webhook for the events of the app {app_id}", listener.local_addr()?);
    axum::serve(listener, router(receiver, Arc::default())).await?;
    Ok(())
}

fn router(receiver: Receiver, desk: Arc<Desk>) -> Router {
    Router::new().route("/webhook", post(handle).layer(WebhookLayer::new(receiver))).with_state(desk)
}

/// Where the events go: what a real program has its database for.
#[derive(Debug, Default)]
struct Desk {
    is_away: AtomicBool,
    /// How often each event was written down.
    written: Mutex<BTreeMap<String, usize>>,
}

impl Desk {
    fn write(&self, id: &str) -> Result<(), &'static str> {
        if self.is_away.load(Ordering::Relaxed) {
            return Err("the desk is away");
        }
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        *written.entry(id.to_owned()).or_default() += 1;
        Ok(())
    }
}

/// Only events that HighLevel signed for this app come here, each once. An answer other than a success is turned into
/// 429, so that the event comes again.
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
                format!("a person answered, {} seconds", length.as_secs())
            }
            (CallOutcome::Answered, None) => "a person answered".to_owned(),
            (CallOutcome::Voicemail, _) => "it reached voicemail".to_owned(),
            (outcome, _) => format!("{outcome:?}"),
        },
        Some(Content::Voicemail(voicemail)) => format!("{} recordings", voicemail.recordings.len()),
        _ => String::new(),
    }
}

/// Shows it against a sandbox.
async fn demonstrate() -> Result<(), Box<dyn Error>> {
    let sandbox = Sandbox::start().await?;
    let receiver = Receiver::builder()
        .app_id(sandbox.app_id())
        .key(PublicKey::from_base64("sandbox", sandbox.webhook_public_key())?)
        .build();
    let desk = Arc::new(Desk::default());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/webhook", listener.local_addr()?);
    tokio::spawn({
        let router = router(receiver, Arc::clone(&desk));
        async move { axum::serve(listener, router).await }
    });
    sandbox.set_webhook_url(&url)?;
    println!("A sandbox at {} delivers to {url}", sandbox.base_url());

    println!("\nFour events, each handled once");
    send_four_messages(&sandbox).await?;
    for delivery in sandbox.wait_for_deliveries(4, PATIENCE).await? {
        show("the sandbox", delivery.status());
    }

    println!("\nOne of them is delivered again: it is a duplicate, and the handler is not asked");
    let first = sandbox.deliveries().swap_remove(0);
    let courier = Courier::new(url)?;
    show("delivered again", Some(courier.deliver(&first, &first.body).await?));

    println!("\nThe handler fails: the event is not lost, and taken when it comes again");
    desk.is_away.store(true, Ordering::Relaxed);
    let client = Client::builder().base_url(sandbox.base_url()).token(sandbox.token()).build()?;
    client.messages().send(Sms::to(sandbox.contact_id()).text("Are you coming?")).await?;
    let last = sandbox.wait_for_deliveries(5, PATIENCE).await?.swap_remove(4);
    show("the sandbox", last.status());
    desk.is_away.store(false, Ordering::Relaxed);
    show("delivered again", Some(courier.deliver(&last, &last.body).await?));

    println!("\nSomebody changes one word: what is not verified is not handled");
    let forged = str::from_utf8(&last.body)?.replace("coming", "paying");
    show("forged", Some(courier.deliver(&last, forged.as_bytes()).await?));

    let written = desk.written.lock().unwrap_or_else(PoisonError::into_inner);
    let each_once = written.values().all(|times| *times == 1);
    if written.len() != 5 || !each_once {
        return Err(format!("five events were to be handled once each: {written:?}").into());
    }
    println!("\nDone: {} events were handled, each of them once. Nothing left this machine.", written.len());
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
    let call = OutboundCall::in_conversation(sandbox.conversation_id(), provider)
        .from("+15037081210")
        .to("+15035550100")
        .status(CallStatus::Completed)
        .at(SystemTime::now());
    client.calls().add_outbound(call).await?;
    Ok(())
}

/// Delivers once more what the sandbox has delivered, with the headers that it had.
struct Courier {
    http: reqwest::Client,
    url: String,
}

impl Courier {
    fn new(url: String) -> Result<Self, Box<dyn Error>> {
        // Plain HTTP to this machine; reqwest wants a provider of TLS all the same.
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

fn show(who: &str, status: Option<u16>) {
    println!("   {who:<27} answered {}", status.map_or("nothing".to_owned(), |status| status.to_string()));
}
