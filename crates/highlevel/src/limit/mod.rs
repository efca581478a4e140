//! Rate limits: the limiter of one process, and the trait for limiters that several machines share.
//!
//! HighLevel allows 100 requests in 10 seconds and 200,000 in a day per location, and reports both in `X-RateLimit-…`
//! headers. A client asks its [`RateLimiter`] for a [`Permit`] before each request, and reports the response to it.

#[cfg(feature = "testing")]
pub mod conformance;
mod error;
mod expiry;
mod local;
mod permit;
mod queue;
mod window;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub use error::{AcquireError, AcquireErrorKind};
pub use expiry::Expiry;
pub use local::LocalRateLimiter;
pub use permit::{Permit, PermitHandler, RateLimited};

pub use crate::headers::RateLimitHeaders;

/// The future returned by [`RateLimiter::acquire`].
pub type Acquire<'a> = Pin<Box<dyn Future<Output = Result<Permit, AcquireError>> + Send + 'a>>;

/// Issues permits to send requests.
///
/// [`LocalRateLimiter`] does so for one process. Programs on several machines that use the limits of one location can
/// implement this trait with a shared store.
///
/// A request counts from when its permit is issued until one interval after its response: the server counts it at some time
/// in between. One without a response counts from when its permit is dropped. A limiter whose processes may be killed counts
/// it as ended after a time that is longer than any request takes.
pub trait RateLimiter: Send + Sync {
    /// Waits for a permit to send one request of a location, in FIFO order. Dropping the future leaves the queue.
    ///
    /// # Errors
    ///
    /// Returns an error as soon as it is known that no permit is available within `timeout`. A permit that is available
    /// now is issued even if the timeout is zero.
    fn acquire<'a>(&'a self, location: &'a str, timeout: Duration) -> Acquire<'a>;
}

impl<T: RateLimiter + ?Sized> RateLimiter for Arc<T> {
    fn acquire<'a>(&'a self, location: &'a str, timeout: Duration) -> Acquire<'a> {
        (**self).acquire(location, timeout)
    }
}
