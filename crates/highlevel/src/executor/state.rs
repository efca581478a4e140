//! The state that all operations of a client share.

use std::sync::Arc;
use std::time::Instant;

use crate::connection::ApiConnection;
use crate::error::ErrorSource;
use crate::panics::catch_panic;
use crate::token::{Bearer, RejectedToken, Tokens};
use crate::{Error, Result};

/// Executes the operations of one location or company.
pub(crate) struct Executor {
    pub(crate) connection: ApiConnection,
    pub(crate) tokens: Tokens,
    /// The name under which the limiter counts the requests.
    pub(crate) location: String,
}

impl Executor {
    /// Returns the token to use, or another one if `rejected` is set.
    pub(crate) async fn bearer(
        &self,
        operation: &'static str,
        rejected: Option<RejectedToken<'_>>,
        deadline: Instant,
    ) -> Result<Arc<Bearer>> {
        if let Tokens::Fixed(bearer) = &self.tokens {
            return Ok(Arc::clone(bearer));
        }
        let bearer = catch_panic(|| Box::pin(self.tokens.bearer(rejected, deadline)));
        match tokio::time::timeout_at(deadline.into(), bearer).await {
            Ok(Ok(Ok(bearer))) => Ok(bearer),
            Ok(Ok(Err(source))) => Err(Error::no_token(operation, source)),
            Ok(Err(panicked)) => {
                tracing::error!(operation, "the token source panicked");
                Err(Error::no_token(operation, ErrorSource::Owned(panicked.into())))
            }
            Err(_) => Err(Error::token_timeout(operation)),
        }
    }
}
