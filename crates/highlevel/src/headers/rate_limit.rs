//! The headers in which HighLevel reports the limits of a location.

use http::{HeaderMap, HeaderName};

const BURST_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-max");
const BURST_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const INTERVAL: HeaderName = HeaderName::from_static("x-ratelimit-interval-milliseconds");
const DAILY_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit-daily");
const DAILY_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-daily-remaining");
/// Headers of proxies, which HighLevel does not send. A proxy that sends them replaces `X-RateLimit-Remaining` by its own.
const FOREIGN: [HeaderName; 2] =
    [HeaderName::from_static("x-ratelimit-limit"), HeaderName::from_static("x-ratelimit-reset")];
const DAILY_RESET: HeaderName = HeaderName::from_static("x-ratelimit-daily-reset");

/// The rate limit headers of a response. A header that is missing or malformed is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimitHeaders {
    /// `X-RateLimit-Max`: requests in one burst window.
    pub burst_limit: Option<u64>,
    /// `X-RateLimit-Remaining`: requests left in the current burst window. `None` if the response also has the headers of a
    /// proxy (`X-RateLimit-Limit`, `X-RateLimit-Reset`): the number is then that of the proxy.
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
        let is_foreign = FOREIGN.iter().any(|name| headers.contains_key(name));
        Self {
            burst_limit: number(BURST_LIMIT),
            burst_remaining: number(BURST_REMAINING).filter(|_| !is_foreign),
            interval_ms: number(INTERVAL),
            daily_limit: number(DAILY_LIMIT),
            daily_remaining: number(DAILY_REMAINING),
            daily_reset_ms: number(DAILY_RESET),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn headers_of_proxies_are_not_those_of_highlevel() {
        struct Case {
            headers: &'static [(&'static str, &'static str)],
            expected: RateLimitHeaders,
        }
        let none = RateLimitHeaders::default();
        for Case { headers, expected } in [
            Case {
                headers: &[
                    ("x-ratelimit-daily-remaining", "149"),
                    ("x-ratelimit-daily-reset", "81285000"),
                    ("x-ratelimit-interval-milliseconds", "10000"),
                    ("x-ratelimit-limit-daily", "10000"),
                    ("x-ratelimit-max", "25"),
                    ("x-ratelimit-remaining", "24"),
                ],
                expected: RateLimitHeaders {
                    burst_limit: Some(25),
                    burst_remaining: Some(24),
                    interval_ms: Some(10_000),
                    daily_limit: Some(10_000),
                    daily_remaining: Some(149),
                    daily_reset_ms: Some(81_285_000),
                },
            },
            Case {
                headers: &[
                    ("x-ratelimit-limit", "5000"),
                    ("x-ratelimit-remaining", "3"),
                    ("x-ratelimit-reset", "1784286066"),
                ],
                expected: none,
            },
            // The proxy replaces some headers, and forwards others.
            Case {
                headers: &[
                    ("x-ratelimit-max", "100"),
                    ("x-ratelimit-remaining", "3"),
                    ("x-ratelimit-reset", "1784286066"),
                ],
                expected: RateLimitHeaders { burst_limit: Some(100), ..none },
            },
            Case { headers: &[("x-ratelimit-max", "many")], expected: none },
            Case { headers: &[("x-ratelimit-max", "-1"), ("x-ratelimit-remaining", "1.5")], expected: none },
        ] {
            let map = headers
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            assert_eq!(RateLimitHeaders::read(&map.collect()), expected, "{headers:?}");
        }
    }
}
