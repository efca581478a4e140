//! Connects a phone system to HighLevel: its text messages and calls appear in the conversations, and messages of
//! HighLevel are delivered by the phone system. `docs/bridge.md` is the tutorial.
//!
//! | route | called by | for |
//! |---|---|---|
//! | `POST /twilio`, `POST /telnyx` | the phone system | an inbound text message, or a call that has ended |
//! | `POST /deliver` | HighLevel, as the delivery URL of the conversation provider | a message to deliver |
//! | `GET /install`, `GET /installed` | the browser of the owner | the installation of the app |
//!
//! `cargo run --example phone_bridge` shows it against a sandbox. A real bridge is configured by `HIGHLEVEL_LOCATION_ID`,
//! `HIGHLEVEL_PROVIDER_ID` and `HIGHLEVEL_CALL_PROVIDER_ID` (conversation providers of the kinds SMS and Call),
//! `PHONE_NUMBER` (of the business) and `HIGHLEVEL_LISTEN`, and either `HIGHLEVEL_CLIENT_ID`, `HIGHLEVEL_CLIENT_SECRET` and
//! `HIGHLEVEL_REDIRECT_URI=https://…/installed`, or `HIGHLEVEL_APP_ID` and a `HIGHLEVEL_TOKEN` of the app. Tokens are stored
//! in the folder `highlevel-tokens`.

mod bridge;
mod carrier;
mod install;
mod journal;
mod reports;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{COOKIE, LOCATION, SET_COOKIE};
use highlevel::auth::store::{FileStore, MemoryStore};
use highlevel::auth::{App, AppBuilder};
use highlevel::webhook::{PublicKey, Receiver};
use highlevel::{Client, LocationId, Sms};
use highlevel_examples::Environment;
use highlevel_sandbox::{ConversationProvider, ProviderKind, Sandbox, TokenResource};
use tokio::net::TcpListener;

use self::bridge::Bridge;
use self::carrier::Console;

/// Phone systems wait for a response for 15 seconds or less, and the bridge makes two requests.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let environment = Environment::load().await?;
    let listener = TcpListener::bind(environment.listen()?).await?;
    let address = format!("http://{}", listener.local_addr()?);
    let location = LocationId::from(environment.get("HIGHLEVEL_LOCATION_ID")?);

    // A client of the app, or one with a token.
    let app = match environment.find("HIGHLEVEL_CLIENT_ID") {
        Some(id) => Some(app(&environment, &id, &address)?),
        None => None,
    };
    let client = match &app {
        Some(app) => app.location(&location),
        None => Client::builder()
            .base_url(environment.base_url())
            .token(environment.get("HIGHLEVEL_TOKEN")?)
            .location(location.clone())
            .build()?,
    };
    let app_id = match &app {
        Some(app) => app.app_id().to_string(),
        None => environment.get("HIGHLEVEL_APP_ID")?,
    };
    // The events of a conversation provider need not have an app id.
    let mut receiver = Receiver::builder().app_id_if_present(app_id).locations([location.as_str()]);
    if let Some(key) = environment.find("HIGHLEVEL_WEBHOOK_KEY") {
        receiver = receiver.key(PublicKey::from_base64("environment", &key)?);
    }

    let number = environment.find("PHONE_NUMBER").unwrap_or_else(|| "+15035550100".to_owned());
    let bridge = Arc::new(Bridge {
        client: client.with_call_timeout(CALL_TIMEOUT),
        carrier: Console,
        journal: journal::Journal::default(),
        number: number.parse()?,
        sms: environment.get("HIGHLEVEL_PROVIDER_ID")?.into(),
        calls: environment.get("HIGHLEVEL_CALL_PROVIDER_ID")?.into(),
    });
    let mut router = bridge.router(receiver.build());
    if let Some(app) = app {
        println!("{address}/install installs the bridge");
        router = router.merge(install::router(app));
    }
    println!("The phone system reports to {address}/twilio or {address}/telnyx");
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    match environment.sandbox() {
        Some(sandbox) => demonstrate(sandbox, &address, &bridge).await,
        None => Ok(server.await??),
    }
}

