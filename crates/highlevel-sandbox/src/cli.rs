//! What the program reads from the command line and what it prints, as functions from values to text.

pub(crate) mod arguments;
pub(crate) mod failure;
pub(crate) mod live;
pub(crate) mod welcome;
