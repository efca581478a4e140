//! A small app that is installed on two locations through the browser, sends for both, and is removed from one.
//!
//! Run it with `cargo run --example oauth_app`. HighLevel is a sandbox in the same process, and the owners' browser is a
//! script that does what a browser does: it follows redirects and keeps cookies.

use std::error::Error;
use std::path::{Path, PathBuf};
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
use highlevel_sandbox::{Contact, Location, Sandbox, TokenResource};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// Far longer than it takes: it only ends a run in which something is broken.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    println!("A sandbox with two locations starts, and the app");
    let sandbox = Sandbox::start().await?;
    let (first, second) = (sandbox.location_id().to_owned(), "bQ7mZk2vR4tY8wX1cN5d".to_owned());
    sandbox.put_location(Location::new(&second))?;
    sandbox.put_contact(Contact::new("guest-of-the-second").location(&second))?;
    let contacts = [sandbox.contact_id().to_owned(), "guest-of-the-second".to_owned()];
    let folder = Folder::new()?;
    let (address, app, mut handled) = serve(&sandbox, &folder.0).await?;

    println!("\nTheir owners install it in the browser");
    for location in [&first, &second] {
        sandbox.choose_on_authorize(TokenResource::location(location));
        let page = browse(&format!("{address}/install")).await?;
        println!("   {page}");
        expect(page == format!("The app is installed on {location}."), "the page says so")?;
        // HighLevel sends the event at once: it may be here before the tokens, or after them.
        let event = tokio::time::timeout(PATIENCE, handled.recv()).await?.ok_or("the app has stopped")?;
        println!("   event: {event:?}");
        let fine = matches!(event, Handled::WaitingForExchange(_) | Handled::AlreadyStored(_));
        expect(fine, "the event is that of the installation")?;
    }

    println!("\nIt sends for both");
    for (location, contact) in [&first, &second].into_iter().zip(&contacts) {
        remind(&app, &location.as_str().into(), contact).await?;
    }
    let messages = sandbox.messages();
    for message in &messages {
        println!("   {}: {}", message.location_id, message.text().unwrap_or_default());
    }
    let locations: Vec<_> = messages.iter().map(|message| &message.location_id).collect();
    expect(locations == [&first, &second], "each location has its message")?;

    println!("\nA day later the tokens have expired, and nobody notices");
    sandbox.expire_access_tokens(&TokenResource::location(&second));
    remind(&app, &second.as_str().into(), &contacts[1]).await?;
    let renewed = sandbox.token_requests_of(&TokenResource::location(&second));
    expect((renewed.rotated, renewed.refused) == (1, 0), "the tokens were renewed once")?;

    println!("\nThe first owner removes it");
    sandbox.uninstall(&TokenResource::location(&first))?;
    let event = tokio::time::timeout(PATIENCE, handled.recv()).await?.ok_or("the app has stopped")?;
    println!("   event: {event:?}");
    expect(matches!(&event, Handled::Removed(resources) if resources.len() == 1), "the tokens are gone")?;
    let Err(error) = remind(&app, &first.as_str().into(), &contacts[0]).await else {
        return Err("it sent for a location that it was removed from".into());
    };
    println!("   {error}");
    expect(error.kind() == ErrorKind::NeedsAuthorization, "the error says what to do")?;
    remind(&app, &second.as_str().into(), &contacts[1]).await?;
    expect(sandbox.messages().len() == 4, "the second location goes on")?;

    // A renewal may still be under way, whose tokens nobody else has.
    if tokio::time::timeout(PATIENCE, app.flush()).await.is_err() {
        eprintln!("the token store takes nothing: the last tokens may be lost");
    }
    println!("\nDone. Nothing left this machine.");
    Ok(())
}

/// What the app sends.
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
    base_url: String,
    handled: mpsc::UnboundedSender<Handled>,
}

type Shared = State<Arc<Service>>;
type Failure = (StatusCode, String);

