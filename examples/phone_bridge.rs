//! Connects a phone system to HighLevel: text messages and calls of the phone system appear in the conversations.
//!
//! The phone system reports messages and calls as JSON:
//!
//! | request | becomes |
//! |---|---|
//! | `POST /sms` `{"id", "from", "text"}` | an inbound SMS of the contact |
//! | `POST /calls` `{"id", "from", "to", "status"}` | an outbound call to the contact |
//!
//! The status of the response decides whether the phone system may report the same again, see [`respond`].
//!
//! `cargo run --example phone_bridge` shows it against a sandbox. With `HIGHLEVEL_TOKEN`, `HIGHLEVEL_PROVIDER_ID`,
//! `HIGHLEVEL_CALL_PROVIDER_ID`, `HIGHLEVEL_CONTACT_ID`, the number of that contact in `PHONE_NUMBER`, and
//! `HIGHLEVEL_LISTEN` it serves a phone system.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use highlevel::wire::types::AddMessageResponse;
use highlevel::{
    CallStatus, Client, ContactId, ConversationProviderId, Delivery, Inbound, OutboundCall, Receipt,
};
use highlevel_examples::Environment;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let environment = Environment::load().await?;
    let number = environment.find("PHONE_NUMBER").unwrap_or_else(|| "+15037081210".to_owned());
    let bridge = Bridge {
        client: Client::builder()
            .base_url(environment.base_url())
            .token(environment.get("HIGHLEVEL_TOKEN")?)
            .build()?,
        messages: environment.get("HIGHLEVEL_PROVIDER_ID")?.into(),
        calls: environment.get("HIGHLEVEL_CALL_PROVIDER_ID")?.into(),
        contacts: HashMap::from([(number, environment.get("HIGHLEVEL_CONTACT_ID")?.into())]),
    };
    let listener = TcpListener::bind(environment.listen()?).await?;
    let address = listener.local_addr()?;
    println!("The phone system reports to http://{address}");
    let server = tokio::spawn(async move { axum::serve(listener, router(bridge)).await });
    if let Some(sandbox) = environment.sandbox() {
        report(&format!("http://{address}")).await?;
        for message in sandbox.messages() {
            println!("   {} {}", message.channel, message.text().unwrap_or_default());
        }
        println!("\nDone. Nothing left this machine.");
        return Ok(());
    }
    Ok(server.await??)
}

struct Bridge {
    client: Client,
    /// The phone system as a conversation provider of your app, of the kind SMS.
    messages: ConversationProviderId,
    /// The same of the kind Call. Calls through another kind are rejected.
    calls: ConversationProviderId,
    /// Phone numbers and their contacts. A real bridge has a table for them.
    contacts: HashMap<String, ContactId>,
}

fn router(bridge: Bridge) -> Router {
    Router::new()
        .route("/sms", post(receive_sms))
        .route("/calls", post(receive_call))
        .with_state(Arc::new(bridge))
}

#[derive(Deserialize)]
struct SmsReport {
    /// The id of the message in the phone system.
    id: String,
    from: String,
    text: String,
}

#[derive(Deserialize)]
struct CallReport {
    /// The id of the call in the phone system.
    id: String,
    from: String,
    to: String,
    /// As HighLevel names it: `completed`, `no-answer`, `busy`, `voicemail`, …
    status: CallStatus,
}

type Response = (StatusCode, String);

async fn receive_sms(State(bridge): State<Arc<Bridge>>, body: Bytes) -> Result<Response, Response> {
    let sms: SmsReport = decode(&body)?;
    let contact = bridge.contact(&sms.from)?;
    let inbound = Inbound::sms(&bridge.messages).from_contact(contact).text(sms.text).alt_id(sms.id);
    respond(bridge.client.messages().add_inbound(inbound).await)
}

async fn receive_call(State(bridge): State<Arc<Bridge>>, body: Bytes) -> Result<Response, Response> {
    let call: CallReport = decode(&body)?;
    let contact = bridge.contact(&call.to)?;
    let call = OutboundCall::to_contact(contact, &bridge.calls)
        .from(call.from)
        .to(call.to)
        .status(call.status)
        .at(SystemTime::now())
        .alt_id(call.id);
    respond(bridge.client.calls().add_outbound(call).await)
}

impl Bridge {
    fn contact(&self, number: &str) -> Result<&ContactId, Response> {
        let unknown = || (StatusCode::NOT_FOUND, format!("no contact has the number {number}"));
        self.contacts.get(number).ok_or_else(unknown)
    }
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Response> {
    serde_json::from_slice(body).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
}

/// Returns the response to the phone system. It reports the same again after 503 only, because HighLevel would add it
/// twice.
fn respond(result: highlevel::Result<Receipt<AddMessageResponse>>) -> Result<Response, Response> {
    let error = match result {
        Ok(added) => return Ok((StatusCode::CREATED, added.message_id().to_string())),
        Err(error) => error,
    };
    eprintln!("{error}");
    let status = match error.delivery() {
        Delivery::NotSent => StatusCode::SERVICE_UNAVAILABLE,
        Delivery::Rejected if error.status() == Some(429) => StatusCode::SERVICE_UNAVAILABLE,
        Delivery::Rejected => StatusCode::UNPROCESSABLE_ENTITY,
        // A person, or the webhook of the message, decides whether it was added.
        Delivery::Unknown => StatusCode::ACCEPTED,
        Delivery::Accepted => StatusCode::CREATED,
    };
    Err((status, error.to_string()))
}

/// Reports a message and a call as the phone system does.
async fn report(bridge: &str) -> Result<(), Box<dyn Error>> {
    let _already_installed = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().build()?;
    for (path, body) in [
        ("sms", r#"{"id": "sms-1", "from": "+15037081210", "text": "We are on our way"}"#),
        ("calls", r#"{"id": "call-1", "from": "+15035550100", "to": "+15037081210", "status": "completed"}"#),
    ] {
        let response = http.post(format!("{bridge}/{path}")).body(body).send().await?;
        println!("   POST /{path} {}", response.status());
        response.error_for_status()?;
    }
    Ok(())
}
