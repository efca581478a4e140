//! The client for programs without an async runtime. Needs the feature `blocking`.
//!
//! ```no_run
//! use highlevel::{Client, Sms};
//!
//! # fn main() -> highlevel::Result<()> {
//! let client = Client::builder().token("pit-12345678-1234-1234-1234-123456789012").build_blocking()?;
//! let sent = client.messages().send(Sms::to("abc123def456").text("Your table is ready"))?;
//! println!("{} in {}", sent.message_id(), sent.conversation_id());
//! # Ok(())
//! # }
//! ```
//!
//! These types run the async ones on a tokio runtime of this crate, which a separate thread drives for as long as there
//! is a client: idle connections are watched, timers fire and tokens are refreshed while the program does something
//! else. All blocking clients of a process share that thread. Dropping the last one ends it, after the tokens of apps
//! are stored.
//!
//! Every operation of the async client is available, the ones that have no method here through [`Client::run`] and
//! [`App::run`].
//!
//! # Async programs
//!
//! A blocking call inside an async task would stop all tasks of its thread, and could wait for one of them forever. It
//! returns an error instead, and nothing is sent. Use the async client there, or [`tokio::task::spawn_blocking`], which
//! is allowed.
//!
//! # Forked processes
//!
//! A forked child process has no threads of its parent. Calls on a client that was built before the fork return an
//! error in the child; build the client there.

mod driver;
mod operations;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::driver::Driver;
pub use self::operations::{Calls, Contacts, Conversations, Files, Listing, Messages, Recording};
#[cfg(feature = "webhook")]
use crate::auth::Handled;
use crate::auth::{AppBuilder, AuthorizeUrl, TokenSet};
#[cfg(feature = "webhook")]
use crate::webhook::{Event, Verified};
use crate::{
    AppId, ClientBuilder, CompanyId, LocationId, Receipt, RequestPath, Result, RetryPolicy, SecretString,
};

impl ClientBuilder {
    /// Builds a client for programs without an async runtime.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`build`](Self::build), and [`ErrorKind::Configuration`](crate::ErrorKind::Configuration)
    /// if the thread of the runtime cannot be started.
    pub fn build_blocking(self) -> Result<Client> {
        Client::new(self.build()?)
    }
}

impl AppBuilder {
    /// Builds an app for programs without an async runtime.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`build`](Self::build), and [`ErrorKind::Configuration`](crate::ErrorKind::Configuration)
    /// if the thread of the runtime cannot be started.
    pub fn build_blocking(self) -> Result<App> {
        App::new(self.build()?)
    }
}

/// The runtime of a client, and the app whose tokens are stored before it ends.
struct Session {
    driver: Arc<Driver>,
    app: Option<crate::auth::App>,
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(app) = self.app.take() {
            self.driver.finish(async move { app.flush().await });
        }
    }
}

/// A blocking client of HighLevel's conversations API for one location. From
/// [`ClientBuilder::build_blocking`] or [`App::location`].
///
/// Cheap to clone; clones share their state as clones of [`highlevel::Client`](crate::Client) do.
#[derive(Clone)]
pub struct Client {
    inner: crate::Client,
    session: Arc<Session>,
}

impl Client {
    /// Returns a blocking client with the connections, token and limits of an async one.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if the thread of the runtime cannot be
    /// started.
    pub fn new(client: crate::Client) -> Result<Self> {
        Ok(Self { inner: client, session: Arc::new(Session { driver: Driver::shared()?, app: None }) })
    }

    /// Returns the async client below this one.
    pub fn as_async(&self) -> &crate::Client {
        &self.inner
    }

    /// Runs an operation of the async client, and waits for its result.
    ///
    /// ```no_run
    /// # fn example(client: highlevel::blocking::Client) -> highlevel::Result<()> {
    /// use highlevel::Sms;
    ///
    /// let messages = client.as_async().messages();
    /// let sent = client.run(messages.send(Sms::to("abc123def456").text("Your table is ready")))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the errors of the operation, and [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) inside an
    /// async task.
    pub fn run<T>(&self, operation: impl Future<Output = Result<T>>) -> Result<T> {
        self.session.driver.run(operation)
    }

    /// Creates a request to any endpoint. See [`Client::request`](crate::Client::request).
    pub fn request(&self, method: Method, path: impl Into<RequestPath>) -> Request {
        Request { inner: self.inner.request(method, path), client: self.clone() }
    }

    /// Returns the base URL. See [`Client::base_url`](crate::Client::base_url).
    pub fn base_url(&self) -> &str {
        self.inner.base_url()
    }

    /// Returns a client with another timeout per attempt. See
    /// [`Client::with_attempt_timeout`](crate::Client::with_attempt_timeout).
    pub fn with_attempt_timeout(mut self, timeout: Duration) -> Self {
        self.inner = self.inner.with_attempt_timeout(timeout);
        self
    }

    /// Returns a client with another timeout per call. See
    /// [`Client::with_call_timeout`](crate::Client::with_call_timeout).
    pub fn with_call_timeout(mut self, timeout: Duration) -> Self {
        self.inner = self.inner.with_call_timeout(timeout);
        self
    }

