//! Builds an [`App`].

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use secrecy::{ExposeSecret, SecretString};

use super::app::App;
use super::guarded::GuardedStore;
use super::oauth::OAuth;
use super::shared::{Clock, Shared, Slots};
use super::store::TokenStore;
use super::task::Jobs;
use crate::limit::RateLimiter;
use crate::{ApiVersion, AppId, ClientBuilder, Error, Result, RetryPolicy, Tls, Transport};

impl App {
    /// Starts building an app. The client id, the client secret and a store are required.
    pub fn builder() -> AppBuilder {
        AppBuilder::default()
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
    /// Sets the client id, from the settings of the app in the marketplace.
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = client_id.into();
        self
    }

    /// Sets the client secret that belongs to the client id.
    pub fn client_secret(mut self, client_secret: impl Into<SecretString>) -> Self {
        self.client_secret = Some(client_secret.into());
        self
    }

    /// Sets the id of the app, which identifies it in webhooks. Defaults to the part of the client id before the first `-`,
    /// which is the id of all known apps.
    pub fn app_id(mut self, app_id: impl Into<AppId>) -> Self {
        self.app_id = Some(app_id.into());
        self
    }

    /// Sets the URL to which HighLevel redirects the browser after an installation, exactly as in the settings of the app.
    pub fn redirect_uri(mut self, redirect_uri: impl Into<String>) -> Self {
        self.redirect_uri = Some(redirect_uri.into());
        self
    }

    /// Sets the store that persists the tokens; see [`store`](super::store).
    pub fn store(mut self, store: impl TokenStore + 'static) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Sets the clock by which tokens expire, for tests. Defaults to the system clock.
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// As [`ClientBuilder::rate_limiter`]: one limiter for all locations of the app, with separate limits for each.
    pub fn rate_limiter(mut self, limiter: impl RateLimiter + 'static) -> Self {
        self.client = self.client.rate_limiter(limiter);
        self
    }

    /// As [`ClientBuilder::retry_policy`]. It does not apply to requests for tokens.
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.client = self.client.retry_policy(policy);
        self
    }

    /// As [`ClientBuilder::base_url`]. Tokens are requested from it as well, and owners install the app there, if it is not that
    /// of the live API.
    pub fn base_url(mut self, base_url: impl Into<String>) -> Self {
        self.client = self.client.base_url(base_url);
        self
    }

    /// As [`ClientBuilder::allow_plain_http`].
    pub fn allow_plain_http(mut self) -> Self {
        self.client = self.client.allow_plain_http();
        self
    }

    /// As [`ClientBuilder::version`]. It does not apply to requests for tokens.
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

    /// As [`ClientBuilder::attempt_timeout`]. The timeout for requests for tokens is always 10 seconds.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.client = self.client.attempt_timeout(timeout);
        self
    }

    /// As [`ClientBuilder::call_timeout`]. Includes the time to obtain tokens.
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
    /// Returns [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if the client id, the client secret or the store
    /// is missing, and in the cases of [`ClientBuilder::build`].
    pub fn build(self) -> Result<App> {
        let client_id = self.client_id;
        if client_id.trim().is_empty() {
            return Err(missing("client id", "client_id"));
        }
        let secret = self.client_secret.filter(|secret| !is_blank(secret));
        let client_secret = secret.ok_or_else(|| missing("client secret", "client_secret"))?;
        let store = self.store.ok_or_else(|| {
            Error::configuration(
                "no store: call `.store(…)`, on a single machine with a `FileStore`, so that tokens survive a restart",
            )
        })?;
        let default_app_id = || AppId::from(client_id.split('-').next().unwrap_or(&client_id));
        let app_id = self.app_id.unwrap_or_else(default_app_id);
        let connection = self.client.connect()?;
        let oauth =
            OAuth::new(connection.clone(), client_id.clone(), client_secret, self.redirect_uri.clone());
        let shared = Shared {
            connection,
            oauth,
            store: GuardedStore(store),
            client_id,
            app_id,
            redirect_uri: self.redirect_uri,
            clock: self.clock.unwrap_or_else(|| Arc::new(SystemTime::now)),
            slots: Slots::default(),
            jobs: Jobs::default(),
            waiting: Mutex::default(),
        };
        Ok(App { shared: Arc::new(shared) })
    }
}

fn missing(setting: &str, method: &str) -> Error {
    Error::configuration(format!(
        "no {setting}: call `.{method}(…)` with the one from the settings of the app in the marketplace"
    ))
}

fn is_blank(secret: &SecretString) -> bool {
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
