//! Builds a receiver.

use std::sync::Arc;
use std::time::Duration;
#[cfg(feature = "rsa")]
use std::time::SystemTime;

use super::deduplicator::Deduplicator;
use super::filter::{AcceptedApps, Locations};
use super::in_memory::InMemoryDeduplicator;
use super::key::PublicKey;
use super::receiver::Receiver;
#[cfg(feature = "rsa")]
use super::rsa::{Rsa, RsaPublicKey};
use super::window::AgeWindow;
use crate::{AppId, LocationId};

impl Receiver {
    /// Starts building a receiver. The first choice is the app whose events it accepts.
    pub fn builder() -> NeedsApp {
        NeedsApp(())
    }
}

/// A receiver that needs to know the app whose events it accepts.
#[derive(Debug)]
#[must_use = "choose with `.app_id(..)`, `.app_id_if_present(..)` or `.any_app()`"]
pub struct NeedsApp(());

impl NeedsApp {
    /// Accepts events of this app only. HighLevel signs the events of all apps with the same key.
    pub fn app_id(self, app: impl Into<AppId>) -> ReceiverBuilder {
        ReceiverBuilder::new(AcceptedApps::Only(app.into()))
    }

    /// Accepts events of this app, and events without an `appId`: for the delivery URL of a conversation provider,
    /// whose events need not have one. Rejects events of other apps.
    pub fn app_id_if_present(self, app: impl Into<AppId>) -> ReceiverBuilder {
        ReceiverBuilder::new(AcceptedApps::IfPresent(app.into()))
    }

    /// Accepts events of any app, including genuine events of apps that are not yours.
    pub fn any_app(self) -> ReceiverBuilder {
        ReceiverBuilder::new(AcceptedApps::Any)
    }
}

/// Implemented for no type: explains why [`NeedsApp`] cannot be built.
#[diagnostic::on_unimplemented(
    message = "the receiver does not know the app whose events it accepts",
    label = "call `.app_id(..)`, `.app_id_if_present(..)` or `.any_app()` before `.build()`"
)]
pub trait HasApp<'a> {}

impl NeedsApp {
    /// Cannot be called before an app is chosen.
    ///
    /// ```compile_fail,E0277
    /// highlevel::webhook::Receiver::builder().build();
    /// ```
    #[doc(hidden)]
    pub fn build(self) -> Receiver
    where
        // The lifetime defers the check of the bound to the caller.
        for<'a> Self: HasApp<'a>,
    {
        self.any_app().receiver
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
    fn new(apps: AcceptedApps) -> Self {
        let receiver = Receiver {
            keys: Vec::new(),
            #[cfg(feature = "rsa")]
            rsa: None,
            apps,
            locations: Locations::All,
            deduplicator: None,
            window: AgeWindow::default(),
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

    /// Accepts events of these locations only. Defaults to all. An event without a `locationId`, such as an install on
    /// a whole agency, is rejected.
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

    /// Turns deduplication off, so that redelivered events are accepted: for handlers that deduplicate by
    /// [`Verified::id`](super::Verified::id) in the transaction that does the work. An event whose id is not
    /// [unique](super::EventId::is_unique) has to be handled each time.
    pub fn without_deduplication(mut self) -> Self {
        self.receiver.deduplicator = None;
        self.is_deduplicator_chosen = true;
        self
    }

    /// Sets how old an event may be (defaults to 2 hours), and how far ahead its timestamp may be (defaults to 5
    /// minutes).
    ///
    /// An event that a person resends from HighLevel's dashboard has its first timestamp: to accept it, the window has
    /// to be as wide as the resend is late.
    pub fn window(mut self, oldest: Duration, furthest_ahead: Duration) -> Self {
        self.receiver.window = AgeWindow { oldest, furthest_ahead };
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
            deduplicator.retain_at_least(receiver.window.length());
        }
        receiver
    }
}