    /// Returns a client with another retry policy. See [`Client::with_retry_policy`](crate::Client::with_retry_policy).
    pub fn with_retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.inner = self.inner.with_retry_policy(policy);
        self
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// A request to any endpoint. From [`Client::request`].
#[derive(Debug)]
#[must_use = "a request does nothing until `send` or `send_json` is called"]
pub struct Request {
    inner: crate::Request,
    client: Client,
}

impl Request {
    /// Adds a query parameter. See [`Request::query`](crate::Request::query).
    pub fn query(mut self, name: impl Into<String>, value: impl fmt::Display) -> Self {
        self.inner = self.inner.query(name, value);
        self
    }

    /// Sets the body. See [`Request::json`](crate::Request::json).
    pub fn json(mut self, body: &impl Serialize) -> Self {
        self.inner = self.inner.json(body);
        self
    }

    /// Sends the request, and ignores the body of the response. See [`Request::send`](crate::Request::send).
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Messages::send`].
    pub fn send(self) -> Result<Receipt<()>> {
        self.client.run(self.inner.send())
    }

    /// Sends the request, and reads the body of the response as JSON. See
    /// [`Request::send_json`](crate::Request::send_json).
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Messages::send`].
    pub fn send_json<T: DeserializeOwned>(self) -> Result<Receipt<T>> {
        self.client.run(self.inner.send_json())
    }
}

/// An app that is installed on many locations. From [`AppBuilder::build_blocking`].
///
/// Cheap to clone. Dropping the last clone, and the last client of its locations, stores the tokens that are not stored
/// yet: it waits for that for at most 30 seconds.
#[derive(Clone)]
pub struct App {
    inner: crate::auth::App,
    session: Arc<Session>,
}

impl App {
    /// Returns a blocking app with the tokens and the store of an async one.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if the thread of the runtime cannot be
    /// started.
    pub fn new(app: crate::auth::App) -> Result<Self> {
        let session = Session { driver: Driver::shared()?, app: Some(app.clone()) };
        Ok(Self { inner: app, session: Arc::new(session) })
    }

    /// Returns the async app below this one.
    pub fn as_async(&self) -> &crate::auth::App {
        &self.inner
    }

    /// Runs an operation of the async app, and waits for its result. See [`Client::run`].
    ///
    /// # Errors
    ///
    /// Returns the errors of the operation, and [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) inside an
    /// async task.
    pub fn run<T>(&self, operation: impl Future<Output = Result<T>>) -> Result<T> {
        self.session.driver.run(operation)
    }

    /// Returns a client for a location. See [`App::location`](crate::auth::App::location).
    pub fn location(&self, location: impl Into<LocationId>) -> Client {
        self.client(self.inner.location(location))
    }

    /// Returns a company that the app is installed on. See [`App::company`](crate::auth::App::company).
    pub fn company(&self, company: impl Into<CompanyId>) -> Company {
        Company { inner: self.inner.company(company), app: self.clone() }
    }

    /// Builds the URL at which a user installs the app. See [`App::authorize_url`](crate::auth::App::authorize_url).
    pub fn authorize_url(&self) -> AuthorizeUrl {
        self.inner.authorize_url()
    }

    /// Returns the id of the app. See [`App::app_id`](crate::auth::App::app_id).
    pub fn app_id(&self) -> &AppId {
        self.inner.app_id()
    }

    /// Exchanges an authorization code for tokens. See [`App::exchange`](crate::auth::App::exchange).
    ///
    /// # Errors
    ///
    /// Returns the errors of the async method, and [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) inside
    /// an async task.
    pub fn exchange(&self, code: impl Into<SecretString>) -> Result<TokenSet> {
        self.run(self.inner.exchange(code))
    }

    /// Obtains a token for a location from the company's token. See
    /// [`App::location_token`](crate::auth::App::location_token).
    ///
    /// # Errors
    ///
    /// Returns the errors of [`exchange`](Self::exchange).
    pub fn location_token(
        &self,
        company: impl Into<CompanyId>,
        location: impl Into<LocationId>,
    ) -> Result<TokenSet> {
        self.run(self.inner.location_token(company, location))
    }

    /// Handles an install or uninstall event. See [`App::handle`](crate::auth::App::handle).
    ///
    /// # Errors
    ///
    /// Returns the errors of [`exchange`](Self::exchange).
    #[cfg(feature = "webhook")]
    pub fn handle(&self, event: &Verified<Event>) -> Result<Handled> {
        self.run(self.inner.handle(event))
    }

    /// Stores the tokens that are not stored yet. See [`App::flush`](crate::auth::App::flush). Dropping the app does
    /// this as well, for at most 30 seconds.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) inside an async task.
    pub fn flush(&self) -> Result<()> {
        self.run(async {
            self.inner.flush().await;
            Ok(())
        })
    }

    fn client(&self, inner: crate::Client) -> Client {
        Client { inner, session: Arc::clone(&self.session) }
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// A company (agency) that an app is installed on. From [`App::company`].
#[derive(Debug, Clone)]
pub struct Company {
    inner: crate::auth::Company,
    app: App,
}

impl Company {
    /// Returns a client with the token of the company. See [`Company::client`](crate::auth::Company::client).
    pub fn client(&self) -> Client {
        self.app.client(self.inner.client())
    }

    /// Returns a client for a location of the company. See [`Company::location`](crate::auth::Company::location).
    pub fn location(&self, location: impl Into<LocationId>) -> Client {
        self.app.client(self.inner.location(location))
    }
}
