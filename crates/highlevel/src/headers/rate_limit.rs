//! The headers in which HighLevel reports the limits of a location.

use http::{HeaderMap, HeaderName};

const BURST_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-max");
const BURST_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const INTERVAL: HeaderName = HeaderName::from_static("x-ratelimit-interval-milliseconds");
const DAILY_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit-daily");
const DAILY_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-daily-remaining");
const DAILY_RESET: HeaderName = HeaderName::from_static("x-ratelimit-daily-reset");

/// The rate limit headers of a response. A header that is missing or malformed is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimitHeaders {
    /// `X-RateLimit-Max`: requests in one burst window.
    pub burst_limit: Option<u64>,
    /// `X-RateLimit-Remaining`: requests left in the current burst window.
    pub burst_remaining: Option<u64>,
    /// `X-RateLimit-Interval-Milliseconds`: length of the burst window.
    pub interval_ms: Option<u64>,
    /// `X-RateLimit-Limit-Daily`: requests in a day.
    pub daily_limit: Option<u64>,
    /// `X-RateLimit-Daily-Remaining`: requests left today.
    pub daily_remaining: Option<u64>,
    /// `X-RateLimit-Daily-Reset`: milliseconds until the daily count is reset. Reported, but not documented.
    pub daily_reset_ms: Option<u64>,
}

impl RateLimitHeaders {
    /// Reads the headers of a response.
    pub fn read(headers: &HeaderMap) -> Self {
        let number = |name: HeaderName| headers.get(name)?.to_str().ok()?.trim().parse().ok();
        Self {
            burst_limit: number(BURST_LIMIT),
            burst_remaining: number(BURST_REMAINING),
            interval_ms: number(INTERVAL),
            daily_limit: number(DAILY_LIMIT),
            daily_remaining: number(DAILY_REMAINING),
            daily_reset_ms: number(DAILY_RESET),
        }
    }
}
