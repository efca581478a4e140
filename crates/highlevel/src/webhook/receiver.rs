//! The receiver: everything that an event has to pass.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value};

use highlevel_wire::Timestamp;

use super::deduplicate::{Claim, Claimed, Deduplicate, Elsewhere, EventId, InMemory};
use super::error::{WebhookError, WebhookErrorKind};
use super::event::Kind;
#[cfg(feature = "rsa")]
use super::rsa::{Rsa, RsaPublicKey};
use super::{Event, PublicKey, signature};
use crate::{AppId, LocationId};

/// Verifies and reads events. Cheap to share; does no I/O and reads no clock. Clones share the memory of what was
/// handled.
#[derive(Debug, Clone)]
pub struct Receiver {
    keys: Vec<PublicKey>,
    #[cfg(feature = "rsa")]
    rsa: Option<Rsa>,
    apps: Apps,
    locations: Locations,
    deduplicate: Arc<dyn Deduplicate>,
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
        let key_id = self.verify(headers, &body, now)?.to_owned();
        let json: Map<String, Value> = serde_json::from_slice(&body).map_err(|error| {
            WebhookError::new(
                WebhookErrorKind::Malformed,
                format!("the signature is genuine, but the body is not a JSON object: {error}"),
            )
        })?;
        self.check_app(&json)?;
        self.check_location(&json)?;
        self.check_time(&json, now)?;
        // The fields of the envelope, before the event takes them.
        let kind = Kind::of(&json)?;
        let id = EventId::of(&json, &kind, &body);
        let event = Event::read(kind, json, &body)?;
        let claim = self.claim(id, now)?;
        Ok(Verified { value: event, key_id, body, claim: Arc::new(claim) })
    }

    /// The longest body that is read, in bytes.
    pub fn body_limit(&self) -> usize {
        self.body_limit
    }

    /// The name of the key that verifies the body. If the Ed25519 header is there in any form, it alone decides.
    fn verify(&self, headers: &HeaderMap, body: &[u8], now: SystemTime) -> Result<&str, WebhookError> {
        if let Some(signature) = signature::read(headers)? {
            return signature::verify(&self.keys, body, &signature, now).map(PublicKey::id);
        }
        #[cfg(feature = "rsa")]
        if let Some(rsa) = &self.rsa
            && let Some(key_id) = rsa.verify(headers, body, now)?
        {
            return Ok(key_id);
        }
        Err(signature::missing())
    }

    fn claim(&self, id: EventId, now: SystemTime) -> Result<Claim, WebhookError> {
        let (kind, text) = match self.deduplicate.begin(&id, now) {
            Claimed::First => return Ok(Claim::new(id, Arc::clone(&self.deduplicate))),
            Claimed::Done => (
                WebhookErrorKind::Duplicate,
                "the event has been handled: it was delivered again, and there is nothing to do",
            ),
            Claimed::InProgress => (
                WebhookErrorKind::InProgress,
                "the event is being handled, from an earlier delivery: answer 429, and it comes again in case that \
                 one fails",
            ),
            Claimed::Unavailable => (
                WebhookErrorKind::Unavailable,
                "the event cannot be taken now, because the memory of events is full or cannot be reached: answer \
                 429, and it comes again",
            ),
        };
        Err(WebhookError::new(kind, text))
    }

    fn check_location(&self, json: &Map<String, Value>) -> Result<(), WebhookError> {
        let location = json.get("locationId").and_then(Value::as_str);
        if self.locations.take(location) {
            return Ok(());
        }
        let text = match location {
            Some(location) => format!(
                "the event is of the location {}, which is not one of those that the receiver takes",
                location.escape_debug()
            ),
            None => {
                "the event names no location, and the receiver takes certain locations only; to decide about \
                     such events, build it with `.locations_where(…)`"
                    .to_owned()
            }
        };
        Err(WebhookError::new(WebhookErrorKind::OtherLocation, text))
    }

    fn check_app(&self, json: &Map<String, Value>) -> Result<(), WebhookError> {
        let (expected, has_to_be_named) = match &self.apps {
            Apps::Any => return Ok(()),
            Apps::Only(app) => (app, true),
            Apps::IfNamed(app) => (app, false),
        };
        let text = match json.get("appId") {
            Some(Value::String(found)) if found == expected.as_str() => return Ok(()),
            None | Some(Value::Null) if !has_to_be_named => return Ok(()),
            Some(Value::String(found)) => format!(
                "the event is for the app {} and not for {}: is it the app id of the marketplace, without a suffix?",
                found.escape_debug(),
                expected.as_str().escape_debug()
            ),
            None | Some(Value::Null) => "the event does not say which app it is for; if yours come without an appId, as \
                                         those of a delivery URL may, build the receiver with `.app_id_if_named(…)`"
                .to_owned(),
            Some(_) => "the event's appId is not a string, so nobody can say which app it is for".to_owned(),
        };
        Err(WebhookError::new(WebhookErrorKind::OtherApp, text))
    }

    fn check_time(&self, json: &Map<String, Value>, now: SystemTime) -> Result<(), WebhookError> {
        let text = match json.get("timestamp") {
            // HighLevel does not put a timestamp on every event, and the signature is genuine.
            None | Some(Value::Null) => return Ok(()),
            Some(Value::String(text)) => text,
            // One that cannot be read must not be a way around the window.
            Some(_) => {
                return Err(WebhookError::new(
                    WebhookErrorKind::Malformed,
                    "/timestamp is not a string, so nobody can say how old the event is",
                ));
            }
        };
        let time =
            text.parse::<Timestamp>().ok().and_then(|time| time.to_system_time()).ok_or_else(|| {
                WebhookError::new(
                    WebhookErrorKind::Malformed,
                    format!("/timestamp is `{}`, which is not a point in time", text.escape_debug()),
                )
            })?;
        let (kind, how, limit, question) = if now.duration_since(time).is_ok_and(|age| age > self.oldest) {
            let question = "is the clock of this machine right, or was the event resent by hand? `.window(…)` takes \
                            older ones";
            (WebhookErrorKind::Stale, "older", self.oldest, question)
        } else if time.duration_since(now).is_ok_and(|ahead| ahead > self.furthest_ahead) {
            let question = "is the clock of this machine right? Answer 429, and it comes again";
            (WebhookErrorKind::Future, "further ahead", self.furthest_ahead, question)
        } else {
            return Ok(());
        };
        let limit = limit.as_secs();
        Err(WebhookError::new(
            kind,
            format!("the event's timestamp {text} is {how} than {limit} seconds: {question}"),
        ))
    }
}

