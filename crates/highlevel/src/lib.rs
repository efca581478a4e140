//! Send messages, record calls and receive webhooks with HighLevel (GoHighLevel).
//!
//! ```no_run
//! # async fn example(contact: highlevel::ContactId) -> Result<(), Box<dyn std::error::Error>> {
//! use highlevel::{Client, Email, Sms};
//!
//! let client = Client::builder().token(std::env::var("HIGHLEVEL_TOKEN")?).build()?;
//!
//! let sent = client.messages().send(Sms::to(&contact).text("Your table is ready")).await?;
//! println!("{} in {}", sent.message_id(), sent.conversation_id());
//!
//! client.messages().send(
//!     Email::to(&contact).subject("Order confirmed").html("<p>Thank you!</p>").cc(["ops@example.com"]),
//! ).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Where to look
//!
//! - [`Client`], built by [`Client::builder`]; cheap to clone, shares its connections.
//! - [`Client::messages`]: [send](Messages::send) a message ([`Sms`], [`Email`], [`WhatsApp`], …), or
//!   [add](Messages::add_inbound) one that came in elsewhere ([`Inbound`]).
//! - [`Client::calls`]: [add](Calls::add_outbound) a call that was made elsewhere ([`OutboundCall`]).
//! - [`Error`], and above all [`Error::delivery`]: what is known after a failure.
//! - [`webhook`]: raw body and headers in, a verified event out.
//! - [`limit`]: rate limits, within one process or shared by several.
//! - [`auth`]: apps that are installed on many locations, their tokens, and where those are kept.
//! - `blocking`, with the feature of that name: the same client for programs without an async runtime.
//! - [`wire`]: the generated types and operations below all this.
//!
//! # What this library does not do
//!
//! It never resends a message whose fate it does not know: HighLevel has no idempotency key, so a resend may be a
//! second message. It follows no redirects, reads no answer beyond 1 MiB, and sets no process-wide state.
//!
//! # TLS
//!
//! rustls with ring, and the certificates of the platform. The features `aws-lc` and `native-tls` compile in another
//! implementation, which is used if [`Tls`] names it or if ring is not compiled in;
//! [`http_client`](TransportBuilder::http_client) configures any other.
//!
//! HTTP/2 is used where the server offers it by ALPN (feature `http2`, on by default);
//! [`http1_only`](TransportBuilder::http1_only) turns it off.

pub mod auth;
#[cfg(feature = "blocking")]
pub mod blocking;
mod calls;

mod classify;
mod client;
#[cfg(feature = "testing")]
mod conformance;
mod connection;
mod delivery;
mod error;
mod executor;
mod headers;
mod lenient;
pub mod limit;
mod messages;
mod operations;
mod panics;
mod path;
mod receipt;
mod reconcile;
mod redact;
mod request;
mod retry;
mod time;
mod token;
mod transport;
mod unauthorized;
mod validate;
pub mod webhook;

pub use calls::{Calls, OutboundCall};
pub use client::{Client, ClientBuilder};
pub use delivery::Delivery;
pub use error::{Error, ErrorKind, Result};
pub use limit::{LocalRateLimiter, RateLimitHeaders, RateLimiter};
pub use messages::{
    Addressed, Custom, Email, Facebook, Inbound, Instagram, InternalComment, LiveChat, Messages, Rcs, Sms,
    TikTok, Unaddressed, WhatsApp, inbound,
};
pub use path::RequestPath;
pub use receipt::Receipt;
pub use reconcile::{Fingerprint, Fingerprintable, ObservedMessage, Reconciliation};
pub use request::Request;
pub use reqwest::Method;
pub use retry::RetryPolicy;
pub use secrecy::SecretString;
pub use token::{TokenResult, TokenSource};
pub use transport::{Tls, Transport, TransportBuilder};

pub use highlevel_wire::Timestamp;
pub use highlevel_wire::types::{
    AltId, ApiVersion, AppId, AppointmentId, CallStatus, CompanyId, ContactId, ConversationId,
    ConversationProviderId, Direction, EmailMessageId, EmailReplyMode, LocationId, MessageId,
    OptimizationPeriod, SendStatus, TemplateId, ThreadId, UserId,
};

/// The generated types and operations, for what the constructors of this crate do not cover.
///
/// `client.messages().send(…)` and its siblings accept the request types of [`wire::types`] as well.
pub mod wire {
    pub use highlevel_wire::{Client, ClientInfo, Error, ResponseValue, types};
    pub use highlevel_wire::{End, Gate, RawResponse, RequestContext, RequestSettings, RequestTrace};
}
