//! The client and how it is built.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use highlevel_wire::{Answer, CallData, End, Exchange, ResponseValue};
use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tracing::{Instrument, Span, field};

use crate::delivery::{Fault, Seen, classify};
use crate::transport::{self, Timeouts};
use crate::{ApiVersion, Calls, Error, Messages, Receipt, Result, address, lenient};

/// The largest answer that is read, in bytes.
const BODY_LIMIT: usize = 1024 * 1024;

/// A client of HighLevel's conversations API for one location.
///
/// Cheap to clone; clones share connections and token. It is `Send` and `Sync`, and needs a tokio runtime to run.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    base_url: String,
    authorization: HeaderValue,
    version: HeaderValue,
    user_agent: HeaderValue,
    attempt_timeout: Duration,
}

impl Client {
    /// Starts building a client. Only the token is needed.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Messages: send them, or add those that came in elsewhere.
    pub fn messages(&self) -> Messages {
        Messages::new(self.clone())
    }

    /// Calls: add those that were made elsewhere.
    pub fn calls(&self) -> Calls {
        Calls::new(self.clone())
    }

    /// The address that requests go to, without a slash at its end.
    pub fn base_url(&self) -> &str {
        &self.0.base_url
    }

    /// The generated client below this one, for a single call. It carries this client's token and version, and
    /// leaves the judgement of what happens to its caller.
    pub fn wire(&self) -> (highlevel_wire::Client, Exchange) {
        let exchange = Exchange::new(CallData {
            authorization: self.0.authorization.clone(),
            version: self.0.version.clone(),
            user_agent: Some(self.0.user_agent.clone()),
            timeout: self.0.attempt_timeout,
            body_limit: BODY_LIMIT,
        });
        let client =
            highlevel_wire::Client::new_with_client(&self.0.base_url, self.0.http.clone(), exchange.clone());
        (client, exchange)
    }

    /// Makes one call through a generated operation and judges what came of it.
    pub(crate) async fn call<T, F>(
        &self,
        operation: &'static str,
        run: impl FnOnce(highlevel_wire::Client) -> F,
    ) -> Result<Receipt<T>>
    where
        T: DeserializeOwned,
        F: Future<Output = Result<ResponseValue<T>, highlevel_wire::Error<()>>>,
    {
        let span = tracing::debug_span!(
            "highlevel",
            operation,
            attempt = 1,
            status = field::Empty,
            ms = field::Empty
        );
        let record = span.clone();
        async move {
            let begun = Instant::now();
            let (client, exchange) = self.wire();
            let result = run(client).await;
            let outcome = judge(operation, result, exchange.take());
            trace(&record, &outcome, begun.elapsed());
            outcome
        }
        .instrument(span)
        .await
    }
}

