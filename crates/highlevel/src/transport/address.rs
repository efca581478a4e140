//! The base URL of requests.

use std::ffi::OsString;

use reqwest::Url;

use super::origin::is_loopback;
use crate::{Error, Result};

/// The address of HighLevel's API, for every agency.
const LIVE: &str = "https://services.leadconnectorhq.com";
/// The environment variable that sets the base URL of a program that sets none.
pub(crate) const VARIABLE: &str = "HIGHLEVEL_BASE_URL";

/// Returns the base URL given in the program, else the one in the environment, else the live API.
///
/// An empty variable is an error: a program that sets it does not mean the live API.
pub(crate) fn choose(given: Option<String>, variable: impl FnOnce() -> Option<OsString>) -> Result<String> {
    if let Some(given) = given {
        return Ok(given);
    }
    let Some(variable) = variable() else { return Ok(LIVE.to_owned()) };
    match variable.into_string() {
        Ok(text) if text.trim().is_empty() => Err(Error::configuration(format!(
            "the variable {VARIABLE} is empty: give it an address, or unset it to use the live API"
        ))),
        Ok(text) => Ok(text),
        Err(_) => Err(Error::configuration(format!(
            "the variable {VARIABLE} is not Unicode text: give it an address, or unset it to use the live API"
        ))),
    }
}

/// Returns `true` if a base URL is that of the live API.
pub(crate) fn is_live(base_url: &str) -> bool {
    base_url.trim_end_matches('/') == LIVE
}

/// Reads a base URL and checks that a token may be sent there.
pub(crate) fn parse(text: &str, allow_plain_http: bool) -> Result<Url> {
    let invalid = |what: &str, help: &str| {
        let text = without_secrets(text);
        Error::configuration(format!("the base URL `{}` {what}: {help}", text.escape_debug()))
    };
    let example = "write it like https://services.leadconnectorhq.com";
    let url = Url::parse(text).map_err(|error| invalid("is not a URL", example).with_source(error))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("contains a user name or a password", "leave them out"));
    }
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(invalid("is not an http or https address", example));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid("has a query or a fragment", "end it after the host or the path"));
    }
    if url.scheme() == "http" && !allow_plain_http && !is_loopback(&url) {
        return Err(invalid(
            "would send the token unencrypted to another machine",
            "use https, or call `.allow_plain_http()` if the network between is yours",
        ));
    }
    Ok(url)
}

/// Returns a base URL for messages, also an invalid one: parts that can be a password or a key become `…`.
pub(crate) fn without_secrets(text: &str) -> String {
    // The last `@` first: a password may contain any other character.
    let (start, rest) = match text.rsplit_once('@') {
        Some((before, rest)) => {
            let scheme = before.find("://").map_or("", |at| &before[..at + 3]);
            (format!("{scheme}…@"), rest)
        }
        None => (String::new(), text),
    };
    match rest.find(['?', '#']) {
        Some(end) => format!("{start}{}…", &rest[..=end]),
        None => format!("{start}{rest}"),
    }
}
