//! Decides if and when a request is retried.

mod budget;
mod policy;

pub(crate) use budget::SharedBudget;
pub use policy::RetryPolicy;
pub(crate) use policy::{RetryCounts, RetryDecision, backoff, pause, random};
