//! A transport without a network, for the tests of programs that use this crate. Needs the feature `testing`.
//!
//! A client of a [`Mock`] is the real client: its rate limits, retries, timeouts and the classification of outcomes run. Only the
//! bytes do not go to a socket. An outcome is produced at the place where a real connection would produce it: for
//! [`MockOutcome::unknown`] the request is read to its end and then fails, so that the client has to conclude that it may have been
//! done.
//!
//! ```
//! use highlevel::testing::{Mock, MockOutcome, message};
//! use highlevel::{Delivery, Sms};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> highlevel::Result<()> {
//! let mock = Mock::new();
//! mock.expect(message().to("abc123def456").text("Your table is ready")).respond(MockOutcome::unknown());
//!
//! let client = mock.client();
//! let error = client.messages().send(Sms::to("abc123def456").text("Your table is ready")).await.unwrap_err();
//!
//! assert_eq!(error.delivery(), Delivery::Unknown);
//! assert_eq!(mock.requests().len(), 1, "a request whose outcome is unknown is not retried");
//! # Ok(())
//! # }
//! ```
//!
//! The mock verifies when it is dropped that all expectations were met and that no other request was sent, and panics with a list
//! of the requests otherwise. See the guide `testing` for the outcomes, and [`webhook::testing`](crate::webhook::testing) for
//! signed events: [`SentRequest::event`] creates the one that HighLevel sends for a message.

mod matcher;
mod mock;
mod outcome;
mod record;
mod service;
mod state;

pub use self::matcher::{RequestMatcher, any, message, operation};
pub use self::mock::{Expectation, Mock};
pub use self::outcome::MockOutcome;
pub use self::record::SentRequest;
