//! What can be switched about the tokens of a sandbox.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::resource::TokenResource;

/// When the `INSTALL` event is sent of an app that somebody installs in the browser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum InstallEvents {
    /// When the browser is sent back to the app: before the app has exchanged the code, or even seen it. Real apps have
    /// met this.
    #[default]
    OnAuthorization,
    /// When the app has exchanged the code.
    OnExchange,
    /// Not at all.
    Never,
}

/// All the switches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// Whether all fields of an answer with tokens are in camelCase. The documents disagree.
    pub(crate) camel_case: bool,
    /// What is chosen when the browser asks for authorisation; `None` to show the page that asks.
    pub(crate) choose_on_authorize: Option<TokenResource>,
    pub(crate) install_events: InstallEvents,
    /// How much later `INSTALL` is sent, by the sandbox's clock.
    pub(crate) install_event_delay_ms: u64,
    /// The locations for which no tokens are given: 400 "Location is not active".
    pub(crate) inactive_locations: BTreeSet<String>,
}
