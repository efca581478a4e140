//! The apps that request tokens.

use serde::{Deserialize, Serialize};
use std::io;

use crate::webhook_url::parse_webhook_url;
use crate::weight;

/// An app of the marketplace, with its credentials and the redirect URIs and scopes that it may request.
///
/// ```
/// use highlevel_sandbox::SandboxApp;
///
/// let app = SandboxApp::new("665c6bb13d4e5364bdec0e2f-mine", "a secret")
///     .redirect_uri("http://127.0.0.1:3000/oauth/callback")
///     .scope("conversations/message.write");
/// assert_eq!(app.app_id, "665c6bb13d4e5364bdec0e2f");
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct SandboxApp {
    /// The client ID that the app sends in token requests.
    pub client_id: String,
    /// The client secret that the app sends in token requests.
    pub client_secret: String,
    /// The app ID in webhook events. Defaults to the part of the client ID before the first `-`.
    #[serde(default)]
    pub app_id: String,
    /// The URIs that the browser may be redirected to with a code. If empty, only loopback addresses and `localhost` are
    /// allowed.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// The scopes that the app may request. If empty, all scopes are allowed.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The URL that `INSTALL` and `UNINSTALL` events are sent to, with the scheme `http`. Defaults to the webhook URL of
    /// the sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_url: Option<String>,
}

impl SandboxApp {
    /// Creates an app that may request every scope, and may redirect the browser to any loopback address.
    pub fn new(client_id: impl Into<String>, client_secret: impl Into<String>) -> Self {
        Self {
            client_id: client_id.into(),
            client_secret: client_secret.into(),
            app_id: String::new(),
            redirect_uris: Vec::new(),
            scopes: Vec::new(),
            webhook_url: None,
        }
        .with_default_app_id()
    }

    /// Sets the app ID in webhook events.
    pub fn app_id(mut self, id: impl Into<String>) -> Self {
        self.app_id = id.into();
        self
    }

    /// Adds a URI that the browser may be redirected to with a code.
    pub fn redirect_uri(mut self, uri: impl Into<String>) -> Self {
        self.redirect_uris.push(uri.into());
        self
    }

    /// Adds a scope that the app may request.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scopes.push(scope.into());
        self
    }

    /// Sets the URL that `INSTALL` and `UNINSTALL` events are sent to.
    pub fn webhook_url(mut self, url: impl Into<String>) -> Self {
        self.webhook_url = Some(url.into());
        self
    }

    /// Returns the memory that the app uses, in bytes.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>()
            + weight::text(&self.client_id)
            + weight::text(&self.client_secret)
            + weight::text(&self.app_id)
            + weight::texts(&self.redirect_uris)
            + weight::texts(&self.scopes)
            + weight::option(self.webhook_url.as_ref())
    }

    /// Sets the app ID to its default if it is empty.
    pub(crate) fn with_default_app_id(mut self) -> Self {
        if self.app_id.is_empty() {
            let id = self.client_id.split('-').next().unwrap_or_default();
            self.app_id = id.to_owned();
        }
        self
    }

    /// Returns the app if it is valid.
    ///
    /// # Errors
    ///
    /// Returns `InvalidInput` if the client ID or secret is not printable ASCII, or the webhook URL is unsupported.
    pub(crate) fn checked(self) -> io::Result<Self> {
        let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !plain(&self.client_id) || !plain(&self.client_secret) {
            let message =
                "the client ID and secret of an app must be printable ASCII without spaces, and not empty";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        self.webhook_url.as_deref().map(parse_webhook_url).transpose()?;
        Ok(self.with_default_app_id())
    }
}

impl std::fmt::Debug for SandboxApp {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SandboxApp")
            .field("client_id", &self.client_id)
            .field("app_id", &self.app_id)
            .field("redirect_uris", &self.redirect_uris)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}
