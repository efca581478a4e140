//! An app of the marketplace: owners install it in the browser, and it sends messages for their locations.
//!
//! - `cargo run --example oauth_app` runs it against a sandbox. A script acts as the browser of two owners, who install the
//!   app; one of them uninstalls it.
//! - With `HIGHLEVEL_CLIENT_ID`, `HIGHLEVEL_CLIENT_SECRET`, `HIGHLEVEL_REDIRECT_URI=https://…/installed` and
//!   `HIGHLEVEL_LISTEN=0.0.0.0:8080` it serves a real app until it is stopped. Owners start at `https://…/install`; the
//!   app's webhook URL is `https://…/webhook`. Tokens are stored in the folder `highlevel-tokens`.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::header::{COOKIE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{AppendHeaders, IntoResponse, Redirect};
use axum::routing::{get, post};
use highlevel::auth::store::FileStore;
use highlevel::auth::{App, CsrfState, Handled, Scope};
use highlevel::webhook::axum::{Webhook, WebhookLayer};
use highlevel::webhook::{Event, PublicKey, Receiver};
use highlevel::{ErrorKind, LocationId, Sms};
use highlevel_examples::Environment;
use highlevel_sandbox::{Contact, Location, Sandbox, TokenResource};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// Events arrive within milliseconds from a sandbox.
const TIMEOUT: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let environment = Environment::load().await?;
    let listener = TcpListener::bind(environment.listen()?).await?;
    let address = format!("http://{}", listener.local_addr()?);
    let folder = environment.sandbox().map(|_| TemporaryFolder::new()).transpose()?;
    let settings = Settings {
        client_id: environment.get("HIGHLEVEL_CLIENT_ID")?,
        client_secret: environment.get("HIGHLEVEL_CLIENT_SECRET")?,
        redirect_uri: match environment.sandbox() {
            Some(_) => format!("{address}/installed"),
            None => environment.get("HIGHLEVEL_REDIRECT_URI")?,
        },
        tokens: folder.as_ref().map_or_else(|| "highlevel-tokens".into(), |folder| folder.0.clone()),
        base_url: environment.base_url(),
    };
    let app = build(&settings)?;
    let (router, handled) = routes(&environment, &app)?;
    println!("{address}/install installs the app");
    environment.deliver_webhooks_to(&format!("{address}/webhook"))?;
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    match environment.sandbox() {
        Some(sandbox) => demonstrate(sandbox, &address, &app, handled).await,
        None => Ok(server.await??),
    }
}

