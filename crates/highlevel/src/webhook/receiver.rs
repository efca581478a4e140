//! The receiver: every check that an event has to pass.

use std::fmt;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value};

use highlevel_wire::Timestamp;

use super::claim::{self, ClaimGuard, panic_text};
use super::deduplicator::Deduplicator;
use super::error::{WebhookError, WebhookErrorKind};
use super::event::Kind;
#[cfg(feature = "rsa")]
use super::rsa::{Rsa, RsaPublicKey};
use super::{Event, EventId, InMemoryDeduplicator, PublicKey, signature};
use crate::{AppId, LocationId};

/// Verifies, decodes and deduplicates events.
///
/// Cheap to clone; clones share the deduplicator. Reads no clock: the time is an argument.
#[derive(Clone)]
pub struct Receiver {
    keys: Vec<PublicKey>,
    #[cfg(feature = "rsa")]
    rsa: Option<Rsa>,
    apps: Apps,
    locations: Locations,
    deduplicator: Option<Arc<dyn Deduplicator>>,
    oldest: Duration,
    furthest_ahead: Duration,
    body_limit: usize,
}

impl Receiver {
    /// Starts building a receiver. The first choice is the app whose events it accepts.
    pub fn builder() -> NeedsApp {
        NeedsApp(())
    }

    /// Verifies an event, and claims it for the caller.
    ///
    /// `headers` and `body` are the request's, the body exactly as it arrived; `now` is the current time.
    ///
    /// Dropping the future leaves no claim behind.
    ///
    /// # Errors
    ///
    /// Returns the error of the first check that fails, in the order that the [module](super) lists. Respond with its
    /// [`status`](WebhookError::status).
    pub async fn receive(
        &self,
        headers: &HeaderMap,
        body: impl Into<Bytes>,
        now: SystemTime,
    ) -> Result<ReceivedEvent, WebhookError> {
        let event = self.verify(headers, body, now)?;
        let claim = match &self.deduplicator {
            Some(deduplicator) => claim::begin(deduplicator, &event.id, now).await?,
            None => ClaimGuard::none(),
        };
        Ok(ReceivedEvent { event, claim })
    }

    /// Verifies an event without deduplicating it.
    ///
    /// For programs that deduplicate by [`Verified::id`] in the transaction that handles the event, and for an event
    /// whose bytes were stored. Does no I/O, and does not use the deduplicator: a redelivered event is returned again.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`receive`](Self::receive), except those of the deduplicator.
    pub fn verify(
        &self,
        headers: &HeaderMap,
        body: impl Into<Bytes>,
        now: SystemTime,
    ) -> Result<Verified<Event>, WebhookError> {
        let body = body.into();
        if body.len() > self.body_limit {
            return Err(WebhookError::new(
                WebhookErrorKind::TooLarge,
                format!("body of {} bytes exceeds the limit of {}", body.len(), self.body_limit),
            ));
        }
        let key_id = self.verify_signature(headers, &body, now)?.to_owned();
        let json: Map<String, Value> = serde_json::from_slice(&body).map_err(|error| {
            WebhookError::new(
                WebhookErrorKind::Malformed,
                format!("the signature is genuine, but the body is not a JSON object: {error}"),
            )
        })?;
        self.check_app(&json)?;
        self.check_location(&json)?;
        self.check_time(&json, now)?;
        // Read the fields of the envelope before the event takes them.
        let kind = Kind::of(&json)?;
        let id = EventId::of(&json, &kind, &body);
        let event = Event::read(kind, json, &body)?;
        Ok(Verified { value: event, id, key_id, body })
    }

    /// Returns the length of the longest body that is accepted, in bytes.
    pub fn body_limit(&self) -> usize {
        self.body_limit
    }

