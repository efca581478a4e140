//! The `Retry-After` header.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};

use crate::time::MAX_DURATION;

/// Returns the wait that the server asks for, at most a year.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    read(headers, SystemTime::now)
}

/// Reads seconds or a date. A date counts from the `Date` of the response, because the clocks of server and client differ,
/// and without one from `now`.
fn read(headers: &HeaderMap, now: impl FnOnce() -> SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that does not fit is clamped below.
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let at = httpdate::parse_http_date(text).ok()?;
        let date =
            headers.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?.trim()).ok());
        at.duration_since(date.unwrap_or_else(now)).unwrap_or_default()
    };
    Some(wait.min(MAX_DURATION))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_read_and_bounded() {
        struct Row {
            retry_after: &'static str,
            date: Option<&'static str>,
            seconds: Option<u64>,
        }
        const YEAR: u64 = 365 * 24 * 60 * 60;
        let row = |retry_after, date, seconds| Row { retry_after, date, seconds };
        let noon = Some("Sun, 06 Nov 1994 12:00:00 GMT");
        // Half past twelve on the clock of this machine.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_125_000);
        let rows = [
            row("0", None, Some(0)),
            row(" 7 ", None, Some(7)),
            row("3600", noon, Some(3600)),
            row("31536001", None, Some(YEAR)),
            row("18446744073709551615", None, Some(YEAR)),
            row("99999999999999999999999999", None, Some(YEAR)),
            row("", None, None),
            row("-1", None, None),
            row("1.5", None, None),
            row("soon", None, None),
            row("Sun, 06 Nov 1994 12:01:00 GMT", noon, Some(60)),
            row("Sunday, 06-Nov-94 12:01:00 GMT", noon, Some(60)),
            row("Sun Nov  6 12:01:00 1994", noon, Some(60)),
            row("Sun, 06 Nov 1994 11:59:00 GMT", noon, Some(0)),
            row("Sun, 06 Nov 1994 12:31:00 GMT", None, Some(60)),
            row("Sun, 06 Nov 1994 12:31:00 GMT", Some("yesterday"), Some(60)),
            row("Fri, 31 Dec 9999 23:59:59 GMT", noon, Some(YEAR)),
            row("Sun, 06 Nov 1994 25:00:00 GMT", noon, None),
        ];
        for Row { retry_after, date, seconds } in rows {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, retry_after.parse().expect("a header"));
            if let Some(date) = date {
                headers.insert(DATE, date.parse().expect("a header"));
            }
            assert_eq!(read(&headers, || now), seconds.map(Duration::from_secs), "{retry_after:?} {date:?}");
            let wait = read(&headers, || now).unwrap_or_default();
            assert!(std::time::Instant::now().checked_add(wait).is_some(), "{retry_after:?}");
        }
        assert_eq!(read(&HeaderMap::new(), || now), None);
    }
}
