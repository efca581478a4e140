//! Whether a request is made again, and when.

mod budget;
mod policy;

pub(crate) use budget::RetryBudget;
pub use policy::RetryPolicy;
pub(crate) use policy::{Next, Progress, backoff, pause};