/// Whose events a receiver takes: the choice that has to be made.
#[derive(Debug)]
#[must_use = "choose with `.app_id(…)`, `.app_id_if_named(…)` or `.any_app()`"]
pub struct AppChoice(());

impl AppChoice {
    /// Only the events of this app. HighLevel signs the events of all apps with the same key.
    pub fn app_id(self, app: impl Into<AppId>) -> ReceiverBuilder {
        ReceiverBuilder::new(Apps::Only(app.into()))
    }

    /// The events of this app, and those that name no app: for the delivery URL of a conversation provider, whose
    /// events need not have an `appId`. Those that name another app are refused.
    pub fn app_id_if_named(self, app: impl Into<AppId>) -> ReceiverBuilder {
        ReceiverBuilder::new(Apps::IfNamed(app.into()))
    }

    /// The events of any app: a genuine event for somebody else's app is taken for one of yours.
    pub fn any_app(self) -> ReceiverBuilder {
        ReceiverBuilder::new(Apps::Any)
    }
}

/// Builds a [`Receiver`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct ReceiverBuilder {
    receiver: Receiver,
    /// Whether the receiver's memory was chosen, or is the default one, which is made for the window.
    has_memory: bool,
}

impl ReceiverBuilder {
    fn new(apps: Apps) -> Self {
        let receiver = Receiver {
            keys: Vec::new(),
            #[cfg(feature = "rsa")]
            rsa: None,
            apps,
            locations: Locations::All,
            deduplicate: Arc::new(InMemory::new()),
            oldest: Duration::from_secs(2 * 60 * 60),
            furthest_ahead: Duration::from_secs(5 * 60),
            body_limit: 1024 * 1024,
        };
        Self { receiver, has_memory: false }
    }

    /// A key to verify with, in place of HighLevel's published one. Can be called several times; to keep the
    /// published key beside others, add [`PublicKey::published`].
    pub fn key(mut self, key: PublicKey) -> Self {
        self.receiver.keys.push(key);
        self
    }

    /// Accepts the older signature, RSA in `X-WH-Signature`, when there is no `X-GHL-Signature` and `now` is before
    /// `until`. HighLevel has announced to stop sending it on 1 September 2026.
    #[cfg(feature = "rsa")]
    pub fn accept_rsa_until(mut self, key: RsaPublicKey, until: SystemTime) -> Self {
        self.receiver.rsa = Some(Rsa { key, until });
        self
    }

