//! A local `HighLevel` to develop and test against.
//!
//! The vendor offers no sandbox, so this is one: a server on this machine that validates each request against the
//! specification, says which field is wrong and why, keeps what it accepted in a ledger, and sends signed webhooks.
//! It knows the specification and no SDK, which makes it a witness that does not share an SDK's mistakes.
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
//! What it does not do: it carries no message anywhere, and forgets everything when it stops. It counts requests, but
//! refuses none for its rate unless it is given a [`RateLimit`].

mod admin;
mod api;
mod builder;
mod clock;
mod contract;
mod credentials;
mod identifiers;
mod ledger;
mod rate_limit;
mod runtime;
mod sandbox;
mod server;
mod webhook;
mod world;

pub use builder::{SandboxBuilder, SuccessStatus};
pub use contract::{Contract, ContractError, Violation};
pub use ledger::{Delivery, DeliveryOutcome, Entries, Entry, RecordedRequest};
pub use rate_limit::{RateLimit, Window};
pub use sandbox::{DeliveriesTimedOut, Sandbox};
pub use world::{
    Contact, Conversation, ConversationProvider, Direction, Location, Message, Snapshot, StatusChange,
};
