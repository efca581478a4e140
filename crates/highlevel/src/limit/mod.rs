//! How many requests a location may make, and who has to wait.

mod headers;
mod local;
mod window;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use std::time::Instant;

pub use headers::RateLimitHeaders;
pub use local::LocalRateLimiter;

/// Decides when a request may go out.
///
/// [`LocalRateLimiter`] does it for one process. Programs on several machines that share the limits of one location can
/// put a shared store behind this trait.
pub trait RateLimiter: fmt::Debug + Send + Sync {
    /// Waits for the turn of a request, in the order of arrival. Dropping the future gives up the place.
    ///
    /// A turn that cannot come before `deadline` is denied at once. One that is there already is given, even if it is
    /// late: what is denied is said to have waited for its turn.
    fn acquire<'a>(
        &'a self,
        location: &'a str,
        deadline: Instant,
    ) -> Pin<Box<dyn Future<Output = Result<(), Denied>> + Send + 'a>>;

    /// Learns from an answer: what its headers say about the limits, when its request got its turn, and whether it
    /// was refused for its rate (429), in which case `refused` has the wait that was asked for, if one was.
    fn observe(
        &self,
        location: &str,
        headers: &RateLimitHeaders,
        acquired: Instant,
        refused: Option<Refused>,
    );
}

/// A request was refused for its rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// How long to wait, if the answer says so.
    pub retry_after: Option<Duration>,
}

/// A turn that cannot come in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Denied {
    /// The burst limit: the turn would come at this time.
    Burst {
        /// When it could be served.
        at: Instant,
    },
    /// The daily limit is spent until this time.
    Daily {
        /// When the count starts anew.
        at: Instant,
    },
}

impl Denied {
    /// When the request could be served.
    pub fn at(self) -> Instant {
        match self {
            Self::Burst { at } | Self::Daily { at } => at,
        }
    }
}