    /// Returns the name of the key that verifies the body. If the Ed25519 header is present in any form, it alone
    /// decides.
    fn verify_signature(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: SystemTime,
    ) -> Result<&str, WebhookError> {
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

    fn check_location(&self, json: &Map<String, Value>) -> Result<(), WebhookError> {
        let location = json.get("locationId").and_then(Value::as_str);
        match catch_unwind(AssertUnwindSafe(|| self.locations.accept(location))) {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(panic) => {
                let cause = format!("`locations_where` panicked: {}", panic_text(panic.as_ref()));
                let text = "the location of the event could not be checked: respond with 429, and HighLevel redelivers it";
                return Err(WebhookError::new(WebhookErrorKind::Unavailable, text).with_source(cause.into()));
            }
        }
        let text = match location {
            Some(location) => {
                format!("location {} is not one of those that the receiver accepts", location.escape_debug())
            }
            None => "the event has no `locationId`; to accept such events, build the receiver with \
                     `.locations_where(..)`"
                .to_owned(),
        };
        Err(WebhookError::new(WebhookErrorKind::OtherLocation, text))
    }

    fn check_app(&self, json: &Map<String, Value>) -> Result<(), WebhookError> {
        let (expected, is_required) = match &self.apps {
            Apps::Any => return Ok(()),
            Apps::Only(app) => (app, true),
            Apps::IfPresent(app) => (app, false),
        };
        let text = match json.get("appId") {
            Some(Value::String(found)) if found == expected.as_str() => return Ok(()),
            None | Some(Value::Null) if !is_required => return Ok(()),
            Some(Value::String(found)) => format!(
                "the event is for app {}, not {}; check that it is the app id of the marketplace, without a suffix",
                found.escape_debug(),
                expected.as_str().escape_debug()
            ),
            None | Some(Value::Null) => {
                "the event has no `appId`; for the delivery URL of a conversation provider, \
                                         build the receiver with `.app_id_if_present(..)`"
                    .to_owned()
            }
            Some(_) => "`appId` is not a string".to_owned(),
        };
        Err(WebhookError::new(WebhookErrorKind::OtherApp, text))
    }

    fn check_time(&self, json: &Map<String, Value>, now: SystemTime) -> Result<(), WebhookError> {
        let text = match json.get("timestamp") {
            // HighLevel does not put a timestamp on every event, and the signature is genuine.
            None | Some(Value::Null) => return Ok(()),
            Some(Value::String(text)) => text,
            // A malformed timestamp must not be a way around the window.
            Some(_) => {
                return Err(WebhookError::new(WebhookErrorKind::Malformed, "/timestamp is not a string"));
            }
        };
        let time =
            text.parse::<Timestamp>().ok().and_then(|time| time.to_system_time()).ok_or_else(|| {
                WebhookError::new(
                    WebhookErrorKind::Malformed,
                    format!("/timestamp is `{}`, which is not a point in time", text.escape_debug()),
                )
            })?;
        let is_more = |span: Result<Duration, _>, limit| span.is_ok_and(|span| span > limit);
        let (kind, text) = if is_more(now.duration_since(time), self.oldest) {
            let limit = self.oldest.as_secs();
            let text = format!(
                "event timestamp {text} is older than the {limit} s window; check the system clock, or widen it with \
                 `.window(..)` for events that are resent by hand"
            );
            (WebhookErrorKind::Stale, text)
        } else if is_more(time.duration_since(now), self.furthest_ahead) {
            let limit = self.furthest_ahead.as_secs();
            let text = format!(
                "event timestamp {text} is more than {limit} s ahead; check the system clock, and respond with 429 so \
                 that HighLevel redelivers it"
            );
            (WebhookErrorKind::Future, text)
        } else {
            return Ok(());
        };
        Err(WebhookError::new(kind, text))
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Receiver");
        debug.field("keys", &self.keys);
        #[cfg(feature = "rsa")]
        debug.field("rsa", &self.rsa);
        debug
            .field("apps", &self.apps)
            .field("locations", &self.locations)
            .field("oldest", &self.oldest)
            .field("furthest_ahead", &self.furthest_ahead)
            .field("body_limit", &self.body_limit)
            .finish_non_exhaustive()
    }
}

/// A receiver that needs to know the app whose events it accepts.
#[derive(Debug)]
#[must_use = "choose with `.app_id(..)`, `.app_id_if_present(..)` or `.any_app()`"]
pub struct NeedsApp(());

impl NeedsApp {
    /// Accepts events of this app only. HighLevel signs the events of all apps with the same key.
    pub fn app_id(self, app: impl Into<AppId>) -> ReceiverBuilder {
        ReceiverBuilder::new(Apps::Only(app.into()))
    }

