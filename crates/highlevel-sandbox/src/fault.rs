//! Injected faults: network failures, error responses and malformed responses, on chosen requests.
//!
//! A [`Fault`] is data: the response, how much of it is sent, at which rate, and how the connection ends. A
//! [`FaultRule`] selects the requests. [`catalogue`] has the named faults; each is one row of its table.

mod catalogue;
mod effect;
mod form;
mod registry;
mod rule;
mod schedule;
mod script;
mod stage;

pub(crate) use effect::MAX_WAIT;
pub use effect::{Ending, Extent, Fault};
pub use registry::ActiveFault;
pub(crate) use registry::{FaultRegistry, TriggeredFault};
pub use rule::FaultRule;
pub(crate) use rule::RequestProperties;
pub use schedule::FaultSchedule;
pub(crate) use script::{ResponseParts, Script, edit, script};
pub use stage::FaultStage;
