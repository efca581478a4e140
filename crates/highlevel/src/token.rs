//! Where the token of a call comes from.

use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;

use secrecy::SecretString;

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

/// A token that stays the same.
#[derive(Debug)]
pub(crate) struct FixedToken(pub(crate) SecretString);

impl TokenSource for FixedToken {
    fn token<'a>(
        &'a self,
        _rejected: Option<&'a SecretString>,
    ) -> Pin<Box<dyn Future<Output = TokenResult> + Send + 'a>> {
        Box::pin(ready(Ok(self.0.clone())))
    }
}
