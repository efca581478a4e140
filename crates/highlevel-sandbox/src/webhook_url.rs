//! URLs that webhooks are delivered to.

use std::io;

use http::Uri;

/// Parses a URL that webhook events can be delivered to.
///
/// # Errors
///
/// Returns `InvalidInput` if it is not an `http` URL, or has a user name.
pub(crate) fn parse_webhook_url(text: &str) -> io::Result<Uri> {
    let invalid = |reason: &str| {
        let message = format!(
            "invalid webhook URL `{text}`: {reason}; use a URL such as http://127.0.0.1:3000/webhooks"
        );
        io::Error::new(io::ErrorKind::InvalidInput, message)
    };
    let url: Uri = text.parse().map_err(|error: http::uri::InvalidUri| invalid(&error.to_string()))?;
    match (url.scheme_str(), url.host()) {
        (Some("http"), Some(_))
            if url.authority().is_some_and(|authority| authority.as_str().contains('@')) =>
        {
            Err(invalid("user names are not supported"))
        }
        (Some("http"), Some(_)) => Ok(url),
        (Some("https"), _) => Err(invalid("https is not supported")),
        (Some(scheme), _) => Err(invalid(&format!("the scheme `{scheme}` is not supported"))),
        (None, _) => Err(invalid("it must start with http://")),
    }
}
