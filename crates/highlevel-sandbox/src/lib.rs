//! A local `HighLevel` to develop and test against.
//!
//! The vendor offers no sandbox. This crate provides one: a local server that validates each request against the OpenAPI
//! spec, reports invalid fields with reasons, records requests in a ledger, and sends signed webhooks. It depends on the
//! spec but not on the SDK, so it does not share the SDK's bugs.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use highlevel_sandbox::Sandbox;
//!
//! let sandbox = Sandbox::start().await?;
//! println!("send to {} with the token {}", sandbox.base_url(), sandbox.token());
//! assert!(sandbox.messages().is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! The sandbox does not deliver messages to phones or mailboxes. It discards its data when it stops; to persist the data,
//! set a [state file](SandboxBuilder::state_file). Rate limits are reported, but enforced only with a [`RateLimit`].

mod access;
mod admin;
mod api;
mod api_error;
mod builder;
mod clock;
mod credentials;
mod engine;
mod fault;
mod fidelity;
mod file_limit;
mod headers;
mod identifiers;
mod inspector;
mod json_fields;
mod json_size;
mod ledger;
mod model;
mod oauth;
mod operation;
mod persistence;
mod rate_limit;
mod routing;
mod runtime;
mod sandbox;
mod search_term;
mod server;
mod shell;
mod similar;
mod snapshot;
mod spec;
mod sync;
mod traffic;
mod unserved;
mod webhook;
mod webhook_url;
mod weight;

pub use builder::{SandboxBuilder, TestCredentials};
pub use fault::{ActiveFault, Ending, Extent, Fault, FaultRule, FaultSchedule, FaultStage};
pub use fidelity::{Deviation, Quirk, Refusal, Rule, Settings, Strictness, SuccessStatus};
pub use headers::RecordedHeaders;
pub use ledger::{Entries, Entry, ParseFingerprintError, RecordedRequest, RequestFingerprint};
pub use model::{
    Conflict, Contact, Conversation, ConversationProvider, DndChannel, Location, Message, MessageDirection,
    MessageSource, Note, ProviderKind, StatusChange, StatusUpdate, StoredFile,
};
pub use oauth::{InstallEvents, SandboxApp, TokenRequests, TokenResource};
pub use operation::Operation;
#[doc(hidden)]
pub use persistence::CHECK_THREAD;
pub use rate_limit::{BurstWindow, RateLimit};
pub use sandbox::{AcceptedCounts, DeliveriesTimedOut, Sandbox};
pub use snapshot::Snapshot;
pub use spec::{Spec, SpecError, Violation};
pub use webhook::{
    AttemptCause, DeliveryAttempt, DeliveryOutcome, DeliveryState, Replay, RetrySchedule, SimulatedCall,
    SimulatedCallOutcome, TamperConfig, TamperMode, Trigger, WebhookDelivery, WebhookKey,
};
