//! Webhook events: their payloads, signatures, deliveries, retries, and deliberate tampering.
//!
//! `publish`, `trigger` and `simulate` create events and put them into the `outbox`. The `dispatcher` takes them out and
//! sends the attempts. `schedule`, `tamper`, `queues` and `delivery_store` make the decisions, without I/O.

pub(crate) mod account_payload;
mod delivery_store;
pub(crate) mod dispatcher;
mod json_text;
mod keyring;
mod outbox;
pub(crate) mod payload;
mod queues;
mod record;
mod replay;
mod schedule;
mod signature;
mod simulate;
mod tamper;
mod targets;
mod trigger;

pub(crate) use delivery_store::{
    DeliveryFilter, MAX_DELIVERY_BYTES, OutgoingEvent, Summary, text as time_text,
};
pub(crate) use json_text::json_text;
pub use keyring::WebhookKey;
pub(crate) use keyring::{KeyStanding, WebhookKeys};
pub(crate) use outbox::{Outbox, Progress};
pub use record::{AttemptCause, DeliveryAttempt, DeliveryOutcome, DeliveryState, WebhookDelivery};
pub use replay::Replay;
pub(crate) use schedule::RetryKind;
pub use schedule::RetrySchedule;
pub use simulate::{SimulatedCall, SimulatedCallOutcome};
pub use tamper::{TamperConfig, TamperMode};
pub(crate) use targets::Targets;
pub use trigger::Trigger;
pub(crate) use trigger::{EventExamples, events, example, merge};
