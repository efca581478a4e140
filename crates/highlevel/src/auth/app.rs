//! An app, and how it is built.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use tokio::task::JoinSet;

use super::authorize::AuthorizeUrl;
use super::guarded::GuardedStore;
use super::oauth::{Moment, OAuth};
use super::store::{Key, Resource, TokenStore};
use super::task::Jobs;
use super::token_manager::{Slot, TokenManager};
use crate::call;
use crate::connection::Connection;
use crate::limit::RateLimiter;
use crate::token::Tokens;
use crate::{
    ApiVersion, AppId, Client, ClientBuilder, CompanyId, Error, LocationId, Result, RetryPolicy, Tls,
    Transport,
};

/// An app of HighLevel's marketplace, with the tokens of all locations and companies that it is installed on.
///
/// Cheap to clone; clones share connections, limits, store and what is known of the tokens.
#[derive(Clone)]
pub struct App {
    pub(super) inner: Arc<Inner>,
}

/// What all clones share.
pub(crate) struct Inner {
    pub(super) connection: Connection,
    pub(super) oauth: OAuth,
    pub(super) store: GuardedStore,
    pub(super) client_id: String,
    pub(super) app_id: AppId,
    pub(super) redirect_uri: Option<String>,
    clock: Clock,
    slots: Mutex<Slots>,
    /// Work that continues when its caller gives up.
    pub(super) jobs: Jobs,
    /// Locations that the app was installed on, until the tokens of their companies are there.
    pub(super) waiting: Mutex<BTreeMap<CompanyId, BTreeSet<LocationId>>>,
}

/// What is known of each resource.
#[derive(Default)]
struct Slots {
    known: HashMap<Resource, Arc<Slot>>,
    sweep_at: usize,
}

/// How many resources are known before those of which nothing is known are looked for.
const SWEEP_AT_LEAST: usize = 64;

type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

impl App {
    /// Starts building an app. The client id, the client secret and a store are needed.
    pub fn builder() -> AppBuilder {
        AppBuilder::default()
    }

    /// A client of a location. Cheap: nothing is asked before its first call.
    ///
    /// Its tokens come from the store, and stay fresh by themselves. It has the limits of its location, and shares
    /// everything else with the app.
    pub fn location(&self, location: impl Into<LocationId>) -> Client {
        let location = location.into();
        let name = location.to_string();
        let manager = self.inner.manager(Resource::Location(location));
        Client::new(self.inner.connection.clone(), Tokens::App(manager), name)
    }

    /// A company (agency) that the app is installed on.
    pub fn company(&self, company: impl Into<CompanyId>) -> Company {
        Company { app: self.clone(), id: company.into() }
    }

    /// Begins the address at which an owner installs the app.
    pub fn authorize_url(&self) -> AuthorizeUrl {
        AuthorizeUrl::new(&self.inner.client_id, self.inner.redirect_uri.as_deref())
    }

    /// The id of the app, as webhooks name it.
    pub fn app_id(&self) -> &AppId {
        &self.inner.app_id
    }

    /// Waits until all tokens are in the store, and nothing is under way in the background.
    ///
    /// A refresh continues when its call has given up. A program that ends meanwhile, or is frozen as functions in a cloud
    /// are, loses tokens that HighLevel has just issued, and with them the installation: let it wait for this first.
    ///
    /// It does not matter which runtime the work was started on. If that was shut down, or is not driven any more, the work
    /// is done on the runtime that calls this: tokens in memory are stored, and a refresh whose response was lost is repeated
    /// as long as HighLevel repeats its response (30 seconds).
    ///
    /// Refreshes end by themselves, half a minute after the call timeout at the latest. A store that takes nothing is waited
    /// for as long as it does not: put a [timeout](tokio::time::timeout) around this where that must not be. The app can be
    /// used meanwhile and afterwards.
    pub async fn flush(&self) {
        loop {
            let managers = self.inner.unsettled();
            if managers.is_empty() && self.inner.jobs.are_done() {
                return;
            }
            let mut settling = JoinSet::new();
            for manager in managers {
                settling.spawn(async move { manager.settle().await });
            }
            while settling.join_next().await.is_some() {}
            self.inner.jobs.end().await;
        }
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("client_id", &self.inner.client_id)
            .field("base_url", &self.inner.connection.base_url)
            .finish_non_exhaustive()
    }
}

/// A company (agency) that an app is installed on. From [`App::company`].
#[derive(Debug, Clone)]
pub struct Company {
    app: App,
    id: CompanyId,
}

impl Company {
    /// A client with the token of the company itself, for [requests](Client::request) about it. Messages and calls are of
    /// locations.
    pub fn client(&self) -> Client {
        let manager = self.app.inner.manager(Resource::Company(self.id.clone()));
        Client::new(self.app.inner.connection.clone(), Tokens::App(manager), self.id.to_string())
    }

