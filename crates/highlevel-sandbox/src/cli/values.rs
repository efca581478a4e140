//! Parsers of option values. Their errors follow clap's `invalid value '…' for '--option <NAME>':`.

use std::net::SocketAddr;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde_json::{Value, json};

/// A value of an option that has a fixed set of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice<T> {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) value: T,
}

/// Parses one of a fixed set of values.
pub(super) fn choice<T>(choices: impl IntoIterator<Item = Choice<T>>) -> impl TypedValueParser<Value = T>
where
    T: Copy + Send + Sync + 'static,
{
    let choices: Vec<Choice<T>> = choices.into_iter().collect();
    let values = choices.iter().map(|choice| {
        let value = PossibleValue::new(choice.name);
        if choice.help.is_empty() { value } else { value.help(choice.help) }
    });
    PossibleValuesParser::new(values).try_map(move |name| {
        let found = choices.iter().find(|choice| choice.name == name);
        found.map(|choice| choice.value).ok_or_else(|| format!("`{name}` is not a possible value"))
    })
}

/// Parses an address with a port.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    // `localhost` is common, and the order in which the system resolves it must not decide.
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    numeric.as_deref().unwrap_or(text).parse().map_err(|_| {
        "expected an address with a port, for example 127.0.0.1:8080, or 127.0.0.1:0 for a free port"
            .to_owned()
    })
}

/// Parses a limit of retained items or bytes.
pub(super) fn limit(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "expected a whole number of 1 or more".to_owned())
}

/// Parses the seed of a random number generator.
pub(super) fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("expected a whole number from 0 to {}", u64::MAX))
}

/// Parses a number of milliseconds.
pub(super) fn milliseconds(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("expected whole milliseconds from 0 to {}", u32::MAX))
}

/// Parses a duration.
pub(super) fn whole_seconds(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "expected whole seconds, for example 90".to_owned())
}

/// Parses `NAME=VALUE`. The value is JSON if it can be parsed as such, and a string otherwise.
pub(super) fn field(text: &str) -> Result<(String, Value), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            Ok((name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| json!(value))))
        }
        _ => Err("expected NAME=VALUE, for example body=Hello or callDuration=90".to_owned()),
    }
}
