//! What goes wrong with the response to a request.

use std::borrow::Cow;
use std::time::Duration;

use super::stage::FaultStage;

/// The longest that one wait of a fault takes. Every wait ends early when its rule is removed.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// The longest body that a fault makes up, in bytes.
pub(super) const LONGEST_PADDING: usize = 64 * 1024 * 1024;

/// What goes wrong with the answer to a request.
///
/// The constants are the catalogue: each network fault and the answers that proxies and overloaded servers give.
/// The methods change a single thing, so that faults can be combined.
///
/// ```
/// use std::time::Duration;
///
/// use highlevel_sandbox::{Ending, Extent, Fault};
///
/// let page_cut_short = Fault::BAD_GATEWAY_PAGE.sending(Extent::Body(20)).ending(Ending::Reset);
/// let busy = Fault::answering(503).header("retry-after", "2").after(Duration::from_millis(100));
/// # let _ = (page_cut_short, busy);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// As it is called in the catalogue, also after it was changed; `custom` for what did not come from there.
    pub(super) name: Cow<'static, str>,
    /// How long nothing happens before the first byte of the answer.
    pub(super) latency: Duration,
    /// The status in place of the sandbox's own.
    pub(super) status: Option<u16>,
    /// Headers that are added, or stand in place of those of the same name.
    pub(super) headers: Cow<'static, [(Cow<'static, str>, Cow<'static, str>)]>,
    /// The body in place of the sandbox's own.
    pub(super) body: Option<Content>,
    /// What is sent in place of an HTTP answer.
    pub(super) raw: Option<Cow<'static, str>>,
    pub(super) extent: Extent,
    pub(super) pace: Option<Pace>,
    pub(super) ending: Ending,
}

/// A body that a fault gives to an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Text(Cow<'static, str>),
    /// So many bytes of spaces and a closing brace, which is JSON to nobody.
    Padding(usize),
}

/// How much of the answer is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Extent {
    /// All of it.
    #[default]
    Everything,
    /// Nothing.
    Nothing,
    /// The first bytes of it.
    Bytes(usize),
    /// The status line with its end, and no header.
    StatusLine,
    /// Status line and headers with their end.
    Head,
    /// Status line, headers, and the first bytes of the body. `content-length` still says how long it was to be.
    Body(usize),
}

/// What happens to the connection once everything was sent that is to be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Ending {
    /// It stays open for the next request if the answer was sent whole; otherwise it is closed.
    #[default]
    Normal,
    /// It is closed in order: FIN.
    Close,
    /// It is reset: RST.
    Reset,
    /// It stays open, and nothing comes any more: until the rule is removed, the client gives up, the sandbox stops, or
    /// ten minutes have passed. Then it is closed.
    Silence,
}

/// How fast the answer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Pace {
    /// So many bytes at a time,
    pub(super) bytes: usize,
    /// and so many milliseconds from one to the next.
    pub(super) every_ms: u64,
}

impl Fault {
    /// What is like no fault at all, to begin with.
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

    /// Another status, from 200 on. The body of an error is in the shape of the API's errors; that of any other answer stays
    /// as it is.
    pub fn answering(status: u16) -> Self {
        Self { status: Some(status), ..Self::PLAIN }
    }

    /// Bytes in place of an HTTP answer, after which the connection is closed.
    pub fn raw(text: impl Into<String>) -> Self {
        Self { raw: Some(Cow::Owned(text.into())), ending: Ending::Close, ..Self::PLAIN }
    }

    /// Its name in the catalogue; `custom` when it did not come from there.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What sort of thing goes wrong, for lists of faults.
    pub(crate) fn sort(&self) -> &'static str {
        match self.status {
            Some(status) if status / 100 == 2 => "Malformed success responses",
            Some(_) => "Error responses",
            None if self.headers.is_empty() => "Network",
            None => "Malformed success responses",
        }
    }

    /// Adds a header to the answer, or replaces it.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.to_mut().push((Cow::Owned(name.into()), Cow::Owned(value.into())));
        self
    }

    /// Gives the answer this body, with its content type.
    pub fn body(mut self, content_type: &str, text: impl Into<String>) -> Self {
        self.body = Some(Content::Text(Cow::Owned(text.into())));
        self.header("content-type", content_type)
    }

    /// Waits before the first byte of the answer, by the machine's clock: at most ten minutes.
    pub fn after(mut self, latency: Duration) -> Self {
        self.latency = latency.min(LONGEST_WAIT);
        self
    }

    /// Sends only a part of the answer.
    pub fn sending(mut self, extent: Extent) -> Self {
        self.extent = extent;
        self
    }

    /// What happens to the connection after that.
    pub fn ending(mut self, ending: Ending) -> Self {
        self.ending = ending;
        self
    }

    /// Sends so many bytes at a time, so far apart.
    pub fn trickling(mut self, bytes: usize, every: Duration) -> Self {
        let every_ms = u64::try_from(every.min(LONGEST_WAIT).as_millis()).unwrap_or(u64::MAX);
        self.pace = Some(Pace { bytes: bytes.max(1), every_ms });
        self
    }

    /// When it happens unless the rule says otherwise. What lets the sandbox's own answer through, or says yes by itself,
    /// comes after the request was done; anything else comes before.
    pub fn default_stage(&self) -> FaultStage {
        let says_yes = self.status.is_none_or(|status| status / 100 == 2);
        let answers = self.raw.is_none() && self.extent != Extent::Nothing;
        if says_yes && answers { FaultStage::After } else { FaultStage::Before }
    }

    /// Whether the answer can be left to HTTP, and the connection lives on.
    pub(crate) fn is_http(&self) -> bool {
        self.raw.is_none()
            && self.extent == Extent::Everything
            && self.pace.is_none()
            && self.ending == Ending::Normal
    }

    /// Whether the client cannot have the whole answer, even if it waits.
    pub(crate) fn breaks(&self) -> bool {
        self.raw.is_some() || self.extent != Extent::Everything
    }

    /// Whether a wait is all that there is to it.
    pub(crate) fn only_waits(&self) -> bool {
        self.is_http() && self.status.is_none() && self.headers.is_empty() && self.body.is_none()
    }

    /// How many bytes it may make up in memory: a body, and once more what is written of it instead of HTTP.
    pub(crate) fn made_up_bytes(&self) -> usize {
        let body = match &self.body {
            Some(Content::Padding(bytes)) => *bytes,
            Some(Content::Text(text)) => text.len(),
            None => 0,
        };
        2 * (body + self.raw.as_ref().map_or(0, |raw| raw.len()))
    }

    pub(crate) fn latency(&self) -> Duration {
        self.latency
    }

    /// Why it cannot be done, if so.
    pub(super) fn problem(&self) -> Option<String> {
        if let Some(status) = self.status.filter(|status| !(200..=999).contains(status)) {
            return Some(format!("status: {status} is not between 200 and 999"));
        }
        for (name, value) in self.headers.iter() {
            if http::HeaderName::try_from(name.as_ref()).is_err() {
                return Some(format!("headers: `{name}` is no name of a header"));
            }
            if http::HeaderValue::try_from(value.as_ref()).is_err() {
                return Some(format!("headers: the value of `{name}` cannot stand in a header"));
            }
        }
        match self.body {
            Some(Content::Padding(bytes)) if bytes > LONGEST_PADDING => {
                Some(format!("body: a body of at most {LONGEST_PADDING} bytes can be made up"))
            }
            _ => None,
        }
    }
}