    /// Only the events of these locations; those of all unless told. An event that names no location, as an install
    /// on a whole agency, is refused.
    pub fn locations<L: Into<LocationId>>(mut self, locations: impl IntoIterator<Item = L>) -> Self {
        self.receiver.locations = Locations::These(locations.into_iter().map(Into::into).collect());
        self
    }

    /// Only the events of locations that `takes` answers with true, asked for each event; it gets `None` for an event
    /// that names no location.
    pub fn locations_where(
        mut self,
        takes: impl Fn(Option<&LocationId>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.receiver.locations = Locations::Where(Arc::new(takes));
        self
    }

    /// Where it is remembered which events were handled. Unless told, an [`InMemory`] for 24 hours, or for as long as an
    /// event stays in the [`window`](Self::window) if that is longer.
    pub fn deduplicate(mut self, store: impl Deduplicate + 'static) -> Self {
        self.receiver.deduplicate = Arc::new(store);
        self.has_memory = true;
        self
    }

    /// Events that come again are taken again: for handlers that know what they have done by [`Verified::id`], in the
    /// transaction that does the work. An id that is not [unique](EventId::is_unique) has to be handled again.
    pub fn deduplicate_elsewhere(self) -> Self {
        self.deduplicate(Elsewhere)
    }

    /// How old an event may be (2 hours by default), and how far ahead its timestamp may be (5 minutes).
    ///
    /// What a person resends from HighLevel's dashboard keeps its first timestamp: to take it, the window has to be as
    /// wide as the resend is late. An [`InMemory`] of your own has to remember for as long.
    pub fn window(mut self, oldest: Duration, furthest_ahead: Duration) -> Self {
        self.receiver.oldest = oldest;
        self.receiver.furthest_ahead = furthest_ahead;
        self
    }

    /// The longest body that is read, in bytes: 1 MiB by default.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.receiver.body_limit = bytes;
        self
    }

    /// Builds the receiver.
    pub fn build(self) -> Receiver {
        let Self { mut receiver, has_memory } = self;
        if receiver.keys.is_empty() {
            receiver.keys.push(PublicKey::published());
        }
        if !has_memory {
            // From the first moment at which an event is taken to the last.
            let window = receiver.oldest.saturating_add(receiver.furthest_ahead);
            receiver.deduplicate = Arc::new(InMemory::new().retention(window.max(InMemory::RETENTION)));
        }
        receiver
    }
}

/// The apps whose events are taken.
#[derive(Debug, Clone)]
enum Apps {
    Any,
    Only(AppId),
    IfNamed(AppId),
}

type LocationChoice = dyn Fn(Option<&LocationId>) -> bool + Send + Sync;

/// The locations whose events are taken.
#[derive(Clone)]
enum Locations {
    All,
    These(Vec<LocationId>),
    Where(Arc<LocationChoice>),
}

impl Locations {
    fn take(&self, location: Option<&str>) -> bool {
        match self {
            Self::All => true,
            Self::These(locations) => {
                location.is_some_and(|location| locations.iter().any(|one| one.as_str() == location))
            }
            Self::Where(takes) => takes(location.map(LocationId::from).as_ref()),
        }
    }
}

impl fmt::Debug for Locations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("All"),
            Self::These(locations) => f.debug_list().entries(locations).finish(),
            Self::Where(_) => f.write_str("Where(…)"),
        }
    }
}

/// Something that HighLevel signed, for this receiver. Nothing but [`Receiver::receive`] makes one.
///
/// It is also the right to handle the event. Call [`commit`](Self::commit) when that is done, and answer 200: the
/// event is a duplicate from then on. When the last clone is dropped without (the handler failed, panicked or was
/// cancelled), answer 429: the event is taken again when it is delivered again.
#[derive(Debug, Clone)]
#[must_use = "dropped without `commit`, the event is taken again when it is delivered again"]
pub struct Verified<T> {
    value: T,
    key_id: String,
    body: Bytes,
    claim: Arc<Claim>,
}

impl<T> Verified<T> {
    /// The event.
    pub fn event(&self) -> &T {
        &self.value
    }

    /// The event was handled: further deliveries of it are duplicates, if they can be told from further events of its
    /// kind ([`EventId::is_unique`]).
    pub fn commit(&self) {
        self.claim.commit();
    }

    /// By what further deliveries of the event are recognised.
    pub fn id(&self) -> &EventId {
        self.claim.id()
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
