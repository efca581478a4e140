//! The parts of a request that are prepared once, and the response as it was read.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use progenitor_client::{Error, ResponseValue};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, USER_AGENT};
use reqwest::{Response, StatusCode, Url, Version};
use serde::de::DeserializeOwned;

use crate::context::RequestSettings;

const VERSION: HeaderName = HeaderName::from_static("version");

/// More than the headers of a request, those of the transport included: the map does not grow when they are added.
const HEADERS: usize = 12;

/// The base URL of a client. Clones share the URLs of the operations, which are parsed once.
#[derive(Clone)]
pub struct BaseUrl(Arc<Shared>);

struct Shared {
    text: Box<str>,
    /// The URLs of paths without parameters. There are at most as many as operations.
    fixed: RwLock<Vec<(&'static str, Url)>>,
}

impl BaseUrl {
    /// Returns the base URL as text.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// Returns the URL of a path, or the text that is not a URL.
    pub(crate) fn join(&self, path: Path) -> Result<Url, String> {
        match path {
            Path::Fixed(path) => {
                if let Some(url) = self.known(path) {
                    return Ok(url);
                }
                let url = self.parse(path)?;
                self.0.fixed.write().unwrap_or_else(PoisonError::into_inner).push((path, url.clone()));
                Ok(url)
            }
            Path::Formatted(path) => self.parse(&path),
        }
    }

    fn known(&self, path: &str) -> Option<Url> {
        let fixed = self.0.fixed.read().unwrap_or_else(PoisonError::into_inner);
        fixed.iter().find(|(known, _)| *known == path).map(|(_, url)| url.clone())
    }

    fn parse(&self, path: &str) -> Result<Url, String> {
        let text = [&*self.0.text, path].concat();
        Url::parse(&text).map_err(|_| text)
    }
}

impl From<&str> for BaseUrl {
    fn from(text: &str) -> Self {
        Self(Arc::new(Shared { text: text.into(), fixed: RwLock::default() }))
    }
}

impl From<&String> for BaseUrl {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&BaseUrl> for BaseUrl {
    fn from(base: &BaseUrl) -> Self {
        base.clone()
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// The path of a request after the base URL.
pub(crate) enum Path {
    /// A path without parameters.
    Fixed(&'static str),
    /// A path with parameters, which are percent-encoded.
    Formatted(String),
}

/// Returns the headers of a request that the settings have.
pub(crate) fn headers(settings: &RequestSettings) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(HEADERS);
    if let Some(authorization) = &settings.authorization {
        headers.insert(AUTHORIZATION, authorization.clone());
    }
    headers.insert(VERSION, settings.version.clone());
    if let Some(user_agent) = &settings.user_agent {
        headers.insert(USER_AGENT, user_agent.clone());
    }
    headers
}

/// A response as the generated operations receive it.
pub(crate) struct BufferedResponse {
    pub(crate) status: StatusCode,
    pub(crate) version: Version,
    /// Empty if the headers are moved to the context.
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl BufferedResponse {
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// Reads the body as JSON.
    #[expect(
        clippy::result_large_err,
        reason = "progenitor's error, which the generated operations return by value"
    )]
    pub(crate) fn into_value<T: DeserializeOwned, E>(self) -> Result<ResponseValue<T>, Error<E>> {
        match serde_json::from_slice(&self.body) {
            Ok(value) => Ok(ResponseValue::new(value, self.status, self.headers)),
            Err(error) => Err(Error::InvalidResponsePayload(self.body, error)),
        }
    }

    pub(crate) fn into_empty(self) -> ResponseValue<()> {
        ResponseValue::new((), self.status, self.headers)
    }

    /// Returns the error of a status that is not documented.
    pub(crate) fn into_unexpected<E>(self) -> Error<E> {
        let mut response = http::Response::new(self.body);
        *response.status_mut() = self.status;
        *response.version_mut() = self.version;
        *response.headers_mut() = self.headers;
        Error::UnexpectedResponse(Response::from(response))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_the_base_and_the_path_as_text() {
        let base = BaseUrl::from("https://example.com/stem");
        for path in ["/a", "/a", "/b/", "/a?q=1"] {
            let expected = Url::parse(&format!("https://example.com/stem{path}")).expect("a URL");
            assert_eq!(base.join(Path::Fixed(path)), Ok(expected.clone()), "{path}");
            assert_eq!(base.clone().join(Path::Formatted(path.to_owned())), Ok(expected), "{path}");
        }
        assert_eq!(base.0.fixed.read().expect("no panic").len(), 3, "each path is stored once");
        assert_eq!(BaseUrl::from("no url").join(Path::Fixed("/a")), Err("no url/a".to_owned()));
    }
}
