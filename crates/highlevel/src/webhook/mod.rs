//! Webhooks: raw body and headers in, a verified event out.
//!
//! ```
//! # fn example(headers: http::HeaderMap, body: bytes::Bytes) -> Result<(), highlevel::webhook::WebhookError> {
//! use std::time::SystemTime;
//! use highlevel::webhook::{Event, Receiver};
//!
//! let receiver = Receiver::builder().app_id("665c6bb13d4e5364bdec0e2f").build();
//!
//! // In the handler of your HTTP server: the headers, and the body exactly as it came.
//! let verified = receiver.receive(&headers, body, SystemTime::now())?;
//! match verified.event() {
//!     Event::OutboundMessage(message) => println!("sent: {:?}", message.body),
//!     Event::InboundMessage(message) => println!("received: {:?}", message.body),
//!     other => println!("{}", other.name()),
//! }
//! // It was handled: delivered again, it is a duplicate. Dropped without, it is taken again.
//! verified.commit();
//! # Ok(())
//! # }
//! ```
//!
//! What is not verified cannot be reached: [`Verified`] has no other constructor, there is no switch that turns
//! verification off, and parsed JSON is not accepted, because its signature cannot be checked any more.
//!
//! The guide is `docs/webhooks.md` in the repository: servers other than axum, proxies, several machines, keys, tests.
//!
//! # What is checked, in this order
//!
//! 1. The body is at most 1 MiB long.
//! 2. There is exactly one `X-GHL-Signature`, the standard base64 of an Ed25519 signature. HighLevel writes `N/A` for
//!    an event without one; that is refused like any other.
//! 3. The signature is of the raw body, by one of the keys; HighLevel's published key unless others are given.
//! 4. The body is a JSON object. Of fields with the same name the last one counts.
//! 5. The event is for your app. HighLevel signs the events of all apps with one key, so the signature of an event
//!    for somebody else's app is genuine as well.
//! 6. The event is of a location that is taken; all are unless some are chosen.
//! 7. The timestamp, where the event has one, is at most 2 hours old and at most 5 minutes ahead. HighLevel delivers
//!    an event up to 12 times with its original timestamp, so a window of minutes would lose genuine events. A timestamp
//!    that is there and no point in time is refused.
//! 8. It is an event that can be read, and neither handled already nor being handled ([`EventId`] says how that is
//!    known). HighLevel delivers again what is not answered with a 2xx.

#[cfg(feature = "axum")]
pub mod axum;
mod content;
mod deduplicate;
mod error;
mod event;
mod key;
mod receiver;
#[cfg(feature = "rsa")]
mod rsa;
mod signature;
#[cfg(feature = "testing")]
pub mod testing;

pub use content::{
    CallContent, CallOutcome, Content, EmailContent, MessageEvent, TextContent, VoicemailContent,
};
pub use deduplicate::{Claimed, Deduplicate, EventId, InMemory};
pub use error::{WebhookError, WebhookErrorKind};
pub use event::Event;
pub use key::{InvalidKey, PublicKey};
pub use receiver::{AppChoice, Receiver, ReceiverBuilder, Verified};
#[cfg(feature = "rsa")]
pub use rsa::RsaPublicKey;
