//! Faults on command: what goes wrong, on which requests, and when.
//!
//! A [`Fault`] is data: what the answer is, how much of it gets through, how fast, and how the connection ends. A
//! [`FaultRule`] says on which requests it happens. [`catalogue`] names the ones that matter; a new one is a row there.

mod catalogue;
mod effect;
mod form;
mod registry;
mod rule;
mod schedule;
mod script;
mod stage;

pub(crate) use effect::LONGEST_WAIT;
pub use effect::{Ending, Extent, Fault};
pub use registry::ActiveFault;
pub(crate) use registry::{FaultRegistry, TriggeredFault};
pub use rule::FaultRule;
pub(crate) use rule::Request;
pub use schedule::FaultSchedule;
pub(crate) use script::{Base, Script, edit, script};
pub use stage::FaultStage;
