//! The effects of a fault on the response to a request.

use std::borrow::Cow;
use std::time::Duration;

use super::stage::FaultStage;

/// The maximum of one delay. A delay ends early when its rule is removed.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(600);
/// The maximum length of a generated body, in bytes.
pub(super) const MAX_PADDING: usize = 64 * 1024 * 1024;

/// A fault that is injected into the response to a request.
///
/// The constants are the catalogue: network failures, and the responses of proxies and overloaded servers.
/// Each method changes one property, so that faults can be combined.
///
/// ```
/// use std::time::Duration;
///
/// use highlevel_sandbox::{Ending, Extent, Fault};
///
/// let page_cut_short = Fault::BAD_GATEWAY_PAGE.sending(Extent::Body(20)).ending(Ending::Reset);
/// let busy = Fault::status(503).header("retry-after", "2").after(Duration::from_millis(100));
/// # let _ = (page_cut_short, busy);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The name in the catalogue, which a modified fault retains; `custom` for any other fault.
    pub(super) name: Cow<'static, str>,
    /// The delay before the first byte of the response.
    pub(super) latency: Duration,
    /// Replaces the status of the response.
    pub(super) status: Option<u16>,
    /// Headers that are added, or replace those with the same name.
    pub(super) headers: Cow<'static, [(Cow<'static, str>, Cow<'static, str>)]>,
    /// Replaces the body of the response.
    pub(super) body: Option<FaultBody>,
    /// Bytes that are sent instead of an HTTP response.
    pub(super) raw: Option<Cow<'static, str>>,
    pub(super) extent: Extent,
    pub(super) pace: Option<Pace>,
    pub(super) ending: Ending,
}

/// The body of a response, as a fault specifies it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FaultBody {
    Text(Cow<'static, str>),
    /// This many spaces, which are not valid JSON.
    Padding(usize),
}

/// The part of the response that is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Extent {
    /// The whole response.
    #[default]
    Everything,
    /// No byte of it.
    Nothing,
    /// This many bytes from its beginning.
    Bytes(usize),
    /// The status line and its CRLF, without headers.
    StatusLine,
    /// The status line and all headers, with the empty line after them.
    Head,
    /// The status line, all headers, and this many bytes of the body. `content-length` has the full length.
    Body(usize),
}

/// The state of the connection after the selected part of the response was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Ending {
    /// Stays open for the next request if the whole response was sent, and is closed otherwise.
    #[default]
    Normal,
    /// Is closed with FIN.
    Close,
    /// Is reset with RST.
    Reset,
    /// Stays open without another byte until the rule is removed, the client closes it, the sandbox stops, or ten
    /// minutes have passed. Then it is closed.
    Silence,
}

/// The rate of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Pace {
    /// The bytes of one chunk.
    pub(super) bytes: usize,
    /// The milliseconds between two chunks.
    pub(super) every_ms: u64,
}

impl Fault {
    /// A fault that changes nothing, as a base for others.
    pub(super) const PLAIN: Self = Self {
        name: Cow::Borrowed("custom"),
        latency: Duration::ZERO,
        status: None,
        headers: Cow::Borrowed(&[]),
        body: None,
        raw: None,
        extent: Extent::Everything,
        pace: None,
        ending: Ending::Normal,
    };

    /// Returns a fault that replaces the status, which is between 200 and 999. The body of an error status has the shape
    /// of the API's errors; the body of any other status is unchanged.
    pub fn status(status: u16) -> Self {
        Self { status: Some(status), ..Self::PLAIN }
    }

    /// Returns a fault that sends bytes instead of an HTTP response and then closes the connection.
    pub fn raw(text: impl Into<String>) -> Self {
        Self { raw: Some(Cow::Owned(text.into())), ending: Ending::Close, ..Self::PLAIN }
    }

