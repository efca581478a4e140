//! The URL at which an owner installs an app.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Url;

use crate::transport::address;
use crate::{AppVersionId, Error, Result};

const STANDARD: &str = "https://marketplace.gohighlevel.com";
const WHITE_LABEL: &str = "https://marketplace.leadconnectorhq.com";
const PATH: &str = "/v2/oauth/chooselocation";

/// Builds the URL at which the owner of a location or company installs the app. Returned by
/// [`App::authorize_url`](super::App::authorize_url).
///
/// ```
/// use highlevel::auth::{App, CsrfState, Scope, store::MemoryStore};
///
/// # let app = App::builder().client_id("a-b").client_secret("c").store(MemoryStore::new());
/// # let app = app.redirect_uri("https://app.example.com/installed").build()?;
/// let state = CsrfState::random()?;
/// let url = app
///     .authorize_url()
///     .scopes([Scope::CONVERSATIONS_MESSAGE_WRITE, Scope::from("calendars.readonly")])
///     .state(state.as_str())
///     .build()?;
/// # assert!(url.starts_with("https://marketplace.gohighlevel.com/v2/oauth/chooselocation?response_type=code&"));
/// # Ok::<(), highlevel::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "call `build` to get the URL"]
pub struct AuthorizeUrl {
    /// The base URL of the API, if it is not the live one.
    api: Option<String>,
    base_url: Option<Cow<'static, str>>,
    is_white_label: bool,
    client_id: String,
    redirect_uri: Option<String>,
    scopes: Vec<Scope>,
    version_id: Option<AppVersionId>,
    state: Option<String>,
    same_window: bool,
}

impl AuthorizeUrl {
    pub(super) fn new(api: &str, client_id: &str, redirect_uri: Option<&str>) -> Self {
        Self {
            api: Some(api).filter(|api| !address::is_live(api)).map(str::to_owned),
            base_url: None,
            is_white_label: false,
            client_id: client_id.to_owned(),
            redirect_uri: redirect_uri.map(str::to_owned),
            scopes: Vec::new(),
            version_id: None,
            state: None,
            same_window: false,
        }
    }

    /// Adds a scope that the app requests. It has to be among those in the settings of the app.
    pub fn scope(mut self, scope: impl Into<Scope>) -> Self {
        self.scopes.push(scope.into());
        self
    }

    /// Adds several scopes.
    pub fn scopes<S: Into<Scope>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes.extend(scopes.into_iter().map(Into::into));
        self
    }

    /// Sets the version of the app to install, from its settings. Private apps need it: without it, HighLevel shows the error
    /// `error.noversionid` instead of the list of locations.
    pub fn version_id(mut self, version: impl Into<AppVersionId>) -> Self {
        self.version_id = Some(version.into());
        self
    }

    /// Sets the text that HighLevel adds to the redirect. It proves that the redirect is not forged: see [`CsrfState`].
    pub fn state(mut self, state: impl Into<String>) -> Self {
        self.state = Some(state.into());
        self
    }

    /// Opens the login page in the same window instead of a new one.
    pub fn same_window(mut self) -> Self {
        self.same_window = true;
        self
    }

    /// Uses HighLevel's white-label host, which does not show its name to the customers of agencies. Has no effect with another
    /// API than the live one.
    pub fn white_label(mut self) -> Self {
        self.is_white_label = true;
        self
    }

    /// Sets another host, as the browser of the owner reaches it. Defaults to the base URL of the app, from
    /// [`AppBuilder::base_url`](super::AppBuilder::base_url) or the environment variable `HIGHLEVEL_BASE_URL`; for the live API
    /// to HighLevel's marketplace.
    pub fn base_url(mut self, base_url: impl Into<Cow<'static, str>>) -> Self {
        self.base_url = Some(base_url.into());
        self
    }

    /// Returns the URL.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if there is no redirect URI or no scope, or if the
    /// base URL is invalid.
    pub fn build(self) -> Result<String> {
        let Some(redirect_uri) = &self.redirect_uri else {
            return Err(Error::configuration(
                "no redirect URI: call `.redirect_uri(…)` when building the app, with one from its settings",
            ));
        };
        if self.scopes.is_empty() {
            return Err(Error::configuration(
                "no scope: add those that the app needs, at least `.scope(Scope::CONVERSATIONS_MESSAGE_WRITE)`",
            ));
        }
        let scopes: Vec<&str> = self.scopes.iter().map(Scope::as_str).collect();
        let marketplace = if self.is_white_label { WHITE_LABEL } else { STANDARD };
        let base_url = self.base_url.as_deref().or(self.api.as_deref()).unwrap_or(marketplace);
        let base = format!("{}{PATH}", base_url.trim_end_matches('/'));
        let mut url = Url::parse(&base).map_err(|error| {
            let text = "the base URL for the authorization is invalid; write it like https://marketplace.gohighlevel.com";
            Error::configuration(text).with_source(error)
        })?;
        let mut query = url.query_pairs_mut();
        query.append_pair("response_type", "code");
        query.append_pair("client_id", &self.client_id);
        query.append_pair("redirect_uri", redirect_uri);
        query.append_pair("scope", &scopes.join(" "));
        if let Some(version) = &self.version_id {
            query.append_pair("version_id", version.as_str());
        }
        if let Some(state) = &self.state {
            query.append_pair("state", state);
        }
        if self.same_window {
            query.append_pair("loginWindowOpenMode", "self");
        }
        drop(query);
        // `+` is a space only in forms, `%20` everywhere. A plus sign itself is already encoded as `%2B`.
        let query = url.query().unwrap_or_default().replace('+', "%20");
        url.set_query(Some(&query));
        Ok(url.into())
    }
}

