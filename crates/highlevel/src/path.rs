//! Paths of raw requests.
//!
//! URL parsers, proxies and servers rewrite paths: they resolve dot segments (also percent-encoded ones), merge empty
//! segments, turn backslashes into slashes, and some decode `%2F`. A path that any of them would change could reach another
//! resource than the one that was asked for, so none of these is sent.

use std::borrow::Cow;
use std::fmt::Write;

/// The path of a [`Request`](crate::Request), for example `/contacts/c1`.
///
/// From text, a path is taken as it is. From segments, each one is percent-encoded, so that an id that comes from elsewhere
/// stays one segment:
///
/// ```
/// use highlevel::RequestPath;
///
/// let id = "50% off?";
/// assert_eq!(RequestPath::from(["contacts", id]).as_str(), "/contacts/50%25%20off%3F");
/// assert_eq!(RequestPath::from("/contacts/c1").as_str(), "/contacts/c1");
/// ```
///
/// A path that could become another one on its way is rejected when the request is sent: with dot segments, empty segments,
/// slashes or backslashes inside a segment, or control characters, percent-encoded (also more than once) or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestPath {
    text: String,
    /// The reason for which this path cannot be sent.
    violation: Option<String>,
}

impl RequestPath {
    /// Joins segments to a path. Each segment is percent-encoded.
    ///
    /// ```
    /// use highlevel::RequestPath;
    ///
    /// let path = RequestPath::from_segments(["contacts", "c1", "notes"]);
    /// assert_eq!(path.as_str(), "/contacts/c1/notes");
    /// ```
    pub fn from_segments<S: AsRef<str>>(segments: impl IntoIterator<Item = S>) -> Self {
        let mut text = String::new();
        let mut violation = None;
        for segment in segments {
            let segment = segment.as_ref();
            if violation.is_none() {
                violation = check_segment(segment).err();
            }
            text.push('/');
            encode(segment, false, &mut text);
        }
        if text.is_empty() {
            violation = Some("the path has no segments: give at least one".to_owned());
        }
        Self { text, violation }
    }

    /// Returns the path as it is sent.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the path, or the reason for which it cannot be sent.
    pub(crate) fn into_checked(self) -> Result<String, String> {
        match self.violation {
            Some(violation) => Err(violation),
            None => Ok(self.text),
        }
    }
}

impl From<&str> for RequestPath {
    fn from(path: &str) -> Self {
        let mut text = String::with_capacity(path.len());
        encode(path, true, &mut text);
        Self { text, violation: check_text(path).err() }
    }
}

impl From<String> for RequestPath {
    fn from(path: String) -> Self {
        Self::from(path.as_str())
    }
}

impl From<&String> for RequestPath {
    fn from(path: &String) -> Self {
        Self::from(path.as_str())
    }
}

impl From<Cow<'_, str>> for RequestPath {
    fn from(path: Cow<'_, str>) -> Self {
        Self::from(&*path)
    }
}

impl<S: AsRef<str>, const N: usize> From<[S; N]> for RequestPath {
    fn from(segments: [S; N]) -> Self {
        Self::from_segments(segments)
    }
}

impl<S: AsRef<str>> From<&[S]> for RequestPath {
    fn from(segments: &[S]) -> Self {
        Self::from_segments(segments)
    }
}

impl<S: AsRef<str>> From<Vec<S>> for RequestPath {
    fn from(segments: Vec<S>) -> Self {
        Self::from_segments(segments)
    }
}

/// Checks a path that was given as text.
fn check_text(path: &str) -> Result<(), String> {
    let shown = path.escape_debug();
    let Some(rest) = path.strip_prefix('/') else {
        return Err(format!("the path `{shown}` does not begin with a slash: write it like /contacts/ID"));
    };
    if path.contains(['?', '#']) {
        return Err("the path has a query or a fragment: add parameters with `.query(…)`".to_owned());
    }
    if path.chars().any(|letter| letter.is_control() || letter.is_whitespace()) {
        return Err(format!("the path `{shown}` contains white space: is an id in it empty or cut?"));
    }
    if !is_percent_encoded(path) {
        return Err(format!(
            "the path `{shown}` contains a percent sign without two hexadecimal digits: pass the segments, as in \
             [\"contacts\", id]"
        ));
    }
    // The paths of some collections end with a slash: `/contacts/`.
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.is_empty() && path == "/" {
        return Ok(());
    }
    rest.split('/').try_for_each(check_segment)
}

