//! Parsers of option values. Their errors follow clap's `invalid value '…' for '--option <NAME>':`.

use std::time::{Duration, SystemTime};

use highlevel::{PhoneNumber, Timestamp};

/// Parses a point in time.
pub(crate) fn time(text: &str) -> Result<SystemTime, String> {
    let time = text.parse::<Timestamp>().ok().and_then(|time| time.to_system_time());
    time.ok_or_else(|| "expected a time with its offset, for example 2026-12-24T18:00:00+01:00".to_owned())
}

/// Parses a duration of at least a second.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (1..=86_400).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| "expected whole seconds from 1 to 86400".to_owned())
}

/// Parses a phone number, and returns it in E.164 format.
pub(crate) fn phone(text: &str) -> Result<String, String> {
    text.parse::<PhoneNumber>().map(|number| number.to_string()).map_err(|error| error.to_string())
}

/// Parses an email address as far as that is possible.
pub(crate) fn email(text: &str) -> Result<String, String> {
    let text = text.trim();
    match text.split_once('@') {
        Some((local, domain))
            if !local.is_empty() && !domain.is_empty() && !text.contains(char::is_whitespace) =>
        {
            Ok(text.to_owned())
        }
        _ => Err("expected an email address, for example ada@example.com".to_owned()),
    }
}

/// Parses a text that is not blank.
pub(crate) fn filled(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        Err("expected a text that is not empty".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

/// Parses the maximum number of entries of a list.
pub(crate) fn limit(text: &str) -> Result<u16, String> {
    text.parse()
        .ok()
        .filter(|limit| (1..=1000).contains(limit))
        .ok_or_else(|| "expected a whole number from 1 to 1000".to_owned())
}