fn trace<T>(span: &Span, outcome: &Result<Receipt<T>>, elapsed: Duration) {
    span.record("ms", u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
    match outcome {
        Ok(receipt) => {
            span.record("status", receipt.status());
            tracing::debug!("accepted");
        }
        Err(error) => {
            if let Some(status) = error.status() {
                span.record("status", status);
            }
            tracing::debug!(kind = ?error.kind(), delivery = ?error.delivery(), "failed");
        }
    }
}

/// What came of a call, from its result and what was observed of it.
fn judge<T: DeserializeOwned>(
    operation: &'static str,
    result: Result<ResponseValue<T>, highlevel_wire::Error<()>>,
    observation: highlevel_wire::Observation,
) -> Result<Receipt<T>> {
    let Some(answer) = observation.answer else {
        let fault = match &result {
            Err(highlevel_wire::Error::CommunicationError(error)) if error.is_connect() => Fault::Connect,
            Err(highlevel_wire::Error::CommunicationError(error)) if error.is_timeout() => Fault::Timeout,
            _ => Fault::Other,
        };
        let error =
            Error::no_answer(operation, classify(Seen::NoAnswer { written: observation.written, fault }));
        return Err(match result {
            Err(highlevel_wire::Error::CommunicationError(source)) => error.with_source(source),
            _ => error,
        });
    };
    let status = answer.status.as_u16();
    let seen = Seen::Answer { status, redirected: answer.redirected };
    let fault = |text: String, answer: Answer| Error::answered(operation, classify(seen), text, answer);
    if answer.redirected {
        return Err(fault("HighLevel answered with a redirect, which was followed".to_owned(), answer));
    }
    if !answer.status.is_success() {
        let name = answer.status.canonical_reason().map(|name| format!(" {name}")).unwrap_or_default();
        return Err(fault(format!("HighLevel answered {status}{name}"), answer));
    }
    match answer.end {
        End::Complete => {}
        End::TooLarge => {
            return Err(fault(
                format!("HighLevel answered {status} with more than {BODY_LIMIT} bytes"),
                answer,
            ));
        }
        _ => {
            let mut answer = answer;
            let end = std::mem::replace(&mut answer.end, End::Complete);
            let error = fault(format!("HighLevel answered {status}, and the answer broke off"), answer);
            return Err(match end {
                End::Cut(source) => error.with_source(source),
                _ => error,
            });
        }
    }
    if let Ok(value) = result {
        return Ok(Receipt::new(value.into_inner(), answer));
    }
    match read_receipt(&answer.body) {
        Ok(value) => Ok(Receipt::new(value, answer)),
        Err(_) if answer.body.is_empty() => {
            Err(fault(format!("HighLevel answered {status} without a body"), answer))
        }
        Err(source) => {
            Err(fault(format!("HighLevel answered {status} with a body that is not a receipt"), answer)
                .with_source(source))
        }
    }
}

/// Reads a receipt that the generated code could not read. Some channels answer `messageIds` instead of a `messageId`,
/// and then the first of them stands for the message. A field of an odd type is left out: it must not cost the
/// caller the id of a message that was sent, and the body is there as it came.
fn read_receipt<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    let mut fields: Map<String, Value> = serde_json::from_slice(body)?;
    if let Some(first) = fields.get("messageIds").and_then(|ids| ids.get(0)).cloned() {
        let id = fields.entry("messageId").or_insert(Value::Null);
        if id.is_null() {
            *id = first;
        }
    }
    lenient::read(fields).map(|read| read.value).map_err(|fault| fault.error)
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base_url", &self.0.base_url).finish_non_exhaustive()
    }
}

/// Builds a [`Client`].
///
/// ```no_run
/// use std::time::Duration;
/// use highlevel::{ApiVersion, Client};
///
/// let client = Client::builder()
///     .token("pit-12345678-1234-1234-1234-123456789012")
///     .version(ApiVersion::V2021_07_28)
///     .attempt_timeout(Duration::from_secs(10))
///     .user_agent("front-desk/1.4")
///     .build()?;
/// # Ok::<(), highlevel::Error>(())
/// ```
#[must_use = "a builder does nothing until `build` is called"]
#[derive(Clone, Default)]
pub struct ClientBuilder {
    token: Option<SecretString>,
    base_url: Option<String>,
    version: Option<ApiVersion>,
    user_agent: Option<String>,
    timeouts: Timeouts,
    http: Option<reqwest::Client>,
    allow_plain_http: bool,
}

impl ClientBuilder {
    /// The token of the location: a private integration token (`pit-…`) or an OAuth access token of a sub-account,
    /// with the scope `conversations/message.write`.
    pub fn token(mut self, token: impl Into<SecretString>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// The address to send requests to. The default is the variable `HIGHLEVEL_BASE_URL` of the environment, and
    /// without it the live API, `https://services.leadconnectorhq.com`.
    ///
    /// A slash at its end is ignored. `http://` is for this machine only, see
    /// [`allow_plain_http`](Self::allow_plain_http).
    pub fn base_url(mut self, base_url: impl Into<String>) -> Self {
        self.base_url = Some(base_url.into());
        self
    }

    /// Allows `http://` for other machines than this one. The token then crosses the network for everybody to read.
    pub fn allow_plain_http(mut self) -> Self {
        self.allow_plain_http = true;
        self
    }

    /// The version of the API, `2021-04-15` by default.
    pub fn version(mut self, version: ApiVersion) -> Self {
        self.version = Some(version);
        self
    }

    /// The `User-Agent` header, the name and version of this library by default.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = Some(user_agent.into());
        self
    }

