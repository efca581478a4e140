//! The token of a call.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use http::HeaderValue;
use secrecy::SecretString;

use crate::auth::TokenManager;
use crate::client::authorization;
use crate::error::Cause;
use crate::unauthorized::Unauthorized;

/// A token, or why there is none.
pub type TokenResult = Result<SecretString, Box<dyn std::error::Error + Send + Sync>>;

/// Gives a client its tokens, one that can be refreshed for example.
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
    /// The token to use. `rejected` is one that HighLevel has just refused (401): if the answer is another one, the
    /// request is made once more with it; if it is the same, the refusal is reported.
    fn token<'a>(
        &'a self,
        rejected: Option<&'a SecretString>,
    ) -> Pin<Box<dyn Future<Output = TokenResult> + Send + 'a>>;
}

/// Where a client has its tokens from.
pub(crate) enum Tokens {
    /// One that stays the same: its header is made once.
    Fixed(Arc<Bearer>),
    Source(Arc<dyn TokenSource>),
    /// An app, which keeps the tokens of its locations.
    App(TokenManager),
}

/// A token and the header for it.
pub(crate) struct Bearer {
    pub(crate) token: SecretString,
    /// Or what is wrong with the token.
    pub(crate) authorization: Result<HeaderValue, &'static str>,
}

/// A token that HighLevel has just refused (401).
#[derive(Clone, Copy)]
pub(crate) struct Rejected<'a> {
    pub(crate) bearer: &'a Bearer,
    /// The cause, read from the response.
    pub(crate) why: Unauthorized,
}

impl<'a> Rejected<'a> {
    /// A token, and the body of the 401 that rejected it.
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
    /// Notes that a request was accepted with the token that followed one that was rejected.
    pub(crate) fn helped(&self, why: Unauthorized, bearer: &Bearer) {
        if let Self::App(manager) = self {
            manager.helped(why, bearer);
        }
    }

    /// Returns the token to use, or to use instead of a rejected one. The caller waits until the deadline at most; it is
    /// passed for tasks that continue for other callers.
    pub(crate) async fn bearer(
        &self,
        rejected: Option<Rejected<'_>>,
        deadline: Instant,
    ) -> Result<Arc<Bearer>, Cause> {
        match self {
            Self::Fixed(bearer) => Ok(Arc::clone(bearer)),
            Self::Source(source) => {
                let token = source.token(rejected.map(|rejected| &rejected.bearer.token)).await;
                Ok(Arc::new(Bearer::new(token.map_err(Cause::Own)?)))
            }
            Self::App(manager) => manager.bearer(rejected, deadline).await.map_err(Cause::Shared),
        }
    }
}