    /// A client of a location of this company, as [`App::location`]. If there are no tokens of the location, or none
    /// that work, they are had by the token of the company, which needs the scope `oauth.write`.
    pub fn location(&self, location: impl Into<LocationId>) -> Client {
        let location = location.into();
        self.app.inner.belongs(&location, &self.id);
        self.app.location(location)
    }
}

impl Inner {
    pub(super) fn now(&self) -> SystemTime {
        (self.clock)()
    }

    pub(super) fn moment(&self) -> Moment {
        Moment { wall: self.now(), steady: call::now() }
    }

    /// The resources that something is under way for.
    fn unsettled(self: &Arc<Self>) -> Vec<TokenManager> {
        let now = self.moment();
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let unsettled = slots.known.values().filter(|slot| slot.state().is_unsettled(now));
        unsettled.map(|slot| TokenManager { app: Arc::clone(self), slot: Arc::clone(slot) }).collect()
    }

    /// Returns the manager of the tokens of a resource.
    pub(super) fn manager(self: &Arc<Self>, resource: Resource) -> TokenManager {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.known.len() >= slots.sweep_at.max(SWEEP_AT_LEAST) && !slots.known.contains_key(&resource) {
            // A program may ask for any id. One that a client has is in use.
            slots.known.retain(|_, slot| Arc::strong_count(slot) > 1 || !slot.state().is_blank());
            slots.sweep_at = slots.known.len() * 2;
        }
        let slot = slots
            .known
            .entry(resource)
            .or_insert_with_key(|resource| Arc::new(Slot::new(Key::new(&*self.client_id, resource.clone()))));
        TokenManager { app: Arc::clone(self), slot: Arc::clone(slot) }
    }

    /// The locations of a company whose tokens the store has not taken yet.
    pub(super) fn pending_of(&self, company: &CompanyId) -> BTreeSet<Resource> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let is_of = |slot: &Slot| {
            let state = slot.state();
            state.pending.as_ref().is_some_and(|pending| pending.tokens.company_id.as_ref() == Some(company))
        };
        let locations = slots
            .known
            .iter()
            .filter(|(resource, slot)| matches!(resource, Resource::Location(_)) && is_of(slot));
        locations.map(|(resource, _)| resource.clone()).collect()
    }

    /// Remembers which company a location belongs to.
    pub(super) fn belongs(self: &Arc<Self>, location: &LocationId, company: &CompanyId) {
        let manager = self.manager(Resource::Location(location.clone()));
        manager.slot.state().company = Some(company.clone());
    }
}

/// Builds an [`App`].
///
/// ```
/// use std::time::Duration;
/// use highlevel::auth::{App, store::MemoryStore};
///
/// let app = App::builder()
///     .client_id("665c6bb13d4e5364bdec0e2f-lx1a2b3c")
///     .client_secret("1234abcd-5678")
///     .redirect_uri("https://app.example.com/installed")
///     .store(MemoryStore::new())
///     .call_timeout(Duration::from_secs(20))
///     .build()?;
/// # Ok::<(), highlevel::Error>(())
/// ```
#[must_use = "a builder does nothing until `build` is called"]
#[derive(Clone, Default)]
pub struct AppBuilder {
    client: ClientBuilder,
    client_id: String,
    client_secret: Option<SecretString>,
    app_id: Option<AppId>,
    redirect_uri: Option<String>,
    store: Option<Arc<dyn TokenStore>>,
    clock: Option<Clock>,
}

