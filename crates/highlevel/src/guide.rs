//! Guides, as in `docs/` of the repository.
#![allow(
    rustdoc::invalid_rust_codeblocks,
    reason = "the code of the guides is excerpts, which the tests compile"
)]

/// Apps that are installed on many locations: installation, tokens and stores.
#[doc = include_str!("../guide/auth.md")]
pub mod auth {}

/// The client for programs without an async runtime.
#[doc = include_str!("../guide/blocking.md")]
pub mod blocking {}

/// A bridge to a phone system, step by step.
#[doc = include_str!("../guide/bridge.md")]
pub mod bridge {}

/// Outcomes of requests after a failure, retries and reconciliation.
#[doc = include_str!("../guide/delivery.md")]
pub mod delivery {}

/// Spans and metrics.
#[doc = include_str!("../guide/observability.md")]
pub mod observability {}

/// Tests of programs that use this crate: outcomes without a network.
#[doc = include_str!("../guide/testing.md")]
pub mod testing {}

/// Webhooks: servers, deduplication, keys and tests.
#[doc = include_str!("../guide/webhooks.md")]
pub mod webhooks {}