fn app(environment: &Environment, id: &str, address: &str) -> Result<App, Box<dyn Error>> {
    let app: AppBuilder = App::builder();
    let app = app
        .client_id(id)
        .client_secret(environment.get("HIGHLEVEL_CLIENT_SECRET")?)
        .base_url(environment.base_url());
    Ok(match environment.sandbox() {
        Some(_) => app.redirect_uri(format!("{address}/installed")).store(MemoryStore::new()).build()?,
        None => app
            .redirect_uri(environment.get("HIGHLEVEL_REDIRECT_URI")?)
            .store(FileStore::open("highlevel-tokens")?)
            .build()?,
    })
}

/// Installs the bridge in a sandbox, and lets messages and calls pass in both directions.
async fn demonstrate(
    sandbox: &Sandbox,
    address: &str,
    bridge: &Bridge<Console>,
) -> Result<(), Box<dyn Error>> {
    let _already_installed = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build()?;
    let provider = ConversationProvider::new(bridge.sms.as_str()).kind(ProviderKind::Sms);
    sandbox.put_provider(provider.default_of_location().delivery_url(format!("{address}/deliver")))?;

    println!("\nThe owner installs the bridge");
    sandbox.choose_on_authorize(TokenResource::location(sandbox.location_id()));
    let page = http.get(format!("{address}/install")).send().await?;
    let cookie = page.headers().get(SET_COOKIE).ok_or("no cookie")?.clone();
    let page = http.get(redirection(&page)?).send().await?;
    let page = http.get(redirection(&page)?).header(COOKIE, cookie).send().await?;
    println!("   {}", page.error_for_status()?.text().await?);

    println!("\nThe phone system reports a message twice, and two calls");
    let sms = "MessageSid=SM1&From=%2B15037081210&To=%2B15035550100&Body=We+are+on+our+way";
    let call = "CallSid=CA1&From=%2B15035550100&To=%2B15037081210&CallStatus=completed&CallDuration=95";
    let hangup = r#"{"data": {"event_type": "call.hangup", "payload": {"call_leg_id": "leg-1",
        "from": "+15037081299", "to": "+15035550100", "hangup_cause": "timeout"}}}"#;
    for (path, body) in [("twilio", sms), ("twilio", sms), ("twilio", call), ("telnyx", hangup)] {
        let response = http.post(format!("{address}/{path}")).body(body).send().await?;
        println!("   POST /{path} {}", response.status());
        response.error_for_status()?;
    }

    println!("\nA user replies, and writes to a number that is not in service");
    let user = Client::builder().base_url(sandbox.base_url()).token(sandbox.token()).build()?;
    let wrong = bridge.client.contacts().upsert(highlevel::Contact::phone("+15035550199")).await?;
    for contact in [sandbox.contact_id(), wrong.contact_id().as_str()] {
        user.messages().send(Sms::to(contact).text("Your table is ready")).await?;
    }
    sandbox.wait_for_deliveries(2, Duration::from_secs(30)).await?;

    println!("\nThe conversations");
    let messages = sandbox.messages();
    for message in &messages {
        let error = message.history.last().and_then(|change| change.error.as_deref()).unwrap_or_default();
        println!("   {} {} {} {error}", message.channel, message.status, message.text().unwrap_or_default());
    }
    let desk = bridge.journal.desk();
    if messages.len() != 5 || !desk.is_empty() {
        return Err(format!("expected five messages and an empty desk: {desk:?}").into());
    }
    println!("\nDone. Nothing left this machine.");
    Ok(())
}

/// Returns the address that a page redirects to.
fn redirection(page: &reqwest::Response) -> Result<String, Box<dyn Error>> {
    Ok(page.headers().get(LOCATION).ok_or("no redirection")?.to_str()?.to_owned())
}
