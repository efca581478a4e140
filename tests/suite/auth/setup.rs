//! A sandbox, apps that are installed on it by a browser, and its count of what was asked.

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
/// Far longer than it takes: it only ends a test in which something is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Nobody listens there: only the address matters, to which the browser would go.
const REDIRECT_URI: &str = "http://127.0.0.1:9/installed?from=highlevel";

/// A sandbox and the store of all its apps. What time it is, for both sides, the sandbox says.
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

    /// Starts building an app. No limits are kept: how often tokens are asked for is what matters here.
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

    /// Installs an app as an owner does, with a browser.
    pub(crate) async fn install(&self, app: &App, resource: &TokenResource) -> TokenSet {
        app.exchange(self.authorize(app, resource).await).await.expect("tokens")
    }

    /// What the browser brings back: the code.
    pub(crate) async fn authorize(&self, app: &App, resource: &TokenResource) -> String {
        self.sandbox.choose_on_authorize(resource.clone());
        let state = CsrfState::random().expect("random numbers");
        let address = app
            .authorize_url()
            .base_url(self.sandbox.base_url())
            .scopes([Scope::CONVERSATIONS_MESSAGE_WRITE, Scope::OAUTH_WRITE])
            .state(state.as_str())
            .build()
            .expect("an address");
        let answer = browser().get(address).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 302);
        let target = answer.headers()["location"].to_str().expect("an address");
        let target = Url::parse(target).expect("an address");
        assert!(target.as_str().starts_with(REDIRECT_URI), "{target}");
        let parameter = |name: &str| {
            let found = target.query_pairs().find(|(key, _)| key == name);
            found.map(|(_, value)| value.into_owned()).expect("a parameter")
        };
        assert!(state.matches(&parameter("state")));
        parameter("code")
    }

    /// The sandbox's own location.
    pub(crate) fn location(&self) -> TokenResource {
        TokenResource::location(self.sandbox.location_id())
    }

    /// The sandbox's own company.
    pub(crate) fn company(&self) -> TokenResource {
        TokenResource::company(self.sandbox.company_id())
    }

    /// An app that is installed on the sandbox's own location, and a client of it.
    pub(crate) async fn installed(&self) -> (App, Client) {
        let app = self.app();
        self.install(&app, &self.location()).await;
        let client = app.location(self.sandbox.location_id());
        (app, client)
    }

    /// More locations of the company, each with a contact, whose id is that of the location with `-contact`.
    pub(crate) fn add_locations(&self, ids: &[String]) {
        for id in ids {
            self.sandbox.put_location(Location::new(id)).expect("a location");
            let contact = Contact::new(format!("{id}-contact")).location(id);
            self.sandbox.put_contact(contact).expect("a contact");
        }
    }

    /// How often tokens of a resource were asked for.
    pub(crate) fn asked(&self, resource: &TokenResource) -> TokenRequests {
        self.sandbox.token_requests_of(resource)
    }

    /// How often anybody asked for a renewal, be it with a token that nobody was given.
    pub(crate) fn refreshes(&self) -> u64 {
        self.sandbox.token_requests().iter().map(TokenRequests::refreshes).sum()
    }

    /// What is stored for a resource.
    pub(crate) async fn stored(&self, resource: store::Resource) -> TokenSet {
        let stored = self.store.get(&store::Key::new(self.sandbox.client_id(), resource)).await;
        stored.expect("a store").expect("tokens").tokens
    }

    /// Waits until there are tokens of so many resources.
    pub(crate) async fn until_stored(&self, resources: usize) {
        let client_id = self.sandbox.client_id();
        let wait = async {
            while self.store.resources(&client_id).await.expect("a store").len() < resources {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("tokens in time");
    }

    /// All access tokens expire.
    pub(crate) fn expire(&self) {
        self.sandbox.advance_clock(Duration::from_secs(86_400));
    }

    /// The texts of all messages that were accepted, sorted.
    pub(crate) fn texts(&self) -> Vec<String> {
        let messages = self.sandbox.messages();
        let mut texts: Vec<_> =
            messages.iter().map(|message| message.text().expect("a text").to_owned()).collect();
        texts.sort();
        texts
    }
}

/// Lets everything through, whatever the headers of the sandbox say.
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