impl AppBuilder {
    /// The client id, from the settings of the app in the marketplace.
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = client_id.into();
        self
    }

    /// The client secret that belongs to the client id.
    pub fn client_secret(mut self, client_secret: impl Into<SecretString>) -> Self {
        self.client_secret = Some(client_secret.into());
        self
    }

    /// The id of the app, as webhooks name it. By default, what stands before the first `-` of the client id: so it is for
    /// all apps that are known.
    pub fn app_id(mut self, app_id: impl Into<AppId>) -> Self {
        self.app_id = Some(app_id.into());
        self
    }

    /// Where the browser comes back to after an installation, exactly as it stands in the settings of the app.
    pub fn redirect_uri(mut self, redirect_uri: impl Into<String>) -> Self {
        self.redirect_uri = Some(redirect_uri.into());
        self
    }

    /// Where tokens are kept; see [`store`](super::store).
    pub fn store(mut self, store: impl TokenStore + 'static) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// What time it is, by which tokens expire: the clock of the system by default.
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// As [`ClientBuilder::rate_limiter`]: one limiter for all locations of the app, each of which has its own limits.
    pub fn rate_limiter(mut self, limiter: impl RateLimiter + 'static) -> Self {
        self.client = self.client.rate_limiter(limiter);
        self
    }

    /// As [`ClientBuilder::retry_policy`]. Requests for tokens have rules of their own.
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.client = self.client.retry_policy(policy);
        self
    }

    /// As [`ClientBuilder::base_url`]. Tokens are had from there as well.
    pub fn base_url(mut self, base_url: impl Into<String>) -> Self {
        self.client = self.client.base_url(base_url);
        self
    }

    /// As [`ClientBuilder::allow_plain_http`].
    pub fn allow_plain_http(mut self) -> Self {
        self.client = self.client.allow_plain_http();
        self
    }

    /// As [`ClientBuilder::version`], for all but the requests for tokens.
    pub fn version(mut self, version: ApiVersion) -> Self {
        self.client = self.client.version(version);
        self
    }

    /// As [`ClientBuilder::user_agent`].
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.client = self.client.user_agent(user_agent);
        self
    }

    /// As [`ClientBuilder::connect_timeout`].
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.client = self.client.connect_timeout(timeout);
        self
    }

    /// As [`ClientBuilder::attempt_timeout`]. Requests for tokens have 10 seconds for an attempt, whatever is set here.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.client = self.client.attempt_timeout(timeout);
        self
    }

    /// As [`ClientBuilder::call_timeout`], waiting for tokens included.
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.client = self.client.call_timeout(timeout);
        self
    }

    /// As [`ClientBuilder::idle_timeout`].
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.client = self.client.idle_timeout(timeout);
        self
    }

    /// As [`ClientBuilder::max_connections`].
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.client = self.client.max_connections(connections);
        self
    }

    /// As [`ClientBuilder::tls`].
    pub fn tls(mut self, tls: Tls) -> Self {
        self.client = self.client.tls(tls);
        self
    }

    /// As [`ClientBuilder::http_client`].
    pub fn http_client(
        mut self,
        configure: impl Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + Sync + 'static,
    ) -> Self {
        self.client = self.client.http_client(configure);
        self
    }

    /// As [`ClientBuilder::transport`].
    pub fn transport(mut self, transport: &Transport) -> Self {
        self.client = self.client.transport(transport);
        self
    }

    /// Builds the app.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) for a missing client id, client secret or store, and
    /// for what [`ClientBuilder::build`] refuses.
    pub fn build(self) -> Result<App> {
        let client_id = self.client_id;
        if client_id.trim().is_empty() {
            return Err(missing("client id", "client_id"));
        }
        let secret = self.client_secret.filter(|secret| !is_blank(secret));
        let client_secret = secret.ok_or_else(|| missing("client secret", "client_secret"))?;
        let store = self.store.ok_or_else(|| {
            Error::configuration(
                "no store: call `.store(…)`, for one machine with a `FileStore`, so that tokens survive a restart",
            )
        })?;
        let own = || AppId::from(client_id.split('-').next().unwrap_or(&client_id));
        let app_id = self.app_id.unwrap_or_else(own);
        let connection = self.client.connect()?;
        let oauth =
            OAuth::new(connection.clone(), client_id.clone(), client_secret, self.redirect_uri.clone());
        let inner = Inner {
            connection,
            oauth,
            store: GuardedStore(store),
            client_id,
            app_id,
            redirect_uri: self.redirect_uri,
            clock: self.clock.unwrap_or_else(|| Arc::new(SystemTime::now)),
            slots: Mutex::default(),
            jobs: Jobs::default(),
            waiting: Mutex::default(),
        };
        Ok(App { inner: Arc::new(inner) })
    }
}

fn missing(what: &str, method: &str) -> Error {
    Error::configuration(format!(
        "no {what}: call `.{method}(…)` with the one from the settings of the app in the marketplace"
    ))
}

fn is_blank(secret: &SecretString) -> bool {
    use secrecy::ExposeSecret;
    secret.expose_secret().trim().is_empty()
}

impl fmt::Debug for AppBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppBuilder")
            .field("client_id", &self.client_id)
            .field("redirect_uri", &self.redirect_uri)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::store::MemoryStore;

    #[test]
    fn what_nothing_is_known_of_is_forgotten() {
        let app = App::builder().client_id("a-b").client_secret("s").store(MemoryStore::new());
        let app = app.base_url("http://127.0.0.1:1").build().expect("an app");
        let held = app.location("held");
        let known = |id: &str| {
            let slots = app.inner.slots.lock().expect("no panic");
            slots.known.contains_key(&Resource::Location(id.to_owned().into()))
        };
        drop(app.company("company").location("named"));
        for number in 0..1_000 {
            drop(app.location(format!("{number}")));
        }
        assert!(known("held") && known("named"));
        assert!(app.inner.slots.lock().expect("no panic").known.len() <= SWEEP_AT_LEAST);
        drop(held);
    }
}
