//! Receives webhooks: verifies, decodes and deduplicates events.
//!
//! ```
//! # async fn example(headers: http::HeaderMap, body: bytes::Bytes) -> Result<(), highlevel::webhook::WebhookError> {
//! use std::time::SystemTime;
//! use highlevel::webhook::{Event, Receiver};
//!
//! let receiver = Receiver::builder().app_id("665c6bb13d4e5364bdec0e2f").build();
//!
//! // In the handler of your HTTP server: the headers, and the body exactly as it arrived.
//! let received = receiver.receive(&headers, body, SystemTime::now()).await?;
//! match received.event() {
//!     Event::OutboundMessage(message) => println!("sent: {:?}", message.body),
//!     Event::InboundMessage(message) => println!("received: {:?}", message.body),
//!     other => println!("{}", other.name()),
//! }
//! // From here on, redeliveries are duplicates. Without a commit, the next delivery is accepted.
//! received.commit().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Handlers receive verified events only: [`Verified`] has no other constructor, no switch turns verification off, and
//! parsed JSON is not accepted, because its signature can no longer be checked.
//!
//! The guide is `docs/webhooks.md` in the repository: servers other than axum, proxies, several machines, keys, tests.
//!
//! # Checks, in this order
//!
//! 1. The body is at most 1 MiB long.
//! 2. There is exactly one `X-GHL-Signature`, the standard base64 of an Ed25519 signature. HighLevel writes `N/A` for
//!    an event without one; that is rejected like any other value.
//! 3. The signature is of the raw body, by one of the keys. Defaults to HighLevel's published key.
//! 4. The body is a JSON object. Of fields with the same name the last one counts.
//! 5. The event is for your app. HighLevel signs the events of all apps with one key, so the signature of an event
//!    for another app is genuine as well.
//! 6. The event is of an accepted location. Defaults to all.
//! 7. The timestamp, where the event has one, is at most 2 hours old and at most 5 minutes ahead. HighLevel delivers
//!    an event up to 12 times with its original timestamp, so a window of minutes would lose genuine events. A
//!    malformed timestamp is rejected.
//! 8. The event can be decoded.
//! 9. The event is neither handled already nor in progress ([`EventId`] identifies it). HighLevel redelivers an event
//!    until a response is a 2xx.

#[cfg(feature = "axum")]
pub mod axum;
mod builder;
mod call;
mod claim;
#[cfg(feature = "testing")]
pub mod conformance;
mod content;
mod decode;
mod deduplicator;
mod envelope;
mod error;
mod event;
mod event_id;
mod filter;
mod form;
mod in_memory;
mod key;
mod kind;
mod message_event;
mod multiples;
mod one_pass;
mod receiver;
#[cfg(feature = "rsa")]
mod rsa;
mod signature;
#[cfg(feature = "testing")]
pub mod testing;
mod verified;
mod verifier;
mod window;

pub use builder::{NeedsApp, ReceiverBuilder};
pub use call::CallOutcome;
pub use content::{
    Attachment, CallContent, Content, EmailContent, InternalCommentContent, TextContent, VoicemailContent,
};
pub use deduplicator::{
    Claim, ClaimToken, CommitResult, Deduplicator, DeduplicatorError, DeduplicatorFuture,
};
pub use error::{WebhookError, WebhookErrorKind};
pub use event::Event;
pub use event_id::EventId;
pub use in_memory::{InMemoryDeduplicator, OnFull};
pub use key::{InvalidKey, PublicKey};
pub use message_event::MessageEvent;
pub use receiver::Receiver;
#[cfg(feature = "rsa")]
pub use rsa::RsaPublicKey;
pub use verified::{ReceivedEvent, Verified};
