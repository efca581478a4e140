//! Executes operations: attempts until there is a receipt or an error.
//!
//! Pure functions make the decisions: [`classify`](crate::classify) the outcome of an attempt,
//! [`RetryPolicy`](crate::RetryPolicy) the next step. The executor is where they meet the clock, the limiter and the
//! network.

mod attempt;
mod drop_log;
mod evaluate;
mod execution;
mod operation;
mod prepare;
mod state;
mod track;

pub(crate) use self::operation::Operation;
pub(crate) use self::state::Executor;