/// Checks one segment, and what it becomes when it is percent-decoded, also repeatedly.
pub(crate) fn check_segment(segment: &str) -> Result<(), String> {
    let shown = segment.escape_debug();
    if segment.is_empty() {
        return Err("the path has an empty segment: is an id in it empty?".to_owned());
    }
    let mut text = Cow::Borrowed(segment);
    loop {
        // Some servers strip what follows a semicolon before they resolve dot segments.
        if matches!(text.split(';').next(), Some("." | "..")) {
            return Err(format!(
                "the path segment `{shown}` is a dot segment, which would name another resource"
            ));
        }
        if text.contains(['/', '\\']) {
            return Err(format!(
                "the path segment `{shown}` contains a slash or backslash, which would name another resource: pass each \
                 segment separately"
            ));
        }
        if text.chars().any(char::is_control) {
            return Err(format!(
                "the path segment `{shown}` contains a control character: is an id in it cut?"
            ));
        }
        match decode(&text) {
            Some(decoded) if decoded == *text => return Ok(()),
            Some(decoded) => text = Cow::Owned(decoded),
            None => {
                return Err(format!("the path segment `{shown}` is not UTF-8 when it is percent-decoded"));
            }
        }
    }
}

/// Returns `true` if every percent sign is followed by two hexadecimal digits.
fn is_percent_encoded(path: &str) -> bool {
    let bytes = path.as_bytes();
    (0..bytes.len()).filter(|&at| bytes[at] == b'%').all(|at| hex_byte(bytes, at + 1).is_some())
}

/// Percent-decodes once; `None` if the result is not UTF-8.
fn decode(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], hex_byte(bytes, at + 1)) {
            (b'%', Some(byte)) => {
                decoded.push(byte);
                at += 3;
            }
            (byte, _) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).ok()
}

/// The byte that two hexadecimal digits stand for.
fn hex_byte(bytes: &[u8], at: usize) -> Option<u8> {
    let digit = |at: usize| bytes.get(at).and_then(|&digit| char::from(digit).to_digit(16));
    u8::try_from(digit(at)? * 16 + digit(at + 1)?).ok()
}

/// Percent-encodes everything but the characters that no URL parser changes. A path as text keeps its slashes, its percent
/// signs and the other characters that a path may have.
fn encode(text: &str, is_path: bool, into: &mut String) {
    for &byte in text.as_bytes() {
        let is_kept = byte.is_ascii_alphanumeric()
            || b"-._~".contains(&byte)
            || (is_path && b"/%!$&'()*+,;=:@".contains(&byte));
        if is_kept {
            into.push(char::from(byte));
        } else {
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::Url;

    use super::*;

    /// Every path that is accepted arrives as it was asked for: the URL parser leaves it alone.
    fn assert_unchanged(path: RequestPath) {
        if let Ok(path) = path.into_checked() {
            for base in ["https://example.com", "https://example.com/v1"] {
                let url = Url::parse(&format!("{base}{path}")).expect("a URL");
                assert_eq!(url.as_str(), format!("{base}{path}"));
                assert_eq!((url.query(), url.fragment()), (None, None));
            }
        }
    }

    proptest! {
        #[test]
        fn accepted_text_is_not_changed_by_the_url_parser(path in "/([a-z.%2eEfF5cC/\\\\;:@ \u{e9}<>\"`{}|^?#~-]|[%][0-9a-f]{2}){0,12}") {
            assert_unchanged(RequestPath::from(path));
        }

        #[test]
        fn accepted_segments_stay_segments(segments in proptest::collection::vec("([a-z.%2eEfF5cC/\\\\;:@ \u{e9}?#~-]|\\PC|[%][0-9a-f]{2}){0,8}", 1..4)) {
            let path = RequestPath::from_segments(&segments);
            assert_unchanged(path.clone());
            if let Ok(text) = path.into_checked() {
                let url = Url::parse(&format!("https://example.com{text}")).expect("a URL");
                let received: Vec<_> = url.path_segments().expect("a path").map(|part| decode(part).expect("UTF-8")).collect();
                prop_assert_eq!(received, segments);
            }
        }
    }
}
