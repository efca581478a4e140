//! The address at which an owner installs an app.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Url;

use crate::{Error, Result};

const STANDARD: &str = "https://marketplace.gohighlevel.com";
const WHITE_LABEL: &str = "https://marketplace.leadconnectorhq.com";
const PATH: &str = "/v2/oauth/chooselocation";

/// Builds the address at which the owner of a location or company installs the app. From
/// [`App::authorize_url`](super::App::authorize_url).
///
/// ```
/// use highlevel::auth::{App, CsrfState, Scope, store::MemoryStore};
///
/// # let app = App::builder().client_id("a-b").client_secret("c").store(MemoryStore::new());
/// # let app = app.redirect_uri("https://app.example.com/installed").build()?;
/// let state = CsrfState::random()?;
/// let address = app
///     .authorize_url()
///     .scopes([Scope::CONVERSATIONS_MESSAGE_WRITE, Scope::from("calendars.readonly")])
///     .state(state.as_str())
///     .build()?;
/// # assert!(address.starts_with("https://marketplace.gohighlevel.com/v2/oauth/chooselocation?response_type=code&"));
/// # Ok::<(), highlevel::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "an address is made by `build`"]
pub struct AuthorizeUrl {
    base_url: Cow<'static, str>,
    client_id: String,
    redirect_uri: Option<String>,
    scopes: Vec<Scope>,
    state: Option<String>,
    same_window: bool,
}

impl AuthorizeUrl {
    pub(super) fn new(client_id: &str, redirect_uri: Option<&str>) -> Self {
        Self {
            base_url: STANDARD.into(),
            client_id: client_id.to_owned(),
            redirect_uri: redirect_uri.map(str::to_owned),
            scopes: Vec::new(),
            state: None,
            same_window: false,
        }
    }

    /// What the app may do. Can be called several times; the scopes have to be among those in the settings of the app.
    pub fn scope(mut self, scope: impl Into<Scope>) -> Self {
        self.scopes.push(scope.into());
        self
    }

    /// Several scopes at once.
    pub fn scopes<S: Into<Scope>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes.extend(scopes.into_iter().map(Into::into));
        self
    }

    /// What comes back with the code, so that the redirect can be told from a forged one: see [`CsrfState`].
    pub fn state(mut self, state: impl Into<String>) -> Self {
        self.state = Some(state.into());
        self
    }

    /// Whoever has to log in does so in the same window, in place of a new one.
    pub fn same_window(mut self) -> Self {
        self.same_window = true;
        self
    }

    /// The address that does not show HighLevel's name, for customers of agencies who do not either.
    pub fn white_label(self) -> Self {
        self.base_url(WHITE_LABEL)
    }

    /// Another host than HighLevel's, a sandbox for example: `http://127.0.0.1:8080`.
    pub fn base_url(mut self, base_url: impl Into<Cow<'static, str>>) -> Self {
        self.base_url = base_url.into();
        self
    }

    /// The address.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if there is no redirect URI, no scope, or the base URL
    /// is not one.
    pub fn build(self) -> Result<String> {
        let Some(redirect_uri) = &self.redirect_uri else {
            return Err(Error::configuration(
                "no redirect URI: call `.redirect_uri(…)` when building the app, with one from its settings",
            ));
        };
        if self.scopes.is_empty() {
            return Err(Error::configuration(
                "no scope: say what the app may do, at least `.scope(Scope::CONVERSATIONS_MESSAGE_WRITE)`",
            ));
        }
        let scopes: Vec<&str> = self.scopes.iter().map(Scope::as_str).collect();
        let address = format!("{}{PATH}", self.base_url.trim_end_matches('/'));
        let mut url = Url::parse(&address).map_err(|error| {
            let text = "the base URL of the authorisation is not a URL: write it like https://marketplace.gohighlevel.com";
            Error::configuration(text).with_source(error)
        })?;
        let mut query = url.query_pairs_mut();
        query.append_pair("response_type", "code");
        query.append_pair("client_id", &self.client_id);
        query.append_pair("redirect_uri", redirect_uri);
        query.append_pair("scope", &scopes.join(" "));
        if let Some(state) = &self.state {
            query.append_pair("state", state);
        }
        if self.same_window {
            query.append_pair("loginWindowOpenMode", "self");
        }
        drop(query);
        // A plus is a space in forms only; `%20` is one everywhere. What is a plus itself has been written as `%2B`.
        let query = url.query().unwrap_or_default().replace('+', "%20");
        url.set_query(Some(&query));
        Ok(url.into())
    }
}

impl fmt::Debug for AuthorizeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizeUrl")
            .field("base_url", &self.base_url)
            .field("client_id", &self.client_id)
            .field("redirect_uri", &self.redirect_uri)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

/// What an app may do. The constants are those for conversations and for tokens; any other is made from its text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope(Cow<'static, str>);

impl Scope {
    /// Send messages, add inbound messages and calls: all that [`Messages`](crate::Messages) and
    /// [`Calls`](crate::Calls) do.
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
    /// Get the tokens of locations by the token of their company: [`Company::location`](super::Company::location).
    pub const OAUTH_WRITE: Self = Self(Cow::Borrowed("oauth.write"));
    /// Read on which locations the app is installed.
    pub const OAUTH_READONLY: Self = Self(Cow::Borrowed("oauth.readonly"));

    /// Its text.
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

/// A `state` that nobody can guess. Keep it with the session of the browser before it leaves, and compare it with the
/// one that comes back with the code: if they differ, somebody else's installation is being passed off on your user.
#[derive(Clone, PartialEq, Eq)]
pub struct CsrfState(String);

impl CsrfState {
    /// A new one, of 256 random bits.
    ///
    /// # Errors
    ///
    /// The system has no random numbers.
    pub fn random() -> Result<Self> {
        let mut bits = [0; 32];
        getrandom::fill(&mut bits)
            .map_err(|error| Error::configuration("the system gives no random numbers").with_source(error))?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bits)))
    }

    /// One that was kept as text.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Its text: letters, digits, `-` and `_`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is what came back. It takes as long whatever the answer is.
    pub fn matches(&self, came_back: &str) -> bool {
        let (own, other) = (self.0.as_bytes(), came_back.as_bytes());
        let differences = own.iter().zip(other).fold(0, |found, (a, b)| found | (a ^ b));
        // An empty one protects nobody.
        !own.is_empty() && own.len() == other.len() && std::hint::black_box(differences) == 0
    }
}

impl fmt::Debug for CsrfState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CsrfState(…)")
    }
}
