//! Points in time. The expected values come from `date -u`.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use highlevel_wire::Timestamp;
use serde_json::json;

/// Nanoseconds since 1970-01-01T00:00:00Z.
fn moment(nanoseconds: i128) -> SystemTime {
    let distance = nanoseconds.unsigned_abs();
    let distance = Duration::new(
        u64::try_from(distance / 1_000_000_000).expect("it fits"),
        u32::try_from(distance % 1_000_000_000).expect("it fits"),
    );
    if nanoseconds < 0 { SystemTime::UNIX_EPOCH - distance } else { SystemTime::UNIX_EPOCH + distance }
}

const SECOND: i128 = 1_000_000_000;
const MILLISECOND: i128 = 1_000_000;

#[test]
fn timestamps_are_created_from_system_time() {
    let cases = [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_722_268_288_071 * MILLISECOND, "2024-07-29T15:51:28.071Z"),
        (1_709_208_000 * SECOND, "2024-02-29T12:00:00.000Z"),
        // Below a millisecond, time goes down to the millisecond that has begun, before 1970 as well.
        (MILLISECOND - 1, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (-MILLISECOND, "1969-12-31T23:59:59.999Z"),
        (-MILLISECOND - 1, "1969-12-31T23:59:59.998Z"),
        (-SECOND, "1969-12-31T23:59:59.000Z"),
        (-2_208_988_800 * SECOND, "1900-01-01T00:00:00.000Z"),
        (-62_167_219_200 * SECOND, "0000-01-01T00:00:00.000Z"),
        (-62_167_219_201 * SECOND, "0000-01-01T00:00:00.000Z"),
        (-1_000_000_000_000 * SECOND, "0000-01-01T00:00:00.000Z"),
        (253_402_300_799 * SECOND + 999 * MILLISECOND, "9999-12-31T23:59:59.999Z"),
        (253_402_300_800 * SECOND, "9999-12-31T23:59:59.999Z"),
        (i128::from(i64::MAX) * SECOND, "9999-12-31T23:59:59.999Z"),
        (i128::from(i64::MIN + 1) * SECOND, "0000-01-01T00:00:00.000Z"),
    ];
    for (nanoseconds, expected) in cases {
        let timestamp = Timestamp::from(moment(nanoseconds));
        assert_eq!(timestamp.as_str(), expected, "{nanoseconds}");
        assert_eq!(expected.parse(), Ok(timestamp), "{nanoseconds}: what is made can be read");
    }
}

#[test]
fn timestamps_are_converted_to_system_time() {
    let cases = [
        ("2024-07-29T15:51:28.071Z", Some(1_722_268_288_071 * MILLISECOND)),
        ("2024-07-29T15:51:28Z", Some(1_722_268_288 * SECOND)),
        ("2024-07-29T15:51:28.123456789Z", Some(1_722_268_288 * SECOND + 123_456_789)),
        ("2024-07-29T17:51:28.071+02:00", Some(1_722_268_288_071 * MILLISECOND)),
        ("2024-07-29T10:21:28-05:30", Some(1_722_268_288 * SECOND)),
        ("2024-07-29t15:51:28z", Some(1_722_268_288 * SECOND)),
        ("1969-12-31T23:59:59.999Z", Some(-MILLISECOND)),
        ("0000-01-01T00:00:00Z", Some(-62_167_219_200 * SECOND)),
        ("9999-12-31T23:59:59Z", Some(253_402_300_799 * SECOND)),
        ("2016-12-31T23:59:60Z", Some(1_483_228_800 * SECOND)),
        ("2023-02-29T12:00:00Z", None),
        ("2024-07-29T15:51:28", None),
        ("2024-07-29", None),
        ("1722268288071", None),
        ("yesterday", None),
        (" 2024-07-29T15:51:28Z", None),
        ("10000-01-01T00:00:00Z", None),
        ("", None),
    ];
    for (text, expected) in cases {
        // A received text is kept unchanged, even if it is malformed.
        let timestamp: Timestamp = serde_json::from_value(json!(text)).expect("any text");
        assert_eq!(timestamp.to_system_time(), expected.map(moment), "{text}");
        assert_eq!(timestamp.as_str(), text);
        assert_eq!(timestamp.to_string(), text);
        assert_eq!(serde_json::to_value(&timestamp).expect("JSON"), json!(text));
        // A timestamp that is sent is well formed.
        assert_eq!(text.parse::<Timestamp>().ok(), expected.is_some().then_some(timestamp), "{text}");
        assert_eq!(Timestamp::try_from(text).is_ok(), expected.is_some(), "{text}");
    }
    assert!(serde_json::from_value::<Timestamp>(json!(1_722_268_288)).is_err(), "a number is not a text");
}

#[test]
fn errors_contain_the_invalid_text() {
    let error = "to\nday".parse::<Timestamp>().expect_err("it is not one");
    assert_eq!(
        error.to_string(),
        "`to\\nday` is not a point in time: write it like 2024-07-29T15:51:28.071Z (RFC 3339)"
    );
}

/// Reads a text as `Timestamp` does, with another parser.
fn expected(text: &str) -> Option<SystemTime> {
    DateTime::parse_from_rfc3339(text).ok().map(SystemTime::from)
}

#[test]
fn all_days_of_400_years_are_those_of_another_calendar() {
    // The calendar repeats after 400 years.
    let first = -719_528_i64;
    for day in (first..first + 146_097).chain(20_000..21_000) {
        let seconds = day * 86_400 + (day * 7_919).rem_euclid(86_400);
        let text = DateTime::<Utc>::from_timestamp(seconds, 123_000_000)
            .expect("a time")
            .to_rfc3339_opts(SecondsFormat::Millis, true);
        let time = moment(i128::from(seconds) * SECOND + 123 * MILLISECOND);
        assert_eq!(Timestamp::from(time).as_str(), text);
        assert_eq!(text.parse::<Timestamp>().expect("a time").to_system_time(), Some(time), "{text}");
    }
}

#[test]
fn altered_texts_are_read_as_by_another_parser() {
    let texts = [
        "2024-02-29T23:59:59.999Z",
        "2023-12-31t00:00:60z",
        "1900-03-01 12:30:00+14:45",
        "0000-01-01T00:00:00.5-23:59",
        "9999-12-31T23:59:59.1234567891Z",
    ];
    let bytes = b"0123456789-+:.TZtz /";
    let (mut valid, mut invalid) = (0, 0);
    let mut compare = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).expect("ASCII");
        let read = text.parse::<Timestamp>().ok().and_then(|timestamp| timestamp.to_system_time());
        assert_eq!(read, expected(text), "{text:?}");
        *(if read.is_some() { &mut valid } else { &mut invalid }) += 1;
    };
    for text in texts {
        compare(text.as_bytes());
        for place in 0..text.len() {
            let (before, after) = text.as_bytes().split_at(place);
            // One byte less.
            compare(&[before, &after[1..]].concat());
            for byte in bytes {
                // One byte more, one byte changed, and two of them.
                compare(&[before, &[*byte], after].concat());
                compare(&[before, &[*byte], &after[1..]].concat());
                for second in bytes {
                    compare(&[before, &[*byte, *second], after.get(2..).unwrap_or_default()].concat());
                }
            }
        }
    }
    assert!(valid > 1_000 && invalid > 10_000, "{valid} valid texts, {invalid} invalid ones");
}
