//! Response headers.

mod rate_limit;
mod retry_after;

pub use rate_limit::RateLimitHeaders;
pub(crate) use retry_after::retry_after;
