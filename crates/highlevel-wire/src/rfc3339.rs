//! Dates and times of RFC 3339, without time zones other than numeric offsets.

use std::time::{Duration, SystemTime};

/// Parses a date and time. Returns `None` for other texts, dates that do not exist, and times that the system cannot represent.
///
/// As in other parsers, `T` and `Z` may be lower-case letters, a space may replace `T`, and digits after the ninth of
/// a fraction are ignored. A leap second is the first second of the next minute.
pub(crate) fn parse(text: &str) -> Option<SystemTime> {
    let mut rest = text.as_bytes();
    let year = digits(&mut rest, 4)?;
    let month = after(&mut rest, b"-").and_then(|()| digits(&mut rest, 2))?;
    let day = after(&mut rest, b"-").and_then(|()| digits(&mut rest, 2))?;
    let hour = after(&mut rest, b"Tt ").and_then(|()| digits(&mut rest, 2))?;
    let minute = after(&mut rest, b":").and_then(|()| digits(&mut rest, 2))?;
    let second = after(&mut rest, b":").and_then(|()| digits(&mut rest, 2))?;
    let exists = (1..=12).contains(&month)
        && (1..=days_of_month(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !exists {
        return None;
    }
    let nanoseconds = match after(&mut rest, b".") {
        Some(()) => fraction(&mut rest)?,
        None => 0,
    };
    let offset = offset(&mut rest)?;
    if !rest.is_empty() {
        return None;
    }
    let seconds = days_since_epoch(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset;
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let whole = match seconds {
        0.. => SystemTime::UNIX_EPOCH.checked_add(whole),
        _ => SystemTime::UNIX_EPOCH.checked_sub(whole),
    };
    whole?.checked_add(Duration::from_nanos(nanoseconds))
}

/// Formats milliseconds since 1970 in UTC. Years outside 0 to 9999, which RFC 3339 does not support, become the nearest
/// supported year.
pub(crate) fn format(milliseconds: i64) -> String {
    const FIRST: i64 = -62_167_219_200_000;
    const LAST: i64 = 253_402_300_799_999;
    let milliseconds = milliseconds.clamp(FIRST, LAST);
    let (days, time) = (milliseconds.div_euclid(86_400_000), milliseconds.rem_euclid(86_400_000));
    let (year, month, day) = date(days);
    let (hour, minute) = (time / 3_600_000, time / 60_000 % 60);
    let (second, millisecond) = (time / 1_000 % 60, time % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
}

/// Takes one of these bytes from the beginning.
fn after(rest: &mut &[u8], bytes: &[u8]) -> Option<()> {
    let (first, others) = rest.split_first()?;
    bytes.contains(first).then(|| *rest = others)
}

/// Takes a number with exactly so many digits.
fn digits(rest: &mut &[u8], count: usize) -> Option<i64> {
    let (number, others) = rest.split_at_checked(count)?;
    *rest = others;
    number
        .iter()
        .try_fold(0, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')))
}

/// Takes the digits of a fraction of a second. Returns nanoseconds.
fn fraction(rest: &mut &[u8]) -> Option<u64> {
    let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, others) = rest.split_at(length);
    *rest = others;
    let padded = digits.iter().copied().chain(std::iter::repeat(b'0')).take(9);
    (length > 0).then(|| padded.fold(0, |value, byte| value * 10 + u64::from(byte - b'0')))
}

/// Takes the offset from UTC. Returns seconds.
fn offset(rest: &mut &[u8]) -> Option<i64> {
    if after(rest, b"Zz").is_some() {
        return Some(0);
    }
    let sign = if after(rest, b"-").is_some() { -1 } else { after(rest, b"+").map(|()| 1)? };
    let hours = digits(rest, 2)?;
    let minutes = after(rest, b":").and_then(|()| digits(rest, 2))?;
    (hours < 24 && minutes < 60).then(|| sign * (hours * 3_600 + minutes * 60))
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Returns the days from year 0 to the beginning of a year of the Gregorian calendar, which is extended to the past.
fn days_before(year: i64) -> i64 {
    let last = year - 1;
    // Year 0 is a leap year.
    year * 365 + last.div_euclid(4) - last.div_euclid(100) + last.div_euclid(400) + 1
}

fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let months: i64 = (1..month).map(|month| days_of_month(year, month)).sum();
    days_before(year) - days_before(1970) + months + day - 1
}

/// Returns year, month and day of a number of days since 1970.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + days_before(1970);
    // 400 years have 146,097 days. The estimate is at most one year off.
    let mut year = days * 400 / 146_097;
    while days_before(year + 1) <= days {
        year += 1;
    }
    while days_before(year) > days {
        year -= 1;
    }
    let mut rest = days - days_before(year);
    let mut month = 1;
    while rest >= days_of_month(year, month) {
        rest -= days_of_month(year, month);
        month += 1;
    }
    (year, month, rest + 1)
}
