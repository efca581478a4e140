//! Headers as text, and the credentials in them.

use std::borrow::Cow;
use std::fmt::{self, Debug, Formatter};

use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::weight;

/// Headers as text, in order, names in lower case.
pub(crate) fn readable(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect()
}

/// Headers whose values are credentials.
const CREDENTIALS: [&str; 7] =
    ["authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "api-key", "x-auth-token"];

/// Headers as text, without credentials.
pub(crate) fn redacted(headers: &HeaderMap) -> RecordedHeaders {
    let headers = headers.iter().map(|(name, value)| {
        let (name, value) = (name.as_str(), String::from_utf8_lossy(value.as_bytes()));
        let value = if CREDENTIALS.contains(&name) { without_credentials(name, &value) } else { value };
        (name, value)
    });
    headers.collect()
}

fn without_credentials(name: &str, value: &str) -> Cow<'static, str> {
    match value.split_once(' ') {
        Some((scheme, _)) if name == AUTHORIZATION.as_str() && scheme.eq_ignore_ascii_case("bearer") => {
            format!("{scheme} [redacted]").into()
        }
        _ => "[redacted]".into(),
    }
}

/// The headers of a request or response in the ledger, in order, with names in lower case.
///
/// They are one text, because a full ledger has more than 100,000 headers.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RecordedHeaders(Box<str>);

impl RecordedHeaders {
    /// Returns the names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.split_terminator(END).filter_map(|header| header.split_once(SEPARATOR))
    }

    /// Returns the first value of a header by its name in lower case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(each, _)| *each == name).map(|(_, value)| value)
    }

    /// Returns the memory usage in bytes.
    pub(crate) fn weight(&self) -> usize {
        weight::text(&self.0)
    }
}

/// The characters between a name and its value, and after a value. HTTP allows neither of them in a header.
const SEPARATOR: char = '\0';
const END: char = '\n';

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for RecordedHeaders {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(headers: I) -> Self {
        let mut text = String::with_capacity(512);
        for (name, value) in headers {
            for part in [name.as_ref(), SEPARATOR.encode_utf8(&mut [0; 1]), value.as_ref()] {
                text.push_str(part);
            }
            text.push(END);
        }
        Self(text.into())
    }
}

impl Debug for RecordedHeaders {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}

/// The token in the header's value. The name of the scheme is not case-sensitive (RFC 9110, section 11.1).
pub(crate) fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start_matches(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_headers_have_no_credentials() {
        let mut headers = HeaderMap::new();
        let pairs = [
            ("authorization", "Bearer pit-1"),
            ("cookie", "a=b"),
            ("x-empty", ""),
            ("accept", "a: b\tc"),
            ("accept", "d"),
        ];
        for (name, value) in pairs {
            headers.append(name, value.parse().unwrap());
        }
        let recorded = redacted(&headers);
        let mut found: Vec<_> = recorded.iter().collect();
        found.sort_unstable();
        let expected = [
            ("accept", "a: b\tc"),
            ("accept", "d"),
            ("authorization", "Bearer [redacted]"),
            ("cookie", "[redacted]"),
            ("x-empty", ""),
        ];
        assert_eq!(found, expected);
        assert_eq!((recorded.get("accept"), recorded.get("x-other")), (Some("a: b\tc"), None));
        assert_eq!(RecordedHeaders::default().iter().count(), 0);
    }

    #[test]
    fn reads_bearer_tokens_only() {
        let cases = [
            ("Bearer pit-1", Some("pit-1")),
            ("bearer  pit-1", Some("pit-1")),
            ("Basic pit-1", None),
            ("pit-1", None),
            ("Bearerpit-1", None),
        ];
        for (header, token) in cases {
            assert_eq!(bearer(header), token, "{header}");
        }
    }
}