impl fmt::Debug for AuthorizeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizeUrl")
            .field("base_url", &self.base_url)
            .field("api", &self.api)
            .field("client_id", &self.client_id)
            .field("redirect_uri", &self.redirect_uri)
            .field("scopes", &self.scopes)
            .field("version_id", &self.version_id)
            .finish_non_exhaustive()
    }
}

/// A permission of an app. The constants are those for conversations, contacts and tokens; create others from their text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope(Cow<'static, str>);

impl Scope {
    /// Send messages, add inbound messages and calls: required by [`Messages`](crate::Messages) and
    /// [`Calls`](crate::Calls).
    pub const CONVERSATIONS_MESSAGE_WRITE: Self = Self(Cow::Borrowed("conversations/message.write"));
    /// Read messages.
    pub const CONVERSATIONS_MESSAGE_READONLY: Self = Self(Cow::Borrowed("conversations/message.readonly"));
    /// Create and change conversations.
    pub const CONVERSATIONS_WRITE: Self = Self(Cow::Borrowed("conversations.write"));
    /// Read and search conversations.
    pub const CONVERSATIONS_READONLY: Self = Self(Cow::Borrowed("conversations.readonly"));
    /// Create and change contacts.
    pub const CONTACTS_WRITE: Self = Self(Cow::Borrowed("contacts.write"));
    /// Read contacts.
    pub const CONTACTS_READONLY: Self = Self(Cow::Borrowed("contacts.readonly"));
    /// Obtain the tokens of locations with the token of their company: [`Company::location`](super::Company::location).
    pub const OAUTH_WRITE: Self = Self(Cow::Borrowed("oauth.write"));
    /// List the locations on which the app is installed.
    pub const OAUTH_READONLY: Self = Self(Cow::Borrowed("oauth.readonly"));

    /// Returns the text of the scope.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Scope {
    fn from(text: &str) -> Self {
        Self(Cow::Owned(text.to_owned()))
    }
}

impl From<String> for Scope {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A `state` that cannot be guessed. Store it in the session of the browser before the redirect to HighLevel, and compare it
/// with the one that arrives with the code. If they differ, the code belongs to the installation of another user.
#[derive(Clone, PartialEq, Eq)]
pub struct CsrfState(String);

impl CsrfState {
    /// Creates a state of 256 random bits.
    ///
    /// # Errors
    ///
    /// Returns an error if the operating system provides no random numbers.
    pub fn random() -> Result<Self> {
        let mut bits = [0; 32];
        getrandom::fill(&mut bits).map_err(|error| {
            Error::configuration("the operating system provides no random numbers").with_source(error)
        })?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bits)))
    }

    /// Creates a state from its text, for example from a session.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text of the state: letters, digits, `-` and `_`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns `true` if the state of a redirect is this one. An empty state never matches. The comparison takes constant time.
    pub fn matches(&self, received: &str) -> bool {
        let (expected, received) = (self.0.as_bytes(), received.as_bytes());
        let differences = expected.iter().zip(received).fold(0, |found, (a, b)| found | (a ^ b));
        !expected.is_empty() && expected.len() == received.len() && std::hint::black_box(differences) == 0
    }
}

impl fmt::Debug for CsrfState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CsrfState(…)")
    }
}
