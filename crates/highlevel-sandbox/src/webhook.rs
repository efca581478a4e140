//! The events that an app receives: what they say, how they are signed, how often and how wrongly they are delivered.
//!
//! `announce`, `trigger` and `simulate` make events and put them into the `outbox`; the `courier` takes them out and
//! makes the attempts. `schedule`, `hostile`, `lanes` and `store` decide, as functions of values.

mod announce;
pub(crate) mod courier;
mod hostile;
mod keyring;
mod lanes;
mod outbox;
mod payload;
mod record;
mod schedule;
mod signature;
mod simulate;
mod store;
mod targets;
mod trigger;

pub(crate) use announce::announce;
pub use hostile::{HostileMode, Hostilities};
pub use keyring::WebhookKey;
pub(crate) use keyring::{KeyStanding, Keyring};
pub use outbox::Replay;
pub(crate) use outbox::{Outbox, Progress};
pub use record::{AttemptCause, Delivery, DeliveryAttempt, DeliveryOutcome, DeliveryState};
pub(crate) use schedule::RetryKind;
pub use schedule::RetrySchedule;
pub use simulate::{CallOutcome, SimulatedCall};
pub(crate) use simulate::{call, inbound, outbound, status};
pub(crate) use store::{BYTES_KEPT, DeliveryFilter, Event, Summary, text as time_text};
pub(crate) use targets::Targets;
pub use trigger::Trigger;
pub(crate) use trigger::{EventExamples, events, trigger};
