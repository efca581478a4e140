//! A client for the conversations API of HighLevel (GoHighLevel): send messages, record calls, and receive webhooks.
//!
//! # Install
//!
//! ```sh
//! cargo add highlevel
//! cargo add tokio --features macros,rt-multi-thread
//! ```
//!
//! ```no_run
//! use highlevel::{Client, Email, Sms};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let client = Client::builder().token(std::env::var("HIGHLEVEL_TOKEN")?).build()?;
//!     let contact = std::env::var("HIGHLEVEL_CONTACT_ID")?;
//!
//!     let sent = client.messages().send(Sms::to(&contact).text("Your table is ready")).await?;
//!     println!("{} in {}", sent.message_id(), sent.conversation_id());
//!
//!     let email = Email::to(&contact).subject("Order confirmed").html("<p>Thank you!</p>");
//!     client.messages().send(email.cc(["ops@example.com"])).await?;
//!     Ok(())
//! }
//! ```
//!
//! # Operations
//!
//! | operation | entry point | input |
//! |---|---|---|
//! | send a message | [`Messages::send`] | [`Sms`], [`Email`], [`WhatsApp`], [`Rcs`], [`Instagram`], [`Facebook`], [`TikTok`], [`LiveChat`], [`Custom`], [`InternalComment`] |
//! | add a message of another system | [`Messages::add_inbound`] | [`Inbound`] |
//! | add a call of another system | [`Calls::add_outbound`] | [`OutboundCall`] |
//! | read the recording and the transcription of a call | [`Calls::recording`], [`Calls::transcription`] | an id |
//! | upload files | [`Files::upload`] | [`Upload`] |
//! | find, create and change contacts | [`Client::contacts`] | [`Contact`], [`ContactUpdate`], [`ContactKey`], [`ContactSearch`] |
//! | find, create and change conversations | [`Client::conversations`] | [`ConversationSearch`], ids |
//! | read, list and export messages | [`Messages::get`], [`Messages::list`], [`Messages::export`] | ids, [`MessageExport`] |
//! | report the delivery of a message | [`Messages::set_status`], [`Messages::set_email_status`] | [`Status`], [`EmailProgress`] |
//! | change a message | [`Messages::cancel`], [`Messages::set_attachments`] | ids, URLs |
//! | any other endpoint | [`Client::request`] | a method, a path and JSON |
//! | find out whether a message was sent | [`Client::find`], [`Error::find`] | a [`Fingerprint`] |
//! | receive a webhook | [`webhook::Receiver`] | the raw body and the headers |
//! | manage the tokens of an app | [`auth::App`] | authorization codes and install events |
//!
//! The generated types and operations are in [`wire`]. Enums keep values that the documentation does not list, and received
//! objects keep unknown fields.
//!
//! # Errors
//!
//! HighLevel has no idempotency key, so a request that is sent twice may be done twice. Every [`Error`] reports what is known
//! about the request, as a [`Delivery`]:
//!
//! | [`Delivery`] | meaning | safe to resend |
//! |---|---|---|
//! | `NotSent` | no request reached HighLevel | yes |
//! | `Rejected` | HighLevel responded that it did not do it | yes, once the reason is fixed |
//! | `Unknown` | it may have been done | no; look for the message first, see [`Error::find`] and [`Fingerprint::reconcile`] |
//! | `Accepted` | it was accepted, but the receipt cannot be read | no |
//!
//! The client retries only requests that were certainly not done, as [`RetryPolicy`] allows. [`ErrorKind`] is the kind of the
//! failure, and [`Error::messages`] and [`Error::trace_id`] return the details that HighLevel sent. No error and no debug
//! output contains a token.
//!
//! # Runtime
//!
//! The client needs a tokio runtime with time and I/O enabled (`#[tokio::main]` has both). It can be used from several
//! runtimes; each has its own connections. Programs without a runtime use `highlevel::blocking` (feature `blocking`).
//! [`Client`] is cheap to clone and shares its connections, token, [limits](limit) and retry budget with its clones.
//!
//! The library sets no process-wide state, follows no redirects, and reads at most 1 MiB of a response.
//!
//! # Features
//!
//! | feature | default | effect |
//! |---|---|---|
//! | `client` | yes | the client; without it, types and the verification of webhooks remain, also for `wasm32-unknown-unknown` |
//! | `webhook` | yes | `webhook`, the verification of webhooks; a program that only sends builds faster without it |
//! | `http2` | yes | HTTP/2 if the server offers it by ALPN; [`http1_only`](TransportBuilder::http1_only) disables it per client |
//! | `rustls-ring` | yes | TLS with rustls and ring |
//! | `aws-lc` | | TLS with rustls and aws-lc, see [`Tls`] |
//! | `native-tls` | | TLS of the operating system, see [`Tls`] |
//! | `blocking` | | `highlevel::blocking`, a client without an async runtime |
//! | `axum` | | `webhook::axum`, an extractor and a layer |
//! | `rsa` | | `webhook::RsaPublicKey`, for the legacy RSA signature |
//! | `schemars` | | `JsonSchema` for the types of requests, responses and webhooks |
//! | `metrics` | | durations, outcomes and retries through the `metrics` facade, see the guide `observability` |
//! | `testing` | | `testing`, a transport that produces any outcome; `webhook::testing` to sign events; and conformance suites for custom stores, limiters and deduplicators |
//!
//! # Guides
//!
//! Delivery, authentication, webhooks, tests, observability, a bridge to a phone system and the blocking client each have a guide: see the module
//! `guide` of the documentation, or `docs/` in the repository.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "client")]
#[cfg_attr(
    not(feature = "webhook"),
    allow(dead_code, reason = "webhooks report installs, which use the rest")
)]
pub mod auth;
#[cfg(feature = "blocking")]
pub mod blocking;
#[cfg(feature = "client")]
mod calls;
#[cfg(any(feature = "client", feature = "webhook"))]
mod channel;
#[cfg(feature = "client")]
mod classify;
#[cfg(feature = "client")]
mod client;
#[cfg(feature = "testing")]
mod conformance;
#[cfg(feature = "client")]
mod connection;
#[cfg(feature = "client")]
mod contacts;
#[cfg(feature = "client")]
mod conversations;
#[cfg(feature = "client")]
mod delivery;
#[cfg(feature = "client")]
mod error;
#[cfg(feature = "client")]
mod executor;
#[cfg(feature = "client")]
mod files;
#[cfg(feature = "client")]
mod find;
#[cfg(all(doc, not(doctest)))]
pub mod guide;
#[cfg(feature = "client")]
mod headers;
#[cfg(any(feature = "client", feature = "webhook"))]
#[cfg_attr(
    not(feature = "webhook"),
    allow(dead_code, reason = "errors of webhooks describe mistyped fields")
)]
mod lenient;
#[cfg(feature = "client")]
pub mod limit;
#[cfg(feature = "client")]
mod listing;
#[cfg(feature = "client")]
mod mention;
#[cfg(feature = "client")]
mod messages;
#[cfg(feature = "client")]
pub mod middleware;
#[cfg(feature = "client")]
mod operations;
#[cfg(feature = "client")]
mod panics;
#[cfg(feature = "client")]
mod path;
#[cfg(feature = "client")]
mod phone;
#[cfg(feature = "client")]
mod receipt;
#[cfg(feature = "client")]
mod recent;
#[cfg(feature = "client")]
mod reconcile;
#[cfg(feature = "client")]
mod recording;
#[cfg(feature = "client")]
mod redact;
#[cfg(feature = "client")]
mod request;
#[cfg(feature = "client")]
mod retry;
#[cfg(feature = "client")]
mod search;
#[cfg(feature = "client")]
mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "client")]
mod time;
#[cfg(feature = "client")]
mod token;
#[cfg(feature = "client")]
mod transport;
#[cfg(feature = "client")]
mod unauthorized;
#[cfg(feature = "client")]
mod validate;
#[cfg(feature = "webhook")]
pub mod webhook;

