//! The receiver: everything that an event has to pass.

use std::ops::Deref;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value};

use highlevel_wire::Timestamp;

use super::error::{WebhookError, WebhookErrorKind};
use super::{Event, PublicKey, signature};
use crate::AppId;

/// Verifies and reads events. Cheap to share; does no I/O and reads no clock.
#[derive(Debug, Clone)]
pub struct Receiver {
    keys: Vec<PublicKey>,
    app: Option<AppId>,
    oldest: Duration,
    furthest_ahead: Duration,
    body_limit: usize,
}

impl Receiver {
    /// Starts building a receiver. The first thing to say is whose events it takes.
    pub fn builder() -> AppChoice {
        AppChoice(())
    }

    /// Verifies and reads an event.
    ///
    /// `headers` and `body` are the request's, the body exactly as it came; `now` is the current time.
    ///
    /// # Errors
    ///
    /// The first check that fails, in the order that the [module](super) names.
    /// [`WebhookError::status`] is what to answer.
    pub fn receive(
        &self,
        headers: &HeaderMap,
        body: impl Into<Bytes>,
        now: SystemTime,
    ) -> Result<Verified<Event>, WebhookError> {
        let body = body.into();
        if body.len() > self.body_limit {
            return Err(WebhookError::new(
                WebhookErrorKind::TooLarge,
                format!("the body has {} bytes, more than the {} that are read", body.len(), self.body_limit),
            ));
        }
        let signature = signature::read(headers)?;
        let key = signature::verify(&self.keys, &body, &signature)?;
        let json: Map<String, Value> = serde_json::from_slice(&body).map_err(|error| {
            WebhookError::new(
                WebhookErrorKind::Malformed,
                format!("the signature is genuine, but the body is not a JSON object: {error}"),
            )
        })?;
        self.check_app(&json)?;
        self.check_time(&json, now)?;
        let event = Event::read(json)?;
        Ok(Verified { value: event, key_id: key.id().to_owned(), body })
    }

    fn check_app(&self, json: &Map<String, Value>) -> Result<(), WebhookError> {
        let Some(expected) = &self.app else { return Ok(()) };
        match json.get("appId").and_then(Value::as_str) {
            Some(found) if found == expected.as_str() => Ok(()),
            Some(found) => Err(WebhookError::new(
                WebhookErrorKind::OtherApp,
                format!(
                    "the event is for the app {} and not for {}: is it the app id of the marketplace, without a suffix?",
                    found.escape_debug(),
                    expected.escape_debug()
                ),
            )),
            None => Err(WebhookError::new(
                WebhookErrorKind::OtherApp,
                "the event does not say which app it is for; if yours come without an appId, build the receiver with \
                 `.any_app()`",
            )),
        }
    }

    fn check_time(&self, json: &Map<String, Value>, now: SystemTime) -> Result<(), WebhookError> {
        // HighLevel does not put a timestamp on every event, and the signature is genuine.
        let Some(text) = json.get("timestamp").and_then(Value::as_str) else { return Ok(()) };
        let time =
            text.parse::<Timestamp>().ok().and_then(|timestamp| timestamp.to_system_time()).ok_or_else(
                || {
                    WebhookError::new(
                        WebhookErrorKind::Malformed,
                        format!("/timestamp is `{}`, which is not a point in time", text.escape_debug()),
                    )
                },
            )?;
        let what = if now.duration_since(time).is_ok_and(|age| age > self.oldest) {
            (WebhookErrorKind::Stale, "older", self.oldest)
        } else if time.duration_since(now).is_ok_and(|ahead| ahead > self.furthest_ahead) {
            (WebhookErrorKind::Future, "further ahead", self.furthest_ahead)
        } else {
            return Ok(());
        };
        let (kind, how, limit) = what;
        Err(WebhookError::new(
            kind,
            format!(
                "the event's timestamp {text} is {how} than {} seconds: is the clock of this machine right?",
                limit.as_secs()
            ),
        ))
    }
}

/// Whose events a receiver takes: the choice that has to be made.
#[derive(Debug)]
#[must_use = "choose with `.app_id(…)` or `.any_app()`"]
pub struct AppChoice(());

impl AppChoice {
    /// Only the events of this app. HighLevel signs the events of all apps with the same key.
    pub fn app_id(self, app: impl Into<AppId>) -> ReceiverBuilder {
        ReceiverBuilder::new(Some(app.into()))
    }

    /// The events of any app: a genuine event for somebody else's app is taken for one of yours.
    pub fn any_app(self) -> ReceiverBuilder {
        ReceiverBuilder::new(None)
    }
}

/// Builds a [`Receiver`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct ReceiverBuilder(Receiver);

impl ReceiverBuilder {
    fn new(app: Option<AppId>) -> Self {
        let receiver = Receiver {
            keys: Vec::new(),
            app,
            oldest: Duration::from_secs(2 * 60 * 60),
            furthest_ahead: Duration::from_secs(5 * 60),
            body_limit: 1024 * 1024,
        };
        Self(receiver)
    }

    /// A key to verify with, in place of HighLevel's published one. Can be called several times; to keep the
    /// published key beside others, add [`PublicKey::published`].
    pub fn key(mut self, key: PublicKey) -> Self {
        self.0.keys.push(key);
        self
    }

    /// How old an event may be (2 hours by default), and how far ahead its timestamp may be (5 minutes).
    pub fn window(mut self, oldest: Duration, furthest_ahead: Duration) -> Self {
        self.0.oldest = oldest;
        self.0.furthest_ahead = furthest_ahead;
        self
    }

    /// The longest body that is read, in bytes: 1 MiB by default.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.0.body_limit = bytes;
        self
    }

    /// Builds the receiver.
    pub fn build(self) -> Receiver {
        let mut receiver = self.0;
        if receiver.keys.is_empty() {
            receiver.keys.push(PublicKey::published());
        }
        receiver
    }
}

/// Something that HighLevel signed, for this receiver. Nothing but [`Receiver::receive`] makes one.
#[derive(Debug, Clone)]
pub struct Verified<T> {
    value: T,
    key_id: String,
    body: Bytes,
}

impl<T> Verified<T> {
    /// The event.
    pub fn event(&self) -> &T {
        &self.value
    }

    /// The event alone; that it was verified can no longer be seen from its type.
    pub fn into_inner(self) -> T {
        self.value
    }

    /// The name of the key that verified it.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The body as it came.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