    /// How long connecting may take, TLS included: 3 seconds by default. Not used with a client of your own.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.connect = timeout;
        self
    }

    /// How long one attempt may take, from connecting to the last byte of the answer: 30 seconds by default.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.attempt = timeout;
        self
    }

    /// How long an unused connection is kept: 50 seconds by default. Not used with a client of your own.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.idle = timeout;
        self
    }

    /// A client of your own, for proxies, certificates or another implementation of TLS. It should follow no
    /// redirects and resend nothing by itself.
    ///
    /// This library adds no TLS to reqwest's own defaults: `reqwest::Client::new()` needs one of reqwest's TLS features
    /// in your `Cargo.toml`.
    pub fn http_client(mut self, http: reqwest::Client) -> Self {
        self.http = Some(http);
        self
    }

    /// Builds the client.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) for a missing token, an address that is not
    /// one, control characters in a header, and a system without root certificates.
    pub fn build(self) -> Result<Client> {
        let token = self.token.as_ref().ok_or_else(|| {
            Error::configuration(
                "no token: call `.token(…)` with a private integration token of the location, or an OAuth access token",
            )
        })?;
        let base_url = address::choose(self.base_url, || std::env::var_os(address::VARIABLE))?;
        let base_url = address::parse(&base_url, self.allow_plain_http)?;
        let authorization = authorization(token)?;
        let version = self.version.unwrap_or(ApiVersion::V2021_04_15);
        let version = header("API version", version.as_str())?;
        let user_agent = self.user_agent.as_deref();
        let user_agent = header(
            "user agent",
            user_agent.unwrap_or(concat!("highlevel-rust/", env!("CARGO_PKG_VERSION"))),
        )?;
        let http = match self.http {
            Some(http) => http,
            None => transport::build(&base_url, self.timeouts)?,
        };
        Ok(Client(Arc::new(Inner {
            http,
            base_url: base_url.as_str().trim_end_matches('/').to_owned(),
            authorization,
            version,
            user_agent,
            attempt_timeout: self.timeouts.attempt,
        })))
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("base_url", &self.base_url.as_deref().map(address::without_secrets))
            .field("version", &self.version)
            .field("user_agent", &self.user_agent)
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}

fn authorization(token: &SecretString) -> Result<HeaderValue> {
    let token = token.expose_secret();
    if token.trim().is_empty() {
        return Err(Error::configuration(
            "the token is empty: is the variable or the file that holds it set?",
        ));
    }
    if token.trim() != token {
        return Err(Error::configuration(
            "the token begins or ends with white space, perhaps the line break of a file: trim it",
        ));
    }
    if token.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer ")) {
        return Err(Error::configuration(
            "the token begins with `Bearer`, which is added for you: give the token alone",
        ));
    }
    if token.starts_with(['"', '\'']) {
        return Err(Error::configuration(
            "the token begins with a quotation mark, perhaps from a file of variables: give the token alone",
        ));
    }
    // The text of this error must not contain the token, nor must its source.
    let fault = || {
        Error::configuration(
            "the token contains a space, a control character or one outside ASCII, which no token has: copy it anew",
        )
    };
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(fault());
    }
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| fault())?;
    value.set_sensitive(true);
    Ok(value)
}

fn header(what: &str, text: &str) -> Result<HeaderValue> {
    if text.trim().is_empty() {
        return Err(Error::configuration(format!("the {what} is empty: leave it out for the default")));
    }
    HeaderValue::from_str(text).map_err(|error| {
        let text = text.escape_debug();
        Error::configuration(format!(
            "the {what} `{text}` contains a character that a header cannot carry: remove it"
        ))
        .with_source(error)
    })
}
