//! The token of a request.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use crate::Error;
use crate::error::ErrorSource;
use crate::unauthorized::Unauthorized;

/// The result of [`TokenSource::token`].
pub type TokenResult = Result<SecretString, Box<dyn std::error::Error + Send + Sync>>;

/// Provides the tokens of a client, for example from a store that refreshes them.
///
/// ```
/// use std::future::{Future, ready};
/// use std::pin::Pin;
/// use highlevel::{Client, SecretString, TokenResult, TokenSource};
///
/// #[derive(Debug)]
/// struct Environment;
///
/// impl TokenSource for Environment {
///     fn token<'a>(
///         &'a self,
///         _rejected: Option<&'a SecretString>,
///     ) -> Pin<Box<dyn Future<Output = TokenResult> + Send + 'a>> {
///         Box::pin(ready(std::env::var("HIGHLEVEL_TOKEN").map(Into::into).map_err(Into::into)))
///     }
/// }
///
/// let client = Client::builder().token_source(Environment).build()?;
/// # Ok::<(), highlevel::Error>(())
/// ```
pub trait TokenSource: fmt::Debug + Send + Sync {
    /// Returns the token to use.
    ///
    /// `rejected` is a token that HighLevel has just rejected with a 401. If another token is returned, the request is
    /// retried once with it; if it is the same one, the rejection is reported.
    fn token<'a>(
        &'a self,
        rejected: Option<&'a SecretString>,
    ) -> Pin<Box<dyn Future<Output = TokenResult> + Send + 'a>>;
}

/// The future returned by [`ManagedTokens::bearer`].
pub(crate) type ManagedBearer<'a> =
    Pin<Box<dyn Future<Output = Result<Arc<Bearer>, Arc<Error>>> + Send + 'a>>;

/// Tokens that this crate refreshes and stores.
pub(crate) trait ManagedTokens: Send + Sync {
    /// Returns the token to use, or another one if `rejected` is set. The caller waits until the deadline at most.
    fn bearer<'a>(&'a self, rejected: Option<RejectedToken<'a>>, deadline: Instant) -> ManagedBearer<'a>;

    /// Called if a request is accepted with the token that followed a rejected one.
    fn note_accepted(&self, rejection: Unauthorized, bearer: &Bearer);
}

/// The source of a client's tokens.
pub(crate) enum Tokens {
    /// A constant token, whose header is created once.
    Fixed(Arc<Bearer>),
    Source(Arc<dyn TokenSource>),
    /// The tokens of an app.
    Managed(Box<dyn ManagedTokens>),
}

/// A token and its header.
pub(crate) struct Bearer {
    pub(crate) token: SecretString,
    /// The header, or the reason for which the token is invalid.
    pub(crate) authorization: Result<HeaderValue, &'static str>,
}

/// A token that HighLevel has just rejected with a 401.
#[derive(Clone, Copy)]
pub(crate) struct RejectedToken<'a> {
    pub(crate) bearer: &'a Bearer,
    /// The cause, read from the response.
    pub(crate) why: Unauthorized,
}

impl<'a> RejectedToken<'a> {
    /// Takes the token and the body of the 401.
    pub(crate) fn new(bearer: &'a Bearer, body: &[u8]) -> Self {
        Self { bearer, why: Unauthorized::read(body) }
    }
}

impl Bearer {
    pub(crate) fn new(token: SecretString) -> Self {
        Self { authorization: authorization(&token), token }
    }
}

impl Tokens {
    /// Notes that a request was accepted with the token that followed a rejected one.
    pub(crate) fn note_accepted(&self, rejection: Unauthorized, bearer: &Bearer) {
        if let Self::Managed(tokens) = self {
            tokens.note_accepted(rejection, bearer);
        }
    }

    /// Returns the token to use, or another one if `rejected` is set. The caller waits until the deadline at most; it is
    /// passed on for tasks that continue for other callers.
    pub(crate) async fn bearer(
        &self,
        rejected: Option<RejectedToken<'_>>,
        deadline: Instant,
    ) -> Result<Arc<Bearer>, ErrorSource> {
        match self {
            Self::Fixed(bearer) => Ok(Arc::clone(bearer)),
            Self::Source(source) => {
                let token = source.token(rejected.map(|rejected| &rejected.bearer.token)).await;
                Ok(Arc::new(Bearer::new(token.map_err(ErrorSource::Owned)?)))
            }
            Self::Managed(tokens) => tokens.bearer(rejected, deadline).await.map_err(ErrorSource::Shared),
        }
    }
}

/// Returns `true` if two tokens are equal.
pub(crate) fn is_same(a: &SecretString, b: &SecretString) -> bool {
    a.expose_secret() == b.expose_secret()
}

/// Returns the `Authorization` header for a token, or the reason for which the token is invalid. The reason does not contain
/// the token.
pub(crate) fn authorization(token: &SecretString) -> Result<HeaderValue, &'static str> {
    let token = token.expose_secret();
    if token.trim().is_empty() {
        return Err("the token is empty: is the variable or the file that holds it set?");
    }
    if token.trim() != token {
        return Err("the token begins or ends with white space, perhaps the line break of a file: trim it");
    }
    if token.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer ")) {
        return Err("the token begins with `Bearer`, which is added for you: give the token alone");
    }
    if token.starts_with(['"', '\'']) {
        return Err(
            "the token begins with a quotation mark, perhaps from a file of variables: give the token alone",
        );
    }
    let invalid =
        "the token contains a space, a control character or a character outside ASCII: copy it again";
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(invalid);
    }
    let value = ["Bearer ", token].concat();
    let mut value = HeaderValue::try_from(value).map_err(|_| invalid)?;
    value.set_sensitive(true);
    Ok(value)
}
