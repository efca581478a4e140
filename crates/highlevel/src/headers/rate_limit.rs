//! The headers in which HighLevel reports the limits of a location.

use http::{HeaderMap, HeaderValue};

/// The names of all rate limit headers start with this.
const PREFIX: &str = "x-ratelimit-";

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
        let mut found = Self::default();
        let mut is_foreign = false;
        let mut previous = "";
        // One pass instead of a search for each name.
        for (name, value) in headers {
            let Some(name) = name.as_str().strip_prefix(PREFIX) else { continue };
            // The values of a header follow each other, and the first one counts.
            if name == previous {
                continue;
            }
            previous = name;
            match name {
                "max" => found.burst_limit = number(value),
                "remaining" => found.burst_remaining = number(value),
                "interval-milliseconds" => found.interval_ms = number(value),
                "limit-daily" => found.daily_limit = number(value),
                "daily-remaining" => found.daily_remaining = number(value),
                "daily-reset" => found.daily_reset_ms = number(value),
                // Headers of proxies, which HighLevel does not send. A proxy that sends them replaces
                // `X-RateLimit-Remaining` by its own.
                "limit" | "reset" => is_foreign = true,
                _ => {}
            }
        }
        if is_foreign {
            found.burst_remaining = None;
        }
        found
    }
}

fn number(value: &HeaderValue) -> Option<u64> {
    value.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

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
            // The first value counts, also a malformed one.
            Case {
                headers: &[
                    ("x-ratelimit-max", "100"),
                    ("x-ratelimit-remaining", "many"),
                    ("x-ratelimit-max", "25"),
                    ("x-ratelimit-remaining", "24"),
                ],
                expected: RateLimitHeaders { burst_limit: Some(100), ..none },
            },
            Case { headers: &[("x-ratelimit-max", "many")], expected: none },
            Case { headers: &[("x-ratelimit-max", "-1"), ("x-ratelimit-remaining", "1.5")], expected: none },
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            assert_eq!(RateLimitHeaders::read(&map), expected, "{headers:?}");
        }
    }
}
