//! The engine of a sandbox: its state, the only owner of locks, and the operations on it.
//!
//! The layers below it decide as pure functions; the layers above it speak HTTP, serve the inspector, or are the typed API.

mod delivery;
mod faults;
mod health;
mod initial_state;
mod messages;
mod model_guard;
mod moment;
mod mutation_error;
mod mutations;
mod oauth;
mod publish;
mod recall;
mod refusals;
mod requests;
mod retained;
mod settings;
mod simulate;
mod state;
mod trigger;

pub(crate) use initial_state::InitialState;
pub(crate) use moment::Moment;
pub(crate) use mutation_error::MutationError;
pub(crate) use recall::{Recalled, encoded, model_of};
pub(crate) use retained::Part;
pub(crate) use settings::ClockChange;
pub(crate) use state::{Engine, LONG_EVENTS};