#[cfg(feature = "client")]
pub use calls::{Calls, Number, OutboundCall};
#[cfg(feature = "client")]
pub use client::{Client, ClientBuilder};
#[cfg(feature = "client")]
pub use contacts::{Contact, ContactKey, ContactUpdate, Contacts, Note};
#[cfg(feature = "client")]
pub use conversations::Conversations;
#[cfg(feature = "client")]
pub use delivery::Delivery;
#[cfg(feature = "client")]
pub use error::{Error, ErrorKind, Result};
#[cfg(feature = "client")]
pub use files::{Files, Upload};
#[cfg(feature = "client")]
pub use find::{Examined, Finding, ReadBack};
#[cfg(feature = "client")]
pub use limit::{LocalRateLimiter, RateLimitHeaders, RateLimiter};
#[cfg(feature = "client")]
pub use listing::Listing;
#[cfg(feature = "client")]
pub use messages::{
    Addressed, Custom, Email, EmailProgress, Facebook, Inbound, Instagram, InternalComment, LiveChat,
    Messages, Rcs, Sms, Status, TikTok, Unaddressed, WhatsApp, inbound,
};
#[cfg(feature = "client")]
pub use path::RequestPath;
#[cfg(feature = "client")]
pub use phone::{InvalidPhoneNumber, PhoneNumber};
#[cfg(feature = "client")]
pub use receipt::Receipt;
#[cfg(feature = "client")]
pub use reconcile::{Fingerprint, Fingerprintable, ObservedMessage, Reconciliation};
#[cfg(feature = "client")]
pub use recording::Recording;
#[cfg(feature = "client")]
pub use request::Request;
#[cfg(feature = "client")]
pub use reqwest::Method;
#[cfg(feature = "client")]
pub use retry::RetryPolicy;
#[cfg(feature = "client")]
pub use search::{ContactSearch, ConversationSearch, MessageExport};
#[cfg(feature = "client")]
pub use secrecy::SecretString;
#[cfg(feature = "client")]
pub use token::{TokenResult, TokenSource};
#[cfg(feature = "client")]
pub use transport::{Tls, Transport, TransportBuilder};

pub use highlevel_wire::Timestamp;
pub use highlevel_wire::types::{
    AltId, ApiVersion, AppId, AppVersionId, AppointmentId, CallStatus, CompanyId, ContactId, ConversationId,
    ConversationProviderId, CustomFieldId, Direction, DndStatus, EmailMessageId, EmailReplyMode, EmailStatus,
    LocationId, MessageId, NoteId, OptimizationPeriod, SendStatus, SortOrder, TemplateId, ThreadId, UserId,
    VisitorId,
};

/// The generated types and operations, for what the constructors of this crate do not cover.
///
/// `client.messages().send(…)` and its siblings accept the request types of [`wire::types`] as well.
pub mod wire {
    pub use highlevel_wire::types;
    #[cfg(feature = "client")]
    pub use highlevel_wire::{Client, ClientInfo, Error, ResponseValue};
    #[cfg(feature = "client")]
    pub use highlevel_wire::{End, Gate, RawResponse, RequestContext, RequestSettings, RequestTrace};
}