    /// Accepts events of this app, and events without an `appId`: for the delivery URL of a conversation provider,
    /// whose events need not have one. Rejects events of other apps.
    pub fn app_id_if_present(self, app: impl Into<AppId>) -> ReceiverBuilder {
        ReceiverBuilder::new(Apps::IfPresent(app.into()))
    }

    /// Accepts events of any app, including genuine events of apps that are not yours.
    pub fn any_app(self) -> ReceiverBuilder {
        ReceiverBuilder::new(Apps::Any)
    }
}

/// Builds a [`Receiver`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct ReceiverBuilder {
    receiver: Receiver,
    /// `false` until the caller has chosen how events are deduplicated.
    is_deduplicator_chosen: bool,
}

impl ReceiverBuilder {
    fn new(apps: Apps) -> Self {
        let receiver = Receiver {
            keys: Vec::new(),
            #[cfg(feature = "rsa")]
            rsa: None,
            apps,
            locations: Locations::All,
            deduplicator: None,
            oldest: Duration::from_secs(2 * 60 * 60),
            furthest_ahead: Duration::from_secs(5 * 60),
            body_limit: 1024 * 1024,
        };
        Self { receiver, is_deduplicator_chosen: false }
    }

    /// Adds a key to verify with, instead of HighLevel's published key. Can be called several times; to accept the
    /// published key as well, add [`PublicKey::published`].
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

    /// Accepts events of these locations only. Defaults to all. An event without a `locationId`, such as an install on a
    /// whole agency, is rejected.
    pub fn locations<L: Into<LocationId>>(mut self, locations: impl IntoIterator<Item = L>) -> Self {
        self.receiver.locations = Locations::These(locations.into_iter().map(Into::into).collect());
        self
    }

    /// Accepts events of locations for which `accepts` returns `true`. It is called for each event, with `None` for an
    /// event without a `locationId`. If it panics, the event is rejected with 429, and HighLevel redelivers it.
    pub fn locations_where(
        mut self,
        accepts: impl Fn(Option<&LocationId>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.receiver.locations = Locations::Where(Arc::new(accepts));
        self
    }

    /// Sets the deduplicator. Defaults to an [`InMemoryDeduplicator`]. To share one among receivers, pass a clone of an
    /// `Arc`.
    ///
    /// The receiver requires it to retain events for as long as the [`window`](Self::window) accepts them.
    pub fn deduplicator(mut self, deduplicator: impl Deduplicator + 'static) -> Self {
        self.receiver.deduplicator = Some(Arc::new(deduplicator));
        self.is_deduplicator_chosen = true;
        self
    }

    /// Accepts redelivered events again: for handlers that deduplicate by [`Verified::id`] in the transaction that does
    /// the work. An event whose id is not [unique](EventId::is_unique) has to be handled each time.
    pub fn without_deduplication(mut self) -> Self {
        self.receiver.deduplicator = None;
        self.is_deduplicator_chosen = true;
        self
    }

    /// Sets how old an event may be (defaults to 2 hours), and how far ahead its timestamp may be (defaults to 5
    /// minutes).
    ///
    /// An event that a person resends from HighLevel's dashboard keeps its first timestamp: to accept it, the window has
    /// to be as wide as the resend is late.
    pub fn window(mut self, oldest: Duration, furthest_ahead: Duration) -> Self {
        self.receiver.oldest = oldest;
        self.receiver.furthest_ahead = furthest_ahead;
        self
    }

    /// Sets the length of the longest body that is accepted, in bytes. Defaults to 1 MiB.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.receiver.body_limit = bytes;
        self
    }

