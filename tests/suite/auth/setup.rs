//! A sandbox, apps that are installed on it with a browser, and its counts of requests for tokens.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use highlevel::auth::store::{self, MemoryStore, TokenStore};
use highlevel::auth::{App, AppBuilder, CsrfState, Scope, TokenSet};
use highlevel::limit::{Acquire, Permit};
use highlevel::{Client, RateLimiter, Sms};
use highlevel_sandbox::{Contact, Location, Sandbox, SandboxBuilder, TokenRequests, TokenResource};
use reqwest::Url;
use reqwest::redirect::Policy;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// Much longer than necessary: it only ends a test that fails.
pub(crate) const TEST_TIMEOUT: Duration = Duration::from_secs(30);
/// No server listens there: the test only reads the URL to which the browser is redirected.
const REDIRECT_URI: &str = "http://127.0.0.1:9/installed?from=highlevel";

/// A sandbox and the store of all apps. Both use the clock of the sandbox.
pub(crate) struct Setup {
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) store: MemoryStore,
}

impl Setup {
    pub(crate) async fn new() -> Self {
        Self::of(Sandbox::builder()).await
    }

    pub(crate) async fn of(sandbox: SandboxBuilder) -> Self {
        let sandbox = Arc::new(sandbox.start().await.expect("a sandbox"));
        let store = MemoryStore::new().with_clock({
            let sandbox = Arc::clone(&sandbox);
            move || sandbox.now()
        });
        Self { sandbox, store }
    }

    /// Starts building an app without rate limits.
    pub(crate) fn builder(&self) -> AppBuilder {
        let sandbox = Arc::clone(&self.sandbox);
        App::builder()
            .client_id(self.sandbox.client_id())
            .client_secret(self.sandbox.client_secret())
            .redirect_uri(REDIRECT_URI)
            .base_url(self.sandbox.base_url())
            .rate_limiter(Arc::new(Unlimited))
            .clock(move || sandbox.now())
            .store(self.store.clone())
    }

    pub(crate) fn app(&self) -> App {
        self.builder().build().expect("an app")
    }

    /// Installs an app with a browser, as an owner does.
    pub(crate) async fn install(&self, app: &App, resource: &TokenResource) -> TokenSet {
        app.exchange(self.authorize(app, resource).await).await.expect("tokens")
    }

    /// Returns the authorization code that the browser receives.
    pub(crate) async fn authorize(&self, app: &App, resource: &TokenResource) -> String {
        self.sandbox.choose_on_authorize(resource.clone());
        let state = CsrfState::random().expect("random numbers");
        let url = app
            .authorize_url()
            .scopes([Scope::CONVERSATIONS_MESSAGE_WRITE, Scope::OAUTH_WRITE])
            .state(state.as_str())
            .build()
            .expect("a URL");
        let response = browser().get(url).send().await.expect("a response");
        assert_eq!(response.status().as_u16(), 302);
        let target = response.headers()["location"].to_str().expect("a URL");
        let target = Url::parse(target).expect("a URL");
        assert!(target.as_str().starts_with(REDIRECT_URI), "{target}");
        let parameter = |name: &str| {
            let found = target.query_pairs().find(|(key, _)| key == name);
            found.map(|(_, value)| value.into_owned()).expect("a parameter")
        };
        assert!(state.matches(&parameter("state")));
        parameter("code")
    }

    /// Returns the default location of the sandbox.
    pub(crate) fn location(&self) -> TokenResource {
        TokenResource::location(self.sandbox.location_id())
    }

    /// Returns the company of the sandbox.
    pub(crate) fn company(&self) -> TokenResource {
        TokenResource::company(self.sandbox.company_id())
    }

    /// Returns an app that is installed on the default location, and a client of it.
    pub(crate) async fn installed(&self) -> (App, Client) {
        let app = self.app();
        self.install(&app, &self.location()).await;
        let client = app.location(self.sandbox.location_id());
        (app, client)
    }

    /// Adds locations to the company, each with a contact. The id of the contact is that of the location with `-contact`.
    pub(crate) fn add_locations(&self, ids: &[String]) {
        for id in ids {
            self.sandbox.put_location(Location::new(id)).expect("a location");
            let contact = Contact::new(format!("{id}-contact")).location(id).phone("+15037081213");
            self.sandbox.put_contact(contact).expect("a contact");
        }
    }

    /// Returns the counts of requests for the tokens of a resource.
    pub(crate) fn token_requests(&self, resource: &TokenResource) -> TokenRequests {
        self.sandbox.token_requests_of(resource)
    }

    /// Returns the number of requests with a refresh token, valid or not.
    pub(crate) fn refreshes(&self) -> u64 {
        self.sandbox.token_requests().iter().map(TokenRequests::refreshes).sum()
    }

    /// Returns the stored tokens of a resource.
    pub(crate) async fn stored(&self, resource: store::Resource) -> TokenSet {
        let stored = self.store.get(&store::Key::new(self.sandbox.client_id(), resource)).await;
        stored.expect("a store").expect("tokens").tokens
    }

    /// Waits until the tokens of this many resources are stored.
    pub(crate) async fn until_stored(&self, resources: usize) {
        let client_id = self.sandbox.client_id();
        let wait = async {
            while self.store.resources(&client_id).await.expect("a store").len() < resources {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(TEST_TIMEOUT, wait).await.expect("tokens in time");
    }

    /// Advances the clock until all access tokens have expired.
    pub(crate) fn expire(&self) {
        self.sandbox.advance_clock(Duration::from_secs(86_400));
    }

    /// Returns the texts of all accepted messages, sorted.
    pub(crate) fn texts(&self) -> Vec<String> {
        let messages = self.sandbox.messages();
        let mut texts: Vec<_> =
            messages.iter().map(|message| message.text().expect("a text").to_owned()).collect();
        texts.sort();
        texts
    }
}

/// A limiter without limits, which ignores the headers of the sandbox.
struct Unlimited;

impl RateLimiter for Unlimited {
    fn acquire<'a>(&'a self, _: &'a str, _: Duration) -> Acquire<'a> {
        Box::pin(ready(Ok(Permit::unlimited())))
    }
}

/// Sends an SMS to the contact of a location.
pub(crate) async fn send(client: &Client, contact: &str, text: &str) -> highlevel::Result<()> {
    client.messages().send(Sms::to(contact).text(text)).await.map(drop)
}

/// A browser that stops at each redirect.
fn browser() -> reqwest::Client {
    let _already_installed = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().redirect(Policy::none()).build().expect("a browser")
}
