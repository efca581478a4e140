//! The apps that ask for tokens.

use serde::{Deserialize, Serialize};
use std::io;

use crate::webhook_url::parse_webhook_url;
use crate::weight;

/// An app of the marketplace: who may ask for tokens, and what for.
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
    /// What it calls itself when it asks for tokens.
    pub client_id: String,
    /// What proves that it is the one.
    pub client_secret: String,
    /// The id that webhook events name: the part of the client id before the first `-`, unless it is set.
    #[serde(default)]
    pub app_id: String,
    /// Where the browser may be sent with a code. Without any, only to this machine: loopback addresses and `localhost`.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// The scopes that it may ask for; without any, all.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Where `INSTALL` and `UNINSTALL` are sent, a plain `http` URL. Without one, where all events of the sandbox are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_url: Option<String>,
}

impl SandboxApp {
    /// An app that may ask for every scope, and have the browser sent to any address of this machine.
    pub fn new(client_id: impl Into<String>, client_secret: impl Into<String>) -> Self {
        Self {
            client_id: client_id.into(),
            client_secret: client_secret.into(),
            app_id: String::new(),
            redirect_uris: Vec::new(),
            scopes: Vec::new(),
            webhook_url: None,
        }
        .identified()
    }

    /// Sets the id that webhook events name.
    pub fn app_id(mut self, id: impl Into<String>) -> Self {
        self.app_id = id.into();
        self
    }

    /// Adds a place to which the browser may be sent with a code.
    pub fn redirect_uri(mut self, uri: impl Into<String>) -> Self {
        self.redirect_uris.push(uri.into());
        self
    }

    /// Adds a scope that it may ask for.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scopes.push(scope.into());
        self
    }

    /// Sets where `INSTALL` and `UNINSTALL` are sent.
    pub fn webhook_url(mut self, url: impl Into<String>) -> Self {
        self.webhook_url = Some(url.into());
        self
    }

    /// The memory that it takes.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>()
            + weight::text(&self.client_id)
            + weight::text(&self.client_secret)
            + weight::text(&self.app_id)
            + weight::texts(&self.redirect_uris)
            + weight::texts(&self.scopes)
            + weight::option(self.webhook_url.as_ref())
    }

    /// With an app id, if it has none.
    pub(crate) fn identified(mut self) -> Self {
        if self.app_id.is_empty() {
            let id = self.client_id.split('-').next().unwrap_or_default();
            self.app_id = id.to_owned();
        }
        self
    }

    /// Returns the app if it can be used.
    ///
    /// # Errors
    ///
    /// Returns `InvalidInput` if its id or secret has other characters than printable ASCII, or its webhook URL cannot be
    /// delivered to.
    pub(crate) fn checked(self) -> io::Result<Self> {
        let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !plain(&self.client_id) || !plain(&self.client_secret) {
            let words =
                "the client id and secret of an app have to be printable ASCII without spaces, and not empty";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, words));
        }
        self.webhook_url.as_deref().map(parse_webhook_url).transpose()?;
        Ok(self.identified())
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
