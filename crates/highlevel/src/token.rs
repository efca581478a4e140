//! Where the token of a call comes from.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::HeaderValue;
use secrecy::SecretString;

use crate::client::authorization;

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
}

/// A token and the header for it.
pub(crate) struct Bearer {
    pub(crate) token: SecretString,
    /// Or what is wrong with the token.
    pub(crate) authorization: Result<HeaderValue, &'static str>,
}

impl Bearer {
    pub(crate) fn new(token: SecretString) -> Self {
        Self { authorization: authorization(&token), token }
    }
}

impl Tokens {
    /// The token to use, or to use instead of a rejected one.
    pub(crate) async fn bearer(
        &self,
        rejected: Option<&SecretString>,
    ) -> Result<Arc<Bearer>, Box<dyn std::error::Error + Send + Sync>> {
        match self {
            Self::Fixed(bearer) => Ok(Arc::clone(bearer)),
            Self::Source(source) => Ok(Arc::new(Bearer::new(source.token(rejected).await?))),
        }
    }
}