/// Installs the app on two locations of the sandbox, sends for both, and uninstalls it from one.
async fn demonstrate(
    sandbox: &Sandbox,
    address: &str,
    app: &App,
    mut handled: mpsc::UnboundedReceiver<Handled>,
) -> Result<(), Box<dyn Error>> {
    let (first, second) = (sandbox.location_id().to_owned(), "bQ7mZk2vR4tY8wX1cN5d".to_owned());
    sandbox.put_location(Location::new(&second))?;
    sandbox.put_contact(Contact::new("guest-of-the-second").phone("+15035550177").location(&second))?;
    let contacts = [sandbox.contact_id().to_owned(), "guest-of-the-second".to_owned()];

    println!("\nTheir owners install it in the browser");
    for location in [&first, &second] {
        sandbox.choose_on_authorize(TokenResource::location(location));
        let page = browse(&format!("{address}/install")).await?;
        println!("   {page}");
        expect(page == format!("The app is installed on {location}."), "the page names the location")?;
        // HighLevel sends the event at once. It may arrive before the tokens or after them.
        let event = tokio::time::timeout(TIMEOUT, handled.recv()).await?.ok_or("the app has stopped")?;
        println!("   event: {event:?}");
        let is_installed = matches!(event, Handled::WaitingForExchange(_) | Handled::AlreadyStored(_));
        expect(is_installed, "the event reports the installation")?;
    }

    println!("\nIt sends for both");
    for (location, contact) in [&first, &second].into_iter().zip(&contacts) {
        remind(app, &location.as_str().into(), contact).await?;
    }
    let messages = sandbox.messages();
    for message in &messages {
        println!("   {}: {}", message.location_id, message.text().unwrap_or_default());
    }
    let locations: Vec<_> = messages.iter().map(|message| &message.location_id).collect();
    expect(locations == [&first, &second], "each location has one message")?;

    println!("\nA day later the tokens have expired, and the next call refreshes them");
    sandbox.expire_access_tokens(&TokenResource::location(&second));
    remind(app, &second.as_str().into(), &contacts[1]).await?;
    let requests = sandbox.token_requests_of(&TokenResource::location(&second));
    expect((requests.rotated, requests.refused) == (1, 0), "the tokens were refreshed once")?;

    println!("\nThe first owner uninstalls it");
    sandbox.uninstall(&TokenResource::location(&first))?;
    let event = tokio::time::timeout(TIMEOUT, handled.recv()).await?.ok_or("the app has stopped")?;
    println!("   event: {event:?}");
    expect(matches!(&event, Handled::Removed(resources) if resources.len() == 1), "the tokens are deleted")?;
    let Err(error) = remind(app, &first.as_str().into(), &contacts[0]).await else {
        return Err("the app sent for a location after it was uninstalled there".into());
    };
    println!("   {error}");
    expect(error.kind() == ErrorKind::NeedsAuthorization, "the error asks for an installation")?;
    remind(app, &second.as_str().into(), &contacts[1]).await?;
    expect(sandbox.messages().len() == 4, "the app still sends for the second location")?;

    // Wait until refreshed tokens are stored: there is no other copy of them.
    if tokio::time::timeout(TIMEOUT, app.flush()).await.is_err() {
        eprintln!("the token store does not respond; the last tokens may be lost");
    }
    println!("\nDone. Nothing left this machine.");
    Ok(())
}

/// Sends a reminder for a location.
async fn remind(app: &App, location: &LocationId, contact: &str) -> highlevel::Result<()> {
    let client = app.location(location);
    let sent = client.messages().send(Sms::to(contact).text("Your table is ready")).await;
    if let Err(error) = &sent {
        match error.kind() {
            ErrorKind::NeedsAuthorization => println!("   ask the owner of {location} to install it again"),
            ErrorKind::LocationInactive => println!("   {location} is not active: wait for its owner"),
            _ => println!("   {:?}: {error}", error.delivery()),
        }
    }
    sent.map(drop)
}

struct Settings {
    client_id: String,
    client_secret: String,
    redirect_uri: String,
    tokens: PathBuf,
    base_url: String,
}

fn build(settings: &Settings) -> Result<App, Box<dyn Error>> {
    // Against the live API the line with the base URL is left out.
    let app = App::builder()
        .client_id(&settings.client_id)
        .client_secret(settings.client_secret.as_str())
        .redirect_uri(&settings.redirect_uri)
        .store(FileStore::open(&settings.tokens)?)
        .base_url(&settings.base_url)
        .build()?;
    Ok(app)
}

struct Service {
    app: App,
    handled: mpsc::UnboundedSender<Handled>,
}

type Shared = State<Arc<Service>>;
type Failure = (StatusCode, String);

/// Redirects the browser of an owner to HighLevel, with a secret in a cookie.
async fn install(State(service): Shared) -> Result<impl IntoResponse, Failure> {
    let state = CsrfState::random().map_err(failure)?;
    let address = service
        .app
        .authorize_url()
        .scope(Scope::CONVERSATIONS_MESSAGE_WRITE)
        .state(state.as_str())
        .build()
        .map_err(failure)?;
    let cookie = format!("state={}; HttpOnly; SameSite=Lax; Path=/; Max-Age=3600", state.as_str());
    Ok((AppendHeaders([(SET_COOKIE, cookie)]), Redirect::to(&address)))
}

