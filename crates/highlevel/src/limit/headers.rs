//! What HighLevel says about the limits on every answer.

use http::HeaderMap;

/// The rate limit headers of an answer; `None` for one that is missing or odd.
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
    /// `X-RateLimit-Daily-Reset`: milliseconds until the daily count starts anew. Reported, not documented.
    pub daily_reset_ms: Option<u64>,
}

impl RateLimitHeaders {
    /// Reads the headers of an answer.
    pub fn read(headers: &HeaderMap) -> Self {
        let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse().ok();
        Self {
            burst_limit: number("x-ratelimit-max"),
            burst_remaining: number("x-ratelimit-remaining"),
            interval_ms: number("x-ratelimit-interval-milliseconds"),
            daily_limit: number("x-ratelimit-limit-daily"),
            daily_remaining: number("x-ratelimit-daily-remaining"),
            daily_reset_ms: number("x-ratelimit-daily-reset"),
        }
    }
}
