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
//! # Ok(())
//! # }
//! ```
//!
//! What is not verified cannot be reached: [`Verified`] has no other constructor, there is no switch that turns
//! verification off, and parsed JSON is not accepted, because its signature cannot be checked any more.
//!
//! # What is checked, in this order
//!
//! 1. The body is at most 1 MiB long.
//! 2. There is exactly one `X-GHL-Signature`, the standard base64 of an Ed25519 signature. HighLevel writes `N/A` for
//!    an event without one; that is refused like any other.
//! 3. The signature is of the raw body, by one of the keys; HighLevel's published key unless others are given.
//! 4. The body is a JSON object.
//! 5. The event is for your app. HighLevel signs the events of all apps with one key, so the signature of an event
//!    for somebody else's app is genuine as well.
//! 6. The timestamp, where the event has one, is at most 2 hours old and at most 5 minutes ahead. HighLevel delivers
//!    an event up to 12 times with its original timestamp, so a window of minutes would lose genuine events.

mod error;
mod event;
mod key;
mod receiver;
mod signature;

pub use error::{WebhookError, WebhookErrorKind};
pub use event::Event;
pub use key::{InvalidKey, PublicKey};
pub use receiver::{AppChoice, Receiver, ReceiverBuilder, Verified};
