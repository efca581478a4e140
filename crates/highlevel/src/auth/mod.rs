//! Apps that are installed on many locations: authorisation, tokens, and their renewal.

pub mod store;
mod tokens;

pub use tokens::TokenSet;
