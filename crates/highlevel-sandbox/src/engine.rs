//! The engine of a sandbox: its state, the only owner of locks, and the operations on it.
//!
//! The layers below are pure functions. The layers above serve HTTP and the inspector, or form the typed API.

mod contacts;
mod delivery;
mod faults;
mod health;
mod initial_state;
mod loaded_state;
mod messages;
mod model_guard;
mod moment;
mod mutation_error;
mod mutations;
mod oauth;
mod publish;
mod recording;
mod refusals;
mod requests;
mod retained;
mod scheduled;
mod settings;
mod simulate;
mod state;
mod trigger;

pub(crate) use contacts::{ContactError, ContactInput};
pub(crate) use initial_state::InitialState;
pub(crate) use loaded_state::{LoadedState, encoded, model_of};
pub(crate) use moment::Moment;
pub(crate) use mutation_error::MutationError;
pub(crate) use recording::MAX_RECORDING;
pub(crate) use retained::Part;
pub(crate) use scheduled::run as send_scheduled;
pub(crate) use settings::ClockChange;
pub(crate) use state::{Engine, LONG_EVENTS};