    /// Builds the receiver.
    pub fn build(self) -> Receiver {
        let Self { mut receiver, is_deduplicator_chosen } = self;
        if receiver.keys.is_empty() {
            receiver.keys.push(PublicKey::published());
        }
        if !is_deduplicator_chosen {
            receiver.deduplicator = Some(Arc::new(InMemoryDeduplicator::new()));
        }
        if let Some(deduplicator) = &receiver.deduplicator {
            // From the first moment at which an event is accepted to the last.
            deduplicator.retain_at_least(receiver.oldest.saturating_add(receiver.furthest_ahead));
        }
        receiver
    }
}

/// The apps whose events are accepted.
#[derive(Debug, Clone)]
enum Apps {
    Any,
    Only(AppId),
    IfPresent(AppId),
}

type LocationPredicate = dyn Fn(Option<&LocationId>) -> bool + Send + Sync;

/// The locations whose events are accepted.
#[derive(Clone)]
enum Locations {
    All,
    These(Vec<LocationId>),
    Where(Arc<LocationPredicate>),
}

impl Locations {
    fn accept(&self, location: Option<&str>) -> bool {
        match self {
            Self::All => true,
            Self::These(locations) => {
                location.is_some_and(|location| locations.iter().any(|one| one.as_str() == location))
            }
            Self::Where(accepts) => accepts(location.map(LocationId::from).as_ref()),
        }
    }
}

impl fmt::Debug for Locations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("All"),
            Self::These(locations) => f.debug_list().entries(locations).finish(),
            Self::Where(_) => f.write_str("Where(..)"),
        }
    }
}

/// A value that HighLevel signed for this receiver.
///
/// Only [`Receiver::verify`] and [`Receiver::receive`] create one. It dereferences to the event, which it is.
#[derive(Debug, Clone)]
pub struct Verified<T> {
    value: T,
    id: EventId,
    key_id: String,
    body: Bytes,
}

impl<T> Verified<T> {
    /// Returns the event.
    pub fn event(&self) -> &T {
        &self.value
    }

    /// Returns the id that all deliveries of the event have.
    pub fn id(&self) -> &EventId {
        &self.id
    }

    /// Returns the name of the key that verified the event.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Returns the body as it arrived.
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

/// A verified event, and the claim to handle it. It dereferences to the [`Verified`] event.
///
/// Call [`commit`](Self::commit) once the event is handled, and respond with 200 if that succeeds: redeliveries are
/// duplicates from then on. If the event is dropped without a commit (the handler failed, panicked or was cancelled), the
/// claim is aborted; respond with 429, and the redelivered event is accepted.
#[derive(Debug)]
#[must_use = "call `commit` once the event is handled; otherwise the next delivery is processed again"]
pub struct ReceivedEvent {
    event: Verified<Event>,
    claim: ClaimGuard,
}

impl ReceivedEvent {
    /// Records that the event was handled: redeliveries of it are duplicates, unless its id is not
    /// [unique](EventId::is_unique).
    ///
    /// Once polled, the commit is finished as a task of the tokio runtime even if this future is dropped, so that a
    /// client that disconnects does not undo it.
    ///
    /// # Errors
    ///
    /// Returns an error with the status 429 if the event is not recorded as handled, so HighLevel has to redeliver it:
    /// [`Unavailable`](WebhookErrorKind::Unavailable) if the deduplicator failed, and
    /// [`ClaimLost`](WebhookErrorKind::ClaimLost) if the handler took longer than the deduplicator's timeout, so that
    /// another delivery may have been handled. A transaction that has not been committed yet should be rolled back.
    pub async fn commit(self) -> Result<(), WebhookError> {
        self.claim.commit().await
    }

    /// Ends the claim without a commit, and waits until the deduplicator has done so.
    ///
    /// Dropping the event does the same without waiting.
    pub async fn abort(self) {
        self.claim.abort().await;
    }

    /// Separates the event from its claim, for the layer that commits in place of the handler.
    #[cfg(feature = "axum")]
    pub(super) fn into_parts(self) -> (Verified<Event>, ClaimGuard) {
        (self.event, self.claim)
    }
}

impl Deref for ReceivedEvent {
    type Target = Verified<Event>;

    fn deref(&self) -> &Verified<Event> {
        &self.event
    }
}
