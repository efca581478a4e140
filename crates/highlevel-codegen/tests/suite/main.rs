//! The steps of the pipeline, each on its own, and then together.

mod description;
mod probe;