/// Where an owner begins: the browser is sent to HighLevel, and keeps a secret until it is back.
async fn install(State(service): Shared) -> Result<impl IntoResponse, Failure> {
    let state = CsrfState::random().map_err(failure)?;
    let address = service
        .app
        .authorize_url()
        .base_url(service.base_url.clone())
        .scope(Scope::CONVERSATIONS_MESSAGE_WRITE)
        .state(state.as_str())
        .build()
        .map_err(failure)?;
    let cookie = format!("state={}; HttpOnly; SameSite=Lax; Path=/; Max-Age=3600", state.as_str());
    Ok((AppendHeaders([(SET_COOKIE, cookie)]), Redirect::to(&address)))
}

/// Where the browser comes back to.
async fn installed(
    State(service): Shared,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<String, Failure> {
    let query = query.unwrap_or_default();
    let (code, state) = (parameter(&query, "code"), parameter(&query, "state"));
    let cookies = headers.get(COOKIE).and_then(|cookies| cookies.to_str().ok()).unwrap_or_default();
    let kept = cookies.split(';').find_map(|cookie| cookie.trim().strip_prefix("state="));
    if !kept.is_some_and(|kept| CsrfState::from_text(kept).matches(&state)) {
        return Err((StatusCode::FORBIDDEN, "this installation was not begun here".to_owned()));
    }
    let tokens = service.app.exchange(code).await.map_err(failure)?;
    match tokens.location_id {
        Some(location) => Ok(format!("The app is installed on {location}.")),
        None => Ok("The app is installed on the agency.".to_owned()),
    }
}

/// A parameter of a query.
fn parameter(query: &str, name: &str) -> String {
    let url = reqwest::Url::parse(&format!("http://app/?{query}"));
    let found = url
        .ok()
        .and_then(|url| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into()));
    found.unwrap_or_default()
}

/// Where HighLevel sends its events: verified before they get here, and committed by the answer.
async fn webhook(State(service): Shared, Webhook(event): Webhook<Event>) -> Result<StatusCode, Failure> {
    let handled = service.app.handle(&event).await.map_err(failure)?;
    if handled != Handled::NotAboutInstallation {
        service.handled.send(handled).map_err(|_| failure("nobody is listening"))?;
    }
    Ok(StatusCode::OK)
}

fn failure(error: impl std::fmt::Display) -> Failure {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

/// Starts the app: its address, the app itself, and what it does about events.
async fn serve(
    sandbox: &Sandbox,
    tokens: &Path,
) -> Result<(String, App, mpsc::UnboundedReceiver<Handled>), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    let app = build(&Settings {
        client_id: sandbox.client_id(),
        client_secret: sandbox.client_secret(),
        redirect_uri: format!("{address}/installed"),
        tokens: tokens.to_owned(),
        base_url: sandbox.base_url(),
    })?;
    // Against the live API the line with the key is left out: HighLevel's published key is built in.
    let receiver = Receiver::builder()
        .app_id(app.app_id())
        .key(PublicKey::from_base64("sandbox", sandbox.webhook_public_key())?)
        .build();
    let (sender, handled) = mpsc::unbounded_channel();
    let service = Service { app: app.clone(), base_url: sandbox.base_url(), handled: sender };
    let router = axum::Router::new()
        .route("/webhook", post(webhook).layer(WebhookLayer::new(receiver)))
        .route("/install", get(install))
        .route("/installed", get(installed))
        .with_state(Arc::new(service));
    sandbox.set_webhook_url(format!("{address}/webhook"))?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok((address, app, handled))
}

/// What a browser does: it follows redirects, keeps cookies, and shows the last page.
async fn browse(address: &str) -> Result<String, Box<dyn Error>> {
    let _already_installed = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let browser =
        reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build()?;
    // It has a cookie of something else already, as browsers do.
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
    Err("the browser is sent in circles".into())
}

/// A folder for the tokens, which is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, Box<dyn Error>> {
        let name = CsrfState::random()?;
        Ok(Self(std::env::temp_dir().join(format!("highlevel-app-{}", name.as_str()))))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _removed = std::fs::remove_dir_all(&self.0);
    }
}

/// Ends the run if something is not as it should be.
fn expect(holds: bool, what: &str) -> Result<(), Box<dyn Error>> {
    if holds { Ok(()) } else { Err(format!("not so: {what}").into()) }
}