    /// Returns the name in the catalogue, or `custom` if the fault is not based on the catalogue.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the heading under which lists of faults show it.
    pub(crate) fn sort(&self) -> &'static str {
        match self.status {
            Some(status) if status / 100 == 2 => "Malformed success responses",
            Some(_) => "Error responses",
            None if self.headers.is_empty() => "Network",
            None => "Malformed success responses",
        }
    }

    /// Adds a header to the response, or replaces it.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.to_mut().push((Cow::Owned(name.into()), Cow::Owned(value.into())));
        self
    }

    /// Replaces the body and the content type of the response.
    pub fn body(mut self, content_type: &str, text: impl Into<String>) -> Self {
        self.body = Some(FaultBody::Text(Cow::Owned(text.into())));
        self.header("content-type", content_type)
    }

    /// Delays the first byte of the response, by the machine's clock. Cut to ten minutes.
    pub fn after(mut self, latency: Duration) -> Self {
        self.latency = latency.min(MAX_WAIT);
        self
    }

    /// Sends only a part of the response.
    pub fn sending(mut self, extent: Extent) -> Self {
        self.extent = extent;
        self
    }

    /// Sets the state of the connection after the response.
    pub fn ending(mut self, ending: Ending) -> Self {
        self.ending = ending;
        self
    }

    /// Sends the response in chunks of `bytes`, one per `every`.
    pub fn trickling(mut self, bytes: usize, every: Duration) -> Self {
        let every_ms = u64::try_from(every.min(MAX_WAIT).as_millis()).unwrap_or(u64::MAX);
        self.pace = Some(Pace { bytes: bytes.max(1), every_ms });
        self
    }

    /// Returns the stage of rules that specify none: [`FaultStage::After`] if the client receives the sandbox's response or
    /// another success, [`FaultStage::Before`] otherwise.
    pub fn default_stage(&self) -> FaultStage {
        let succeeds = self.status.is_none_or(|status| status / 100 == 2);
        let responds = self.raw.is_none() && self.extent != Extent::Nothing;
        if succeeds && responds { FaultStage::After } else { FaultStage::Before }
    }

    /// Returns `true` if the HTTP server can send the response and reuse the connection.
    pub(crate) fn is_http(&self) -> bool {
        self.raw.is_none()
            && self.extent == Extent::Everything
            && self.pace.is_none()
            && self.ending == Ending::Normal
    }

    /// Returns `true` if the client never receives a whole response.
    pub(crate) fn breaks(&self) -> bool {
        self.raw.is_some() || self.extent != Extent::Everything
    }

    /// Returns `true` if the fault only delays the response.
    pub(crate) fn only_waits(&self) -> bool {
        self.is_http() && self.status.is_none() && self.headers.is_empty() && self.body.is_none()
    }

    /// Returns an upper bound of the bytes it allocates: the generated body, and its copy in a [`Script`].
    pub(crate) fn generated_bytes(&self) -> usize {
        let body = match &self.body {
            Some(FaultBody::Padding(bytes)) => *bytes,
            Some(FaultBody::Text(text)) => text.len(),
            None => 0,
        };
        2 * (body + self.raw.as_ref().map_or(0, |raw| raw.len()))
    }

    pub(crate) fn latency(&self) -> Duration {
        self.latency
    }

    /// Returns the error of an invalid fault.
    pub(super) fn problem(&self) -> Option<String> {
        if let Some(status) = self.status.filter(|status| !(200..=999).contains(status)) {
            return Some(format!("status: {status} is not between 200 and 999"));
        }
        for (name, value) in self.headers.iter() {
            if http::HeaderName::try_from(name.as_ref()).is_err() {
                return Some(format!("headers: `{name}` is not a valid header name"));
            }
            if http::HeaderValue::try_from(value.as_ref()).is_err() {
                return Some(format!("headers: the value of `{name}` is not a valid header value"));
            }
        }
        match self.body {
            Some(FaultBody::Padding(bytes)) if bytes > MAX_PADDING => {
                Some(format!("bodyBytes: a generated body has at most {MAX_PADDING} bytes"))
            }
            _ => None,
        }
    }
}