/// Receives the browser from HighLevel, with a code.
async fn installed(
    State(service): Shared,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<String, Failure> {
    let query = query.unwrap_or_default();
    let (code, state) = (parameter(&query, "code"), parameter(&query, "state"));
    let cookies = headers.get(COOKIE).and_then(|cookies| cookies.to_str().ok()).unwrap_or_default();
    let stored = cookies.split(';').find_map(|cookie| cookie.trim().strip_prefix("state="));
    if !stored.is_some_and(|stored| CsrfState::from_text(stored).matches(&state)) {
        return Err((StatusCode::FORBIDDEN, "this installation was not started in this browser".to_owned()));
    }
    let tokens = service.app.exchange(code).await.map_err(failure)?;
    match tokens.location_id {
        Some(location) => Ok(format!("The app is installed on {location}.")),
        None => Ok("The app is installed on the agency.".to_owned()),
    }
}

/// Returns a parameter of a query.
fn parameter(query: &str, name: &str) -> String {
    let url = reqwest::Url::parse(&format!("http://app/?{query}"));
    let found = url
        .ok()
        .and_then(|url| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into()));
    found.unwrap_or_default()
}

/// Handles an event. The layer has verified it, and commits it after a 2xx response.
async fn webhook(State(service): Shared, Webhook(event): Webhook<Event>) -> Result<StatusCode, Failure> {
    let handled = service.app.handle(&event).await.map_err(failure)?;
    if handled != Handled::NotAboutInstallation {
        service.handled.send(handled).map_err(|_| failure("the program is shutting down"))?;
    }
    Ok(StatusCode::OK)
}

fn failure(error: impl std::fmt::Display) -> Failure {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

/// Returns the routes of the app, and the results of handling its events.
fn routes(
    environment: &Environment,
    app: &App,
) -> Result<(axum::Router, mpsc::UnboundedReceiver<Handled>), Box<dyn Error>> {
    // The app id of the events is a part of the client id. HighLevel's published key is built in; a sandbox has its own.
    let mut receiver = Receiver::builder().app_id(app.app_id());
    if let Some(key) = environment.find("HIGHLEVEL_WEBHOOK_KEY") {
        receiver = receiver.key(PublicKey::from_base64("sandbox", &key)?);
    }
    let (sender, handled) = mpsc::unbounded_channel();
    let service = Service { app: app.clone(), handled: sender };
    let router = axum::Router::new()
        .route("/webhook", post(webhook).layer(WebhookLayer::new(receiver.build())))
        .route("/install", get(install))
        .route("/installed", get(installed))
        .with_state(Arc::new(service));
    Ok((router, handled))
}

/// Acts as a browser: follows redirects, stores cookies, and returns the last page.
async fn browse(address: &str) -> Result<String, Box<dyn Error>> {
    let _already_installed = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let browser =
        reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build()?;
    // Browsers have other cookies, too.
    let (mut address, mut cookies) = (address.to_owned(), "theme=dark".to_owned());
    for _ in 0..10 {
        let page = browser.get(&address).header(COOKIE, &cookies).send().await?;
        if let Some(set) = page.headers().get(SET_COOKIE) {
            let cookie = set.to_str()?.split(';').next().unwrap_or_default();
            cookies = format!("{cookie}; {cookies}");
        }
        match page.headers().get(LOCATION) {
            Some(next) => address = next.to_str()?.to_owned(),
            None => return Ok(page.error_for_status()?.text().await?),
        }
    }
    Err("too many redirects".into())
}

/// A folder for the tokens, deleted at the end.
struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    fn new() -> Result<Self, Box<dyn Error>> {
        let name = CsrfState::random()?;
        Ok(Self(std::env::temp_dir().join(format!("highlevel-app-{}", name.as_str()))))
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        let _removed = std::fs::remove_dir_all(&self.0);
    }
}

/// Returns an error if a condition does not hold.
fn expect(holds: bool, condition: &str) -> Result<(), Box<dyn Error>> {
    if holds { Ok(()) } else { Err(format!("expected that {condition}").into()) }
}
